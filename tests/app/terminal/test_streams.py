"""Whatever the streams are connected to and whenever a signal comes: one line and an exit code, never a traceback."""

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path
from select import select

import click
import psutil
import pytest

from baton_reasoning.app.cli import main
from baton_reasoning.app.terminal.command_line import LazyCommand, command
from baton_reasoning.app.terminal.program import baton as program
from baton_reasoning.app.terminal.streams import TYPE_IT, exit_code_of_signal, interruptible, stops_on_interrupt
from baton_reasoning.core.demo_pair import LARGE_MODEL, SMALL_MODEL, DemoProblem
from baton_reasoning.core.thinking.interruptions import Control
from tests.app.terminal.conftest import DEMO_MARKS, EXCHANGED, REPOSITORY, demo_marks, program_of
from tests.fakes.faulty_server import FaultyServer, Wire, about, end, stream, token
from tests.patience import PATIENCE
from tests.systems import NEEDS_POSIX, posix_only, user_in

pytestmark = pytest.mark.slow

BATON = f"'{sys.executable}' -m baton_reasoning"
CTRL_C = "\x03"
LIMIT = 240.0
"""Seconds without output after which a test fails."""
PROBLEM = DemoProblem(60_836).question
SHORT = (*EXCHANGED, "--policy", "never", "-n", "5")
ENDLESS = ("--policy", "never", "-n", "100000", "-c", "100000")
"""Options of a run that writes until it is stopped."""
AT_IMPORT = """
import signal, sys

class Finder:
    def find_spec(self, name, *_):
        if name == {module!r}:
            {sent}

sys.meta_path.insert(0, Finder())
"""
AT_EXIT = """
import atexit, signal, sys
from baton_reasoning.app.cli import main
atexit.register(lambda: signal.raise_signal(signal.SIGINT))
sys.argv = ["baton", "--version"]
sys.exit(main())
"""


