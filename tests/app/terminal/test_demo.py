"""`baton demo` shows how the models answer, and ends with the scoreboard; so does the window without a display.

The demo pair costs what a real pair does where one answer is waited for, and is tiny in a batch.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence

import pytest

from baton_reasoning.core.demo_pair import READY_PROBLEMS, costly
from tests.app.terminal.conftest import DEMO
from tests.app.terminal.terminal import Terminal
from tests.patience import PATIENCE

pytestmark = pytest.mark.slow

ROW = re.compile(r"(small alone|both, \d+% by large|large alone) +(\d{5})  ([✓✗])  +\d+\.\d s")


def marks(lines: Sequence[str]) -> list[str]:
    """The marks of the three rows that the output ends with; each has answer, mark and seconds."""
    rows = [ROW.fullmatch(line) for line in lines[-3:]]
    assert all(rows), lines[-3:]
    assert [row[1].split()[0] for row in rows if row] == ["small", "both,", "large"]
    return [row[3] for row in rows if row]


def test_the_demo_ends_with_the_scoreboard(baton):
    done = baton("demo", "1")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert marks(lines) == ["✗", "✓", "✓"]
    assert [line.split(" ─")[0] for line in lines if line.startswith("──")] == [
        "── Small alone",
        "── Both",
        "── Large alone",
        "── The answer is 12085",
    ]


def test_nothing_follows_the_scoreboard_on_a_terminal_either():
    with Terminal("demo") as terminal:
        assert terminal.exit_code() == 0, terminal.screen
        assert marks(terminal.screen.splitlines()) == ["✗", "✓", "✓"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems always have a display")
def test_the_window_without_a_display_is_the_demo_in_the_terminal():
    environment = {name: value for name, value in os.environ.items() if name != "QT_QPA_PLATFORM"}
    done = subprocess.run(
        [sys.executable, "-m", "baton_reasoning.app"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=environment | {"DISPLAY": ":97", "WAYLAND_DISPLAY": ""},
    )
    assert done.returncode == 0, done.stderr
    assert "Here is the demo in the terminal instead" in done.stdout
    assert marks(done.stdout.splitlines()) == ["✗", "✓", "✓"]


@pytest.fixture
def a_little_more_costly(monkeypatch):
    monkeypatch.delenv(costly.SWITCH)
    monkeypatch.setattr(costly, "RATIO", 2)
    monkeypatch.setattr(costly, "BLOCK", costly.Shape(feed_forward=256))


@pytest.mark.usefixtures("a_little_more_costly")
def test_the_demo_makes_its_files_once(tmp_path, baton):
    first = baton("demo", XDG_CACHE_HOME=str(tmp_path))
    assert first.returncode == 0, first.stderr
    assert costly.MAKING in first.stderr
    problem = json.loads(READY_PROBLEMS.read_text("utf-8").splitlines()[0])["problem"]
    again = baton("solve", problem, *DEMO, "--context", "1024", XDG_CACHE_HOME=str(tmp_path))
    assert again.returncode == 0, again.stderr
    assert costly.MAKING not in again.stderr
    assert len(list(tmp_path.rglob("*.gguf"))) == 2


@pytest.mark.usefixtures("a_little_more_costly")
def test_without_room_the_demo_runs_on_its_tiny_models(tmp_path, baton):
    taken = tmp_path / "cache"
    taken.write_text("a file, where a folder should be", encoding="utf-8")
    done = baton("demo", XDG_CACHE_HOME=str(taken))
    assert done.returncode == 0, done.stderr
    assert "The demo runs on its tiny models, which are equally fast" in done.stderr


@pytest.mark.usefixtures("a_little_more_costly")
def test_a_batch_runs_on_the_tiny_models(tmp_path, baton):
    arguments = ("--limit", "1", "--arm", "small", "--context", "1024", "--out", str(tmp_path / "out"))
    done = baton("batch", "run", str(READY_PROBLEMS), *DEMO, *arguments, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.rglob("*.gguf"))
