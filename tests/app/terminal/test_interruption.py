"""Ctrl+C at every stage, SIGTERM and SIGHUP: one line, the exit code, no traceback, nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from baton_reasoning.app.terminal.standard_input import TYPE_IT
from baton_reasoning.app.terminal.streams import exit_code_of_signal, interruptible, stops_on_interrupt
from baton_reasoning.core.demo_pair import LARGE_MODEL, SMALL_MODEL, DemoProblem
from baton_reasoning.core.thinking.interruptions import Control
from tests.app.terminal.terminal import CTRL_C, CTRL_D, LIMIT, Terminal
from tests.core.models.hub_server import HubServer, running_hub
from tests.fakes.faulty_server import FaultyServer, Wire, about, end, stream, token

REPOSITORY = "tiny/demo-GGUF"
PROBLEM = DemoProblem(60_836).question
AT_IMPORT = """
import os, signal, sys
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
from baton_reasoning.app.cli import main
sys.exit(main({arguments!r}))
"""
AT_EXIT = """
import atexit, os, signal, sys
from baton_reasoning.app.cli import main
atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))
sys.argv = ["baton", "--version"]
sys.exit(main())
"""
pytestmark = pytest.mark.slow
ENDLESS = ("--policy", "never", "-n", "100000", "-c", "100000")
"""Options of a run that writes until it is stopped."""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """No settings, models or history of a person; and a folder for temporary files, which must be empty at the end."""
    for name in ("CONFIG", "DATA", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path))
    for name in ("HF_HOME", "HF_HUB_CACHE", "HF_TOKEN", "LLAMA_CACHE"):
        monkeypatch.delenv(name, raising=False)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    yield tmp_path
    assert list(temporary.iterdir()) == []


@pytest.fixture
def silent_server():
    with socket.create_server(("127.0.0.1", 0)) as server, ExitStack() as open_connections:
        server.settimeout(LIMIT)
        yield SilentServer(server, open_connections)


@pytest.fixture
def hub(monkeypatch):
    """One model, whose quantisation need not be named."""
    with running_hub() as server:
        server.files[REPOSITORY] = {"demo-Q4_K_M.gguf": SMALL_MODEL.read_bytes()}
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        yield server


class SilentServer:
    """Takes connections and never answers."""

    def __init__(self, server: socket.socket, open_connections: ExitStack) -> None:
        self._server = server
        self._open_connections = open_connections
        self.url = f"http://127.0.0.1:{server.getsockname()[1]}"

    def wait_for_a_request(self) -> None:
        connection = self._open_connections.enter_context(self._server.accept()[0])
        assert connection.recv(1)


def test_when_all_is_done():
    done = subprocess.run([sys.executable, "-c", AT_EXIT], capture_output=True, text=True, timeout=LIMIT)
    assert (done.returncode, done.stderr) == (0, "")


def stopped_cleanly(terminal: Terminal) -> None:
    """One line, the exit code, no traceback, no process left."""
    ended_cleanly(terminal)
    assert terminal.screen.count("Stopped") == 1, terminal.screen


def ended_cleanly(terminal: Terminal, code: int = 130) -> None:
    assert terminal.exit_code() == code, terminal.screen
    for word in ("Traceback", "KeyboardInterrupt", "Error", "unexpected"):
        assert word not in terminal.screen
    assert terminal.processes_left() == []


def ranges(hub: HubServer) -> list[str | None]:
    """Which bytes of the model were asked for."""
    return [asked.range for asked in hub.file_requests() if asked.path.endswith(".gguf")]


@pytest.mark.parametrize("module", ["click", "baton_reasoning.core.run"])
def test_while_the_program_is_imported(module):
    with Terminal(code=AT_IMPORT.format(module=module, arguments=["solve", "1+1"])) as terminal:
        stopped_cleanly(terminal)


@pytest.mark.parametrize(
    "command", [["solve", PROBLEM], pytest.param(["serve", "--port", "0"], marks=pytest.mark.long)]
)
def test_while_a_model_is_loaded(command):
    with Terminal(*command, "--small", str(SMALL_MODEL), "--large", str(LARGE_MODEL)) as terminal:
        terminal.wait_for("Loading small.gguf")
        terminal.press(CTRL_C)
        stopped_cleanly(terminal)


def test_while_standard_input_is_read():
    with Terminal("solve", "-") as terminal:
        terminal.wait_for(TYPE_IT)
        terminal.press(CTRL_C)
        stopped_cleanly(terminal)


@pytest.mark.long
def test_while_a_server_is_waited_for(silent_server):
    with Terminal("solve", PROBLEM, "--small", str(SMALL_MODEL), "--large", silent_server.url) as terminal:
        terminal.wait_for("Connecting to")
        silent_server.wait_for_a_request()
        terminal.press(CTRL_C)
        stopped_cleanly(terminal)


def test_while_the_hub_is_asked(silent_server, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", silent_server.url)
    with Terminal("models", "get", f"hf:{REPOSITORY}") as terminal:
        terminal.wait_for("Asking the Hub")
        silent_server.wait_for_a_request()
        terminal.press(CTRL_C)
        stopped_cleanly(terminal)


def test_a_download_that_is_stopped_continues_where_it_was(hub, folder):
    hub.faults.silent_after = 60_000
    with Terminal("models", "get", f"hf:{REPOSITORY}") as terminal:
        terminal.wait_for("Downloading")
        terminal.wait_for("KiB of")
        terminal.press(CTRL_C)
        stopped_cleanly(terminal)
    (part,) = folder.rglob("*.part")
    kept = part.stat().st_size
    assert 0 < kept <= 60_000
    hub.faults.cuts = [30_000, 20_000]
    with Terminal("models", "get", f"hf:{REPOSITORY}") as terminal:
        assert terminal.exit_code() == 0, terminal.screen
    assert ranges(hub)[1:] == [f"bytes={kept + got}-" for got in (0, 30_000, 50_000)]
    (file,) = folder.rglob("demo-Q4_K_M.gguf")
    assert file.read_bytes() == SMALL_MODEL.read_bytes()


@pytest.mark.parametrize("key", [CTRL_C, CTRL_D])
def test_at_the_question_before_a_download(key, hub):
    with Terminal("solve", PROBLEM, "--small", f"hf:{REPOSITORY}", "--large", "demo") as terminal:
        terminal.wait_for_question("[Y/n]: ")
        terminal.press(key)
        stopped_cleanly(terminal)
    assert ranges(hub) == []


@pytest.mark.parametrize("code", [130, pytest.param(143, marks=pytest.mark.long)])
def test_while_an_answer_is_written(code):
    with Terminal("solve", PROBLEM, *ENDLESS) as terminal:
        terminal.wait_for("● ")
        if code == 130:
            terminal.press(CTRL_C)
        else:
            os.kill(terminal.process.pid, signal.SIGTERM)
        ended_cleanly(terminal, code)
        assert "ended by: stopped" in terminal.screen


@pytest.mark.long
def test_while_the_endpoint_writes_an_answer():
    with Terminal("serve", "--port", "0", *ENDLESS) as terminal:
        terminal.wait_for("/v1")
        address = urlsplit(terminal.screen[terminal.screen.index("http://") :].split()[0])
        question = {"model": "small", "stream": True, "messages": [{"role": "user", "content": PROBLEM}]}
        with closing(HTTPConnection(address.hostname or "", address.port, timeout=LIMIT)) as connection:
            connection.request(
                "POST", "/v1/chat/completions", json.dumps(question), {"Content-Type": "application/json"}
            )
            response = connection.getresponse()
            assert response.readline().startswith(b"data: ")
            terminal.press(CTRL_C)
            stopped_cleanly(terminal)


class HeldServer(FaultyServer):
    """Answers 4 to each question, and waits before the end of its answers until they are let go."""

    def __init__(self) -> None:
        self.let_go, self._held = threading.Event(), threading.Semaphore(0)
        props = about()["/props"] | {"total_slots": 2}
        super().__init__(stream(token("4", 1), self._hold, end(1, "eos")), routes={"/props": props})

    def wait_for_answers(self, count: int) -> None:
        """Wait until so many more answers are held."""
        for _ in range(count):
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
    server = HeldServer()
    with server:
        yield server
        server.let_go.set()


@contextmanager
def batch_under_way(server: HeldServer, out: Path, count: int = 4) -> Iterator[Terminal]:
    """A batch of so many answers, two of which are under way."""
    problems = out.with_suffix(".jsonl")
    problems.write_text("\n".join(json.dumps({"problem": f"{n} + {4 - n}", "answer": "4"}) for n in range(count)))
    options = ("--arm", "small", "--small", server.url, "--parallel", "2", "--out", str(out), "--no-history")
    with Terminal("batch", "run", str(problems), *options) as terminal:
        server.wait_for_answers(2)
        yield terminal


def answers(out: Path) -> list[str]:
    return [json.loads(line)["answer"] for line in (out / "results.jsonl").read_text("utf-8").splitlines()]


def answers_so_far(out: Path) -> list[str]:
    """Let the answers of a batch be written that was stopped."""
    with Terminal("batch", "report", str(out)) as terminal:
        assert terminal.exit_code() == 0, terminal.screen
    return answers(out)


def resume(out: Path) -> None:
    with Terminal("batch", "resume", str(out)) as terminal:
        assert terminal.exit_code() == 0, terminal.screen


def test_the_first_ctrl_c_finishes_the_answers_of_a_batch_that_are_under_way(held_server, folder):
    out = folder / "out"
    with batch_under_way(held_server, out) as terminal:
        terminal.press(CTRL_C)
        terminal.wait_for("Finishing 2 answers. Press Ctrl+C again to stop now.")
        held_server.let_go.set()
        stopped_cleanly(terminal)
        for words in ("Stopped at 2 of 4", f"baton batch resume {out}", f"baton batch report {out}", "correct"):
            assert words in terminal.screen
    assert not (out / "results.jsonl").exists()
    assert answers_so_far(out) == ["4", "4", "", ""]
    resume(out)
    assert (answers(out), held_server.questions) == (["4"] * 4, [1, 1, 1, 1])


def test_a_batch_whose_last_answers_are_finished_is_reported_and_needs_no_resume(held_server, folder):
    with batch_under_way(held_server, folder / "out", count=2) as terminal:
        terminal.press(CTRL_C)
        terminal.wait_for("Finishing 2 answers.")
        held_server.let_go.set()
        ended_cleanly(terminal)
        assert "To continue" not in terminal.screen
    assert answers(folder / "out") == ["4"] * 2


def test_the_second_ctrl_c_stops_them_and_they_are_written_anew(held_server, folder):
    out = folder / "out"
    with batch_under_way(held_server, out) as terminal:
        terminal.press(CTRL_C)
        terminal.wait_for("Finishing 2 answers.")
        terminal.press(CTRL_C)
        stopped_cleanly(terminal)
    assert answers_so_far(out) == [""] * 4
    held_server.let_go.set()
    resume(out)
    assert (answers(out), held_server.questions) == (["4"] * 4, [1, 1, 2, 2])


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_any_other_signal_stops_a_batch_at_once(held_server, folder, number, code):
    with batch_under_way(held_server, folder / "out") as terminal:
        os.kill(terminal.process.pid, number)
        ended_cleanly(terminal, code)
        assert "Finishing" not in terminal.screen
        assert "Stopping. Summing up what is done." in terminal.screen
    assert answers_so_far(folder / "out") == [""] * 4


@pytest.mark.long
def test_evidence_is_continued_by_the_same_command(folder):
    with Terminal("evidence", "--parallel", "2", "--out", str(folder / "out")) as terminal:
        terminal.wait_for(" errors")
        terminal.press(CTRL_C)
        stopped_cleanly(terminal)
        assert "To continue: the same command" in terminal.screen


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_the_first_signal_stops_a_run_and_the_second_ends_the_program(number, code):
    control = Control()
    with interruptible():
        with stops_on_interrupt(control):
            signal.raise_signal(number)
            assert control.stopped
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(number)
        assert exit_code_of_signal() == code


def test_in_a_batch_the_first_ctrl_c_finishes_the_second_stops_and_the_third_ends_the_program():
    control, finished = Control(), threading.Event()
    with interruptible(), stops_on_interrupt(control, finished.set):
        signal.raise_signal(signal.SIGINT)
        assert (finished.is_set(), control.stopped) == (True, False)
        signal.raise_signal(signal.SIGINT)
        assert control.stopped
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_killed_program_leaves_no_log_behind():
    with Terminal("solve", PROBLEM, *ENDLESS) as terminal:
        terminal.wait_for("● ")
        os.kill(terminal.process.pid, signal.SIGKILL)
        assert terminal.exit_code() == -signal.SIGKILL
        assert terminal.processes_left() == []
