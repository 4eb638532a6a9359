"""One history: what the terminal writes opens in the window, and what the window writes opens in the terminal.

What `baton` writes it writes as a process of its own, on the demo pair, so that it and the window share nothing but the
store on the disk.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stdout

import pytest
from PySide6.QtWidgets import QAbstractButton, QWidget
from pytestqt.qtbot import QtBot

from baton_reasoning.app.batch.result_table import FIRST_ARM
from baton_reasoning.app.chat.sidebar import ROW
from baton_reasoning.app.cli import main
from baton_reasoning.app.toolkit.background import StreamTask
from baton_reasoning.app.window.main_window import MainWindow
from baton_reasoning.core.demo_pair import BATCH_PROBLEMS, DemoProblem
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.paths import Paths
from tests.app.conftest import answer_to, last_exchange
from tests.patience import PATIENCE

PROBLEM = DemoProblem(60_836)
Make = Callable[..., MainWindow]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="folders of a user are set by XDG_* on Linux"),
]


@pytest.fixture
def paths(tmp_path, monkeypatch):
    """Those of a user, for this process and for those that it starts."""
    for name in ("DATA", "CONFIG", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    return Paths.of_user()


@pytest.fixture
def open_window(make_window, paths):
    return lambda: make_window(paths=paths)


def baton(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "baton_reasoning", *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=os.environ,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def history(*arguments: str) -> str:
    with redirect_stdout(io.StringIO()) as output:
        assert main(["history", *arguments]) == 0
    return output.getvalue()


def in_terminal(*arguments: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in history(*arguments, "--json").splitlines()]


def in_sidebar(window: MainWindow) -> list[str]:
    model = window.chat.sidebar.list.model()
    rows = [model.index(row, 0) for row in range(model.rowCount())]
    return [str(row.data()) for row in rows if row.data(ROW).conversation]


def earlier_batch(window: MainWindow, words: str) -> QAbstractButton | None:
    """The button that opens a batch of these words."""
    buttons = window.findChildren(QAbstractButton)
    return next((button for button in buttons if words in button.accessibleName()), None)


def look_elsewhere_and_come_back(window: MainWindow, qtbot: QtBot) -> None:
    """As a person does who runs a command in a terminal meanwhile."""
    with qtbot.waitActive(window):
        window.activateWindow()


def test_an_answer_of_the_terminal_opens_in_the_window_and_goes_on_there(open_window, qtbot):
    baton("solve", PROBLEM.question)
    window = open_window()
    qtbot.waitUntil(lambda: len(in_sidebar(window)) == 1)
    assert in_sidebar(window)[0].startswith(PROBLEM.question[:40])
    view = window.chat.sidebar.list
    view.activated.emit(view.model().index(1, 0))
    qtbot.waitUntil(lambda: window.session.ready and bool(window.session.conversation.leaf))
    leaf = last_exchange(window)
    assert leaf.problem == PROBLEM.question
    assert f"\\boxed{{{PROBLEM.answer}}}" in leaf.trace.answer
    assert {piece.author for piece in leaf.trace.pieces} >= {Author.SMALL, Author.LARGE}
    window.session.ask("And then?")
    qtbot.waitUntil(lambda: window.session.ready and window.session.conversation.leaf is not leaf)
    (entry,) = in_terminal("list")
    assert entry["size"] == "2", "the conversation has both answers now"


@pytest.mark.long
def test_a_window_that_is_open_shows_what_the_terminal_wrote_meanwhile(open_window, qtbot):
    window = open_window()
    qtbot.waitUntil(lambda: window.session.ready)
    with qtbot.waitExposed(other := QWidget()):
        other.show()
        other.activateWindow()
    qtbot.addWidget(other)
    qtbot.waitUntil(lambda: not window.isActiveWindow())
    baton("solve", PROBLEM.question, "-q")
    results = str(window.paths.data / "batch")
    baton("batch", "run", str(BATCH_PROBLEMS), "--arm", "small", "--limit", "2", "-c", "1024", "-o", results)
    assert in_sidebar(window) == []
    window.show_page("batch")
    look_elsewhere_and_come_back(window, qtbot)
    assert len(in_sidebar(window)) == 1
    assert earlier_batch(window, "2 problems · Small only")


@pytest.mark.long
def test_a_batch_of_the_terminal_opens_in_the_window(open_window, qtbot, tmp_path):
    arms = ("--arm", "large", "--limit", "2", "--parallel", "2", "-c", "1024")
    baton("batch", "run", str(BATCH_PROBLEMS), *arms, "-o", str(tmp_path / "out"))
    window = open_window()
    qtbot.waitUntil(lambda: window.session.ready)
    window.show_page("batch")
    assert window._batch
    earlier = earlier_batch(window, "2 problems · Large only")
    assert earlier
    assert earlier.accessibleName().endswith("done")
    with qtbot.waitSignal(window._batch.session.opened):
        earlier.click()
    qtbot.waitUntil(lambda: not window.findChildren(StreamTask))
    model = window._batch.view.model
    assert [model.index(row, FIRST_ARM).data() for row in range(model.rowCount())] == ["✓", "✓"]


def test_an_answer_of_the_window_opens_in_the_terminal(open_window, qtbot, tmp_path):
    window = open_window()
    answer_to(window, qtbot, "How many fish are there?")
    (entry,) = in_terminal("list")
    assert (entry["kind"], entry["name"]) == ("answer", "How many fish are there?")
    assert entry["id"] == window.session.conversation.id
    shown = history("show", entry["id"][:8])
    assert "● First step." in shown
    assert "◆ Wait, let me see: two and two" in shown
    assert [found["id"] for found in in_terminal("search", "fish")] == [entry["id"]]
    history("export", entry["id"], str(tmp_path / "fish.md"))
    assert "How many fish are there?" in (tmp_path / "fish.md").read_text(encoding="utf-8")


def test_a_batch_of_the_window_opens_in_the_terminal(open_window, qtbot, tmp_path):
    file = tmp_path / "two.csv"
    file.write_text("question,answer\nHow many?,4\nHow few?,5\n")
    window = open_window()
    qtbot.waitUntil(lambda: window.session.ready)
    page = window._batch
    assert page
    with qtbot.waitSignal(page.session.read):
        page.open_problems(file)
    for name, box in page.preview.arms.items():
        box.setChecked(name == "small")
    page.preview.start.click()
    qtbot.waitUntil(lambda: not page.session.findChildren(StreamTask) and not page.session.running)
    entry = next(entry for entry in in_terminal("list") if entry["kind"] == "batch")
    assert entry["size"] == "2 of 2"
    assert "2 problems" in history("show", entry["id"])
    history("export", entry["id"], str(tmp_path / "out.jsonl"))
    assert len((tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()) == 2