class Terminal:
    """`baton` as a person sits before it: its three streams are a pseudo-terminal, which is its controlling one."""

    process: subprocess.Popen[bytes]
    screen = ""
    _ours: int

    def __init__(self, *arguments: str, **environment: str) -> None:
        if sys.platform == "win32":
            pytest.skip(NEEDS_POSIX.format("pseudo-terminals"))
        import fcntl
        import pty
        import termios

        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "baton_reasoning", *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=dict(os.environ) | {"TERM": "xterm-256color", "COLUMNS": "200"} | environment,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def wait_for(self, words: str) -> None:
        """Read until these words have been printed."""
        while words not in self.screen:
            assert self._read(), f"it ended without “{words}”:\n{self.screen}"

    def press(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def ended_cleanly(self, code: int = 0) -> None:
        """Read to the end: this exit code, no traceback, no process left."""
        while self._read():
            pass
        assert self.process.wait(LIMIT) == code, self.screen
        for word in ("Traceback", "KeyboardInterrupt", "Error", "unexpected"):
            assert word not in self.screen
        assert self._processes_left() == []

    def stopped_cleanly(self) -> None:
        """End as after Ctrl+C, with one line that says so."""
        self.ended_cleanly(130)
        assert self.screen.count("Stopped") == 1, self.screen

    def _processes_left(self) -> list[str]:
        """Return the processes of its session that do not end."""
        mine = [process for process in psutil.process_iter() if _session(process) == self.process.pid]
        _, alive = psutil.wait_procs(mine, timeout=LIMIT / 4)
        return [str(process) for process in alive]

    def _read(self) -> bool:
        """Read what there is; return False at the end."""
        ready, _, _ = select([self._ours], [], [], LIMIT)
        assert ready, f"nothing happened any more:\n{self.screen}"
        try:
            data = os.read(self._ours, 65_536)
        except OSError:  # Linux: the other end is closed
            return False
        self.screen += data.decode("utf-8", "replace")
        return bool(data)


def _session(process: psutil.Process) -> int:
    if sys.platform != "win32":
        with suppress(ProcessLookupError):  # it has ended
            return os.getsid(process.pid)
    return 0


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """No settings, models or history of a person; and a folder for temporary files, which must be empty at the end."""
    user_in(tmp_path, monkeypatch)
    for name in ("HF_HOME", "HF_HUB_CACHE", "HF_TOKEN", "LLAMA_CACHE"):
        monkeypatch.delenv(name, raising=False)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    for name in ("TMPDIR", "TEMP", "TMP"):  # the last two on Windows
        monkeypatch.setenv(name, str(temporary))
    yield tmp_path
    assert list(temporary.iterdir()) == []


@pytest.fixture
def silent_server():
    """Takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(LIMIT)
        yield server


# Streams and odd text -------------------------------------------------------------------------------------------------


def encoded(monkeypatch: pytest.MonkeyPatch, encoding: str) -> io.BytesIO:
    """Replaces standard output by one of this encoding; returns the bytes that it gets."""
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding))
    return written


@posix_only("pipes in another encoding than UTF-8")
def test_output_in_any_encoding_keeps_the_authors_apart_and_json_loses_nothing(monkeypatch):
    for encoding in ("ascii", "cp1252"):
        written = encoded(monkeypatch, encoding)
        assert main(["demo"]) == 0
        text = written.getvalue().decode(encoding)
        assert "\n* " in text
        assert "\n# " in text
        assert re.search(r"small alone .+ [x+] ", text)
    written = encoded(monkeypatch, "ascii")
    assert main(["solve", "Größe 漢", *SHORT, "--json"]) == 3
    first = json.loads(written.getvalue().splitlines()[0])
    assert first["conversation"][0]["content"].startswith("Größe 漢")


@posix_only("a shell, /dev/full and closed streams")
@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("--help >/dev/full", 1, "No space left on device"),
        ("--help >&-", 2, "Standard output is closed"),
        ("solve - <&-", 2, "Standard input is closed"),
        ("no-such-command 2>&-", 2, ""),
    ],
)
def test_odd_streams_are_a_sentence(line, code, said):
    done = subprocess.run(["bash", "-c", f"{BATON} {line}"], capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert not re.search("Traceback|unexpected", done.stderr)


def test_bytes_that_are_not_text_are_refused_in_a_pipe_and_a_problem_like_any_other_in_an_argument(monkeypatch, baton):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\x80"), "ascii"))
    done = baton("solve", "-")
    assert (done.returncode, "not text in UTF-8" in done.stderr) == (2, True)
    assert baton("solve", "a\udc80b", *SHORT).returncode == 3


def test_force_color_colours_a_pipe_unless_no_color_is_set_and_not_empty(baton):
    for no_color, is_coloured in (("", True), ("1", False)):
        colours = {"FORCE_COLOR": "1", "NO_COLOR": no_color, "TERM": "xterm-256color"}
        done = baton("solve", "1+1?", *SHORT, "--steps", **colours)
        blue = re.search(r"\x1b\[(38;5;33|94)m", done.stdout)  # the latter as a console of Windows knows it
        assert bool(blue) is is_coloured


def test_a_dumb_terminal_gets_no_escapes_and_nothing_after_the_scoreboard_of_the_demo():
    with Terminal("demo", TERM="dumb") as terminal:
        terminal.ended_cleanly()
    assert "●" in terminal.screen
    assert "\x1b" not in terminal.screen
    assert demo_marks(terminal.screen) == DEMO_MARKS


def test_an_unexpected_error_is_a_sentence_that_says_how_to_report_it(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "baton_reasoning.app.terminal.broken", sys.modules[__name__])
    monkeypatch.setitem(program.commands, "broken", LazyCommand("broken", "broken:broken", "Fails."))
    assert main(["broken"]) == 1
    (sentence,) = capsys.readouterr().err.splitlines()
    assert "ZeroDivisionError" in sentence
    assert "report it" in sentence
    monkeypatch.setenv("BATON_DEBUG", "1")
    assert main(["broken"]) == 1
    assert "Traceback" in capsys.readouterr().err


@command("broken")
@click.option("--number", default=0)
def broken(number: int) -> int:
    return 1 // number


# Ctrl+C at every stage, and other signals -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "sent", "code"),
    [
        ("click", "signal.raise_signal(signal.SIGINT)", 130),
        ("baton_reasoning.core.run", "signal.raise_signal(signal.SIGINT)", 130),
        ("baton_reasoning.app.terminal.settings", "exec('signal.raise_signal(signal.SIGTERM)')", 143),
    ],
)
def test_while_the_program_is_imported(module, sent, code, tmp_path):
    """Dataclasses and named tuples run a text, with `exec`, when their module is imported."""
    (tmp_path / "sitecustomize.py").write_text(AT_IMPORT.format(module=module, sent=sent), encoding="utf-8")
    with Terminal("policies", PYTHONPATH=f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}") as terminal:
        terminal.ended_cleanly(code)
    assert terminal.screen.strip() == "baton: Stopped."


def test_when_all_is_done():
    done = program_of("-c", AT_EXIT)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("problem", "words"),
    [((PROBLEM, "--small", str(SMALL_MODEL), "--large", str(LARGE_MODEL)), "Loading small.gguf"), (("-",), TYPE_IT)],
)
def test_while_a_model_is_loaded_or_standard_input_is_read(problem, words):
    with Terminal("solve", *problem) as terminal:
        terminal.wait_for(words)
        terminal.press(CTRL_C)
        terminal.stopped_cleanly()


@pytest.mark.parametrize("is_hub", [True, pytest.param(False, marks=pytest.mark.long)])
def test_while_the_hub_or_a_server_is_asked(is_hub, silent_server):
    address = f"http://127.0.0.1:{silent_server.getsockname()[1]}"
    solve = ("solve", PROBLEM, "--small", str(SMALL_MODEL), "--large", address)
    line = ("models", "get", f"hf:{REPOSITORY}") if is_hub else solve
    with Terminal(*line, HF_ENDPOINT=address) as terminal:
        terminal.wait_for("Asking the Hub" if is_hub else "Connecting to")
        with silent_server.accept()[0] as asked:
            assert asked.recv(1)
            terminal.press(CTRL_C)
            terminal.stopped_cleanly()


def test_a_download_that_is_stopped_keeps_what_it_has(hub, folder):
    hub.faults.silent_after = 60_000
    with Terminal("models", "get", f"hf:{REPOSITORY}") as terminal:
        terminal.wait_for("KiB of")
        terminal.press(CTRL_C)
        terminal.stopped_cleanly()
    (part,) = folder.rglob("*.part")
    assert 0 < part.stat().st_size <= 60_000


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGKILL", -9)])
def test_while_an_answer_is_written(name, code):
    with Terminal("solve", PROBLEM, *ENDLESS) as terminal:
        terminal.wait_for("● ")
        terminal.process.send_signal(signal.Signals[name])
        terminal.ended_cleanly(code)
        assert ("ended by: stopped" in terminal.screen) is (name != "SIGKILL")


@pytest.mark.parametrize(
    ("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), pytest.param("SIGHUP", 129, marks=posix_only("SIGHUP"))]
)
@pytest.mark.parametrize("is_batch", [False, True])
def test_the_first_signal_stops_a_run_and_the_second_ends_the_program(name, code, is_batch, monkeypatch):
    """In a batch one Ctrl+C more finishes the answers that are under way."""
    number = signal.Signals[name]
    monkeypatch.setattr("baton_reasoning.app.terminal.streams._received", signal.SIGINT)  # and is that again later
    control, finished = Control(), threading.Event()
    with interruptible():
        with stops_on_interrupt(control.stop, finished.set if is_batch else None):
            if is_batch and number == signal.SIGINT:
                signal.raise_signal(number)
                assert (finished.is_set(), control.stopped) == (True, False)
                finished.clear()
            signal.raise_signal(number)
            assert (finished.is_set(), control.stopped) == (False, True)
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(number)
        assert exit_code_of_signal() == code


class HeldServer(FaultyServer):
    """Answers 4 to each question, and waits before the end of its answers until they are let go."""

    def __init__(self) -> None:
        self.let_go, self._held = threading.Event(), threading.Semaphore(0)
        props = about()["/props"] | {"total_slots": 2}
        super().__init__(stream(token("4", 1), self._hold, end(1, "eos")), routes={"/props": props})

    def wait_for_two_answers(self) -> None:
        for _ in range(2):
            assert self._held.acquire(timeout=LIMIT)

    @property
    def questions(self) -> list[int]:
        """How often each prompt was sent."""
        return sorted(Counter(str(each["prompt"]) for each in self.completions).values())

    def _hold(self, _: Wire) -> None:
        self._held.release()
        self.let_go.wait(LIMIT)


@pytest.fixture
def held_server():
    held = HeldServer()
    with held:
        yield held
        held.let_go.set()


@contextmanager
def batch_under_way(server: HeldServer, out: Path, count: int = 4):
    """A batch of so many answers, two of which are under way."""
    problems = out.with_suffix(".jsonl")
    problems.write_text(
        "\n".join(json.dumps({"problem": f"{n} + {4 - n}", "answer": "4"}) for n in range(count)), encoding="utf-8"
    )
    options = ("--arm", "small", "--small", server.url, "--parallel", "2", "--out", str(out), "--no-history")
    with Terminal("batch", "run", str(problems), *options) as terminal:
        server.wait_for_two_answers()
        yield terminal


def answers(out: Path, verb: str = "") -> list[str]:
    """The answers of a batch, once this command has written them."""
    assert not verb or main(["batch", verb, str(out)]) == 0
    return [json.loads(line)["answer"] for line in (out / "results.jsonl").read_text("utf-8").splitlines()]


@pytest.mark.parametrize("count", [4, 2])
def test_the_first_ctrl_c_finishes_the_answers_of_a_batch_that_are_under_way(held_server, folder, count):
    """A batch whose last answers are finished is reported, and needs no resume."""
    out = folder / "out"
    with batch_under_way(held_server, out, count) as terminal:
        terminal.press(CTRL_C)
        terminal.wait_for("Finishing 2 answers. Press Ctrl+C again to stop now.")
        held_server.let_go.set()
        terminal.ended_cleanly(130)
    is_whole = count == 2
    for words in ("Stopped at 2 of 4", f"baton batch resume {out}", f"baton batch report {out}"):
        assert (words in terminal.screen) is not is_whole
    for words in ("correct", "2 requests, ", " tokens sent"):
        assert words in terminal.screen
    assert (out / "results.jsonl").exists() is is_whole
    assert answers(out, "report") == ["4", "4", "", ""][:count]
    assert (answers(out, "resume"), held_server.questions) == (["4"] * count, [1] * count)


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_the_second_ctrl_c_or_any_other_signal_stops_them_and_they_are_written_anew(held_server, folder, name, code):
    out = folder / "out"
    with batch_under_way(held_server, out) as terminal:
        if name == "SIGINT":
            terminal.press(CTRL_C)
            terminal.wait_for("Finishing 2 answers.")
        terminal.process.send_signal(signal.Signals[name])
        terminal.ended_cleanly(code)
    assert ("Finishing" in terminal.screen) is (name == "SIGINT")
    assert "Stopping. Summing up what is done." in terminal.screen
    assert answers(out, "report") == [""] * 4
    held_server.let_go.set()
    assert (answers(out, "resume"), held_server.questions) == (["4"] * 4, [1, 1, 2, 2])


@pytest.mark.long
def test_evidence_is_continued_by_the_same_command(folder):
    with Terminal("evidence", "--parallel", "2", "--out", str(folder / "out")) as terminal:
        terminal.wait_for(" errors")
        terminal.press(CTRL_C)
        terminal.stopped_cleanly()
    assert "To continue: the same command" in terminal.screen
