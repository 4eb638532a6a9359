"""Two scripted models whose arms differ: the small one is wrong alone, and right when the large one has helped."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from baton_reasoning.app.compare.chooser import Chooser
from baton_reasoning.app.compare.view import CompareView
from baton_reasoning.app.window.main_window import MainWindow
from baton_reasoning.core.engines.base import Conversation
from baton_reasoning.core.errors import EngineLost
from tests.app.conftest import ScriptedLoader
from tests.fakes.scripted import Fault, ScriptedEngine

ALONE = (
    "First we look at it all.\n\nWait, that is five, and no more.\n\nIt is five.</think>\n\nThe answer is \\boxed{5}."
)
RIGHT = (
    "First we look at it all.\n\nWait, let me see: two and two make four, as everybody knows who can count that far."
    "\n\nIt is four.</think>\n\nThe answer is \\boxed{4}."
)
GUIDED = "\n\nIt is four.</think>\n\nThe answer is \\boxed{4}."
PROBLEM = "What is 2 + 2?"


def rest_of(text: str, otherwise: str = "") -> Callable[[Conversation, str], str]:
    return lambda _, body: text[len(body) :] if text.startswith(body) else otherwise


def arms_loader(before_token: Callable[[str], None] = lambda _: None, lost: bool = False) -> ScriptedLoader:
    """`lost`: the large model is gone for good before its first token."""
    loader = ScriptedLoader()
    faults = (
        [Fault(0, EngineLost("The process of large.gguf was killed.", "Restart it."), for_good=True)] if lost else []
    )
    loader.small = ScriptedEngine(continue_with=rest_of(ALONE, GUIDED), before_token=before_token)
    loader.large = ScriptedEngine(continue_with=rest_of(RIGHT), before_token=before_token, faults=faults, name="large")
    return loader


def dialog() -> Chooser:
    return next(
        widget for widget in QApplication.topLevelWidgets() if isinstance(widget, Chooser) and widget.isVisible()
    )


def view_of(window: MainWindow) -> CompareView:
    view = window.chat.comparison.view
    assert isinstance(view, CompareView)
    return view


@pytest.fixture
def compare(qtbot, make_window):
    """Compares the usual arms on a problem and waits until everything stands in its place."""

    def compare(loader: ScriptedLoader | None = None, width: int = 1440, expected: str = "") -> MainWindow:
        window = make_window(loader or arms_loader(), width=width)
        qtbot.waitUntil(lambda: window.session.ready and window.models.pair.small is not None)
        window.chat.composer.set_text(PROBLEM)
        window.chat.compare()
        dialog().expected.setText(expected)
        dialog().go.click()
        settle(window, qtbot)
        return window

    return compare


def settle(window: MainWindow, qtbot: QtBot) -> None:
    """Wait until nothing is written, the answers are graded, and it is known where they part."""
    qtbot.waitUntil(lambda: window.session.ready)
    over = [column for column in view_of(window).columns if column.is_over]
    if len(over) > 1:
        qtbot.waitUntil(lambda: all(column.verdict.text() for column in over))
        qtbot.waitUntil(lambda: bool(view_of(window).note.text()))
