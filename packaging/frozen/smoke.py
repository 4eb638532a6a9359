"""Does the frozen program work? `python packaging/frozen/smoke.py dist/baton`, with nothing but the standard library.

Both programs run with an empty environment and a home of their own: `baton` solves the demo problem and grades a batch
of one; `baton-window` opens. On Linux xdotool then presses the button of the start page, which solves the problem above
it, and the right answer must have been saved; without a display this needs Xvfb.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

SECONDS = 180
PRESS_BUTTON = "xdotool search --sync --onlyvisible --name Baton windowfocus --sync key space".split()


def main() -> int:
    folder = Path(sys.argv[1]).resolve()
    failed = 0
    checks = (version, demo, batch, window)
    for check in checks:
        with tempfile.TemporaryDirectory(prefix="baton-smoke-") as home:
            problem = check(folder, Path(home))
        print(f"smoke: {check.__name__}: {problem or 'passed'}")
        failed += bool(problem)
    print(f"{len(checks) - failed} passed, {failed} failed")
    return 1 if failed else 0


def version(folder: Path, home: Path) -> str:
    done = run(home, program(folder, "baton"), "--version")
    return "" if done.returncode == 0 else done.stderr


def demo(folder: Path, home: Path) -> str:
    done = run(home, program(folder, "baton"), "demo")
    return "" if done.returncode == 0 and "\\boxed" in done.stdout else done.stdout + done.stderr


def batch(folder: Path, home: Path) -> str:
    (home / "one.jsonl").write_text(json.dumps(demo_problem(folder)) + "\n")
    done = run(home, program(folder, "baton"), "batch", "run", "one.jsonl", "--arm", "large", "--out", "results")
    reports = list(home.glob("results/**/report.json"))
    if done.returncode != 0 or not reports:
        return done.stdout + done.stderr
    return "" if "100" in done.stdout else f"the answer was not graded as right: {done.stdout}"


def window(folder: Path, home: Path) -> str:
    with a_display() as environment:
        line, settings = [program(folder, "baton-window")], bare(home) | environment
        opened = subprocess.Popen(line, cwd=home, env=settings, start_new_session=sys.platform != "win32")
        deadline = time.monotonic() + SECONDS
        while not (done := is_done(home)) and time.monotonic() < deadline and opened.poll() is None:
            if sys.platform == "linux" and not answers(home):
                subprocess.run(PRESS_BUTTON, env=settings, stderr=subprocess.DEVNULL, timeout=SECONDS, check=False)
            time.sleep(3)
        ended = opened.poll()
        kill(opened)
    if not done:
        return f"it was not done in {SECONDS} s (exit code {ended})"
    expected = f"\\boxed{{{demo_problem(folder)['answer']}}}"
    wrong = [answer for answer in answers(home) if expected not in answer]
    return f"{wrong[0]!r} is not {expected}" if wrong else ""


def is_done(home: Path) -> bool:
    """Has an answer been finished? Where no key can be pressed: has the window opened its history?"""
    if sys.platform == "linux":
        return bool(answers(home, "WHERE finish IS NOT NULL"))
    return any(home.glob("**/baton.sqlite"))


def kill(opened: subprocess.Popen[bytes]) -> None:
    """With the processes that it is starting: they would not find the home, which is removed next."""
    if sys.platform == "win32":
        opened.kill()
    else:
        os.killpg(opened.pid, signal.SIGKILL)
    opened.wait()


@contextmanager
def a_display() -> Iterator[dict[str, str]]:
    """What a window needs in its environment: this session's display, else one of Xvfb."""
    if sys.platform != "linux":
        yield {}
        return
    if "DISPLAY" in os.environ:
        yield {name: os.environ[name] for name in ("DISPLAY", "XAUTHORITY") if name in os.environ}
        return
    reading, writing = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1440x900x24"],
        pass_fds=[writing],
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    with os.fdopen(reading) as answer:
        number = answer.readline().strip()  # written when the server is ready
    yield {"DISPLAY": f":{number}"}
    server.terminate()
    server.wait()


def answers(home: Path, which: str = "") -> list[str]:
    """Return the saved answers, those that are being written as well."""
    for store in home.glob("**/baton.sqlite"):
        with (
            closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection,
            suppress(sqlite3.OperationalError),
        ):
            # An error means that its tables are being made.
            return [str(answer) for (answer,) in connection.execute(f"SELECT answer FROM runs {which}")]
    return []


def demo_problem(folder: Path) -> dict[str, object]:
    (file,) = folder.glob("**/demo_pair/problems.jsonl")
    found: dict[str, object] = json.loads(file.read_text(encoding="utf-8").splitlines()[0])
    return found


def program(folder: Path, name: str) -> Path:
    return next(
        path for path in (folder / name, folder / f"{name}.exe", folder / "Contents/MacOS" / name) if path.exists()
    )


def run(home: Path, *line: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in line],
        cwd=home,
        env=bare(home),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def bare(home: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("SYSTEMROOT", "TEMP") if name in os.environ}
    return kept | {"HOME": str(home), "USERPROFILE": str(home), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}


if __name__ == "__main__":
    sys.exit(main())
