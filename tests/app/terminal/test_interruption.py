"""Ctrl+C at every stage, SIGTERM and SIGHUP: one line, the exit code, no traceback, nothing left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.demo_pair import BATCH_PROBLEMS, LARGE_MODEL, SMALL_MODEL
from tests.app.terminal.terminal import CTRL_C, Terminal, logs

PROBLEM = "Each term is the sum of the two before it, digit by digit without carries (#)."
AT_IMPORT = """
import os, signal, sys
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
from app.cli import main
sys.exit(main(["solve", "1+1"]))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """For temporary files; and no settings of a person."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def silent_server() -> Iterator[str]:
    """An address that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def stopped_cleanly(terminal: Terminal, code: int = 130) -> None:
    assert terminal.exit_code() == code, terminal.screen
    assert "Traceback" not in terminal.screen
    assert "KeyboardInterrupt" not in terminal.screen
    assert terminal.screen.count("Stopped") == 1


@pytest.mark.parametrize("module", ["click", "app.terminal.solve", "core.run", "numpy", "core.engines.local.client"])
def test_while_the_program_is_imported(module: str, folder: Path) -> None:
    with Terminal(code=AT_IMPORT.format(module=module)) as terminal:
        stopped_cleanly(terminal)


@pytest.mark.parametrize("model", ["small.gguf", "large.gguf"])
def test_while_a_model_is_loaded(model: str, folder: Path) -> None:
    with Terminal("solve", PROBLEM, "--small", str(SMALL_MODEL), "--large", str(LARGE_MODEL)) as terminal:
        terminal.wait_for(f"Loading {model}")
        terminal.press(CTRL_C)
        stopped_cleanly(terminal)
    assert logs(folder) == []


def test_while_a_server_is_waited_for(silent_server: str, folder: Path) -> None:
    with Terminal("solve", PROBLEM, "--small", str(SMALL_MODEL), "--large", silent_server) as terminal:
        terminal.wait_for("Connecting to")
        terminal.press(CTRL_C)
        stopped_cleanly(terminal)
    assert logs(folder) == []


def test_while_a_model_is_profiled(folder: Path) -> None:
    with Terminal("profile", str(SMALL_MODEL), "--tokens", "100000", "-c", "100000") as terminal:
        terminal.wait_for("problem 1 of 4")
        terminal.press(CTRL_C)
        stopped_cleanly(terminal)
    assert logs(folder) == []


def test_while_an_answer_is_written(folder: Path) -> None:
    with Terminal("solve", PROBLEM, "--policy", "never", "-n", "100000", "-c", "100000") as terminal:
        terminal.wait_for("● ")
        terminal.press(CTRL_C)
        assert terminal.exit_code() == 130
        assert "ended by: stopped" in terminal.screen
        assert "Traceback" not in terminal.screen
    assert logs(folder) == []


def test_a_batch_says_how_to_continue_it_and_continues(folder: Path) -> None:
    out = folder / "out"
    arms = ("--arm", "small", "--parallel", "2", "-c", "1024", "--out", str(out))
    with Terminal("batch", str(BATCH_PROBLEMS), *arms) as terminal:
        terminal.wait_for("of 300")
        terminal.press(CTRL_C)
        stopped_cleanly(terminal)
        assert "--resume" in terminal.screen
    assert logs(folder) == []
    with Terminal("batch", "--resume", "--out", str(out), "-c", "1024") as terminal:
        assert terminal.exit_code() == 0, terminal.screen


def test_a_large_batch_is_stopped_at_once_and_reported_on_demand(folder: Path) -> None:
    out = folder / "out"
    arms = ("--arm", "small", "--seeds", "7", "--parallel", "2", "-c", "1024", "--out", str(out))
    with Terminal("batch", str(BATCH_PROBLEMS), *arms) as terminal:
        terminal.wait_for("of 2,100")
        terminal.press(CTRL_C)
        stopped_cleanly(terminal)
        assert "every answer is saved" in terminal.screen
        assert "--report" in terminal.screen
    assert not (out / "results.jsonl").exists()
    with Terminal("batch", "--report", "--out", str(out)) as terminal:
        assert terminal.exit_code() == 0, terminal.screen
    assert len((out / "results.jsonl").read_text("utf-8").splitlines()) == 2_100


@pytest.mark.real_models
def test_while_a_long_prompt_is_read(smollm2: Path, folder: Path) -> None:
    problem = "A farmer has 17 sheep, sells 4 of them, and buys 9 more at the market in the next town. " * 120
    models = ("--small", str(smollm2), "--large", str(smollm2), "-c", "4096", "--threads", "1")
    with Terminal("solve", problem, "--policy", "never", *models) as terminal:
        terminal.wait_for("Reading the prompt … ")
        terminal.press(CTRL_C)
        assert terminal.exit_code() == 130, terminal.screen
        assert "0 steps" in terminal.screen, "no token was written"
        assert "ended by: stopped" in terminal.screen
    assert logs(folder) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_other_signals_stop_in_the_same_way(number: signal.Signals, code: int, folder: Path) -> None:
    with Terminal("solve", PROBLEM, "--policy", "never", "-n", "100000", "-c", "100000") as terminal:
        terminal.wait_for("● ")
        os.kill(terminal.process.pid, number)
        assert terminal.exit_code() == code
        assert "ended by: stopped" in terminal.screen
    assert logs(folder) == []


def test_a_killed_program_leaves_no_log_behind(folder: Path) -> None:
    with Terminal("solve", PROBLEM, "--policy", "never", "-n", "100000", "-c", "100000") as terminal:
        terminal.wait_for("● ")
        os.kill(terminal.process.pid, signal.SIGKILL)
        assert terminal.exit_code() == -signal.SIGKILL
    assert logs(folder) == []


def test_a_reader_that_has_gone_ends_the_program_silently(folder: Path) -> None:
    command = f"'{sys.executable}' -m app.cli solve '{PROBLEM}' --policy never -q --json | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""
