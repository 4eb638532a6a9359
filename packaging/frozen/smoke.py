"""Does the frozen program work? `python packaging/frozen/smoke.py dist/baton`, with nothing but the standard library.

Both programs run with an empty environment and a home of their own: `baton` solves the demo problem and grades a batch
of one; `baton-window` opens, solves the problem that it shows at its first start, and must have saved the right answer.
On Linux without a display that needs Xvfb.
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
from contextlib import closing, contextmanager
from pathlib import Path

SECONDS = 180


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
    expected = f"\\boxed{{{demo_problem(folder)['answer']}}}"
    with a_display() as environment:
        line, settings = [program(folder, "baton-window")], bare(home) | environment
        opened = subprocess.Popen(line, cwd=home, env=settings, start_new_session=sys.platform != "win32")
        deadline = time.monotonic() + SECONDS
        answer = None
        while answer is None and time.monotonic() < deadline and opened.poll() is None:
            time.sleep(1)
            answer = saved_answer(home)
        ended = opened.poll()
        kill(opened)
    if answer is None:
        return f"no answer was saved in {SECONDS} s (exit code {ended})"
    return "" if expected in answer else f"{answer!r} is not {expected}"


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


def saved_answer(home: Path) -> str | None:
    for store in home.glob("**/baton.sqlite"):
        with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
            row = connection.execute("SELECT answer FROM runs WHERE finish IS NOT NULL").fetchone()
        if row:
            return str(row[0])
    return None


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
