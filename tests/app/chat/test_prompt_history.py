"""Up in an empty composer shows the last problems, Down goes back, Esc empties it again."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from baton_reasoning.app.window.main_window import MainWindow

UP, DOWN = Qt.Key.Key_Up, Qt.Key.Key_Down


@pytest.fixture
def asked(window: MainWindow, qtbot: QtBot) -> MainWindow:
    """Two problems in a conversation, then one in another that is open."""
    edit = window.chat.composer.edit
    for problem in ("1 + 1?", "2 + 2?", "", "3 + 3?"):
        qtbot.waitUntil(lambda: window.session.ready)
        if not problem:
            window.session.new()
            continue
        qtbot.keyClicks(edit, problem)
        qtbot.keyClick(edit, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: window.session.ready)
    assert edit.toPlainText() == ""
    return window


def after(window: MainWindow, qtbot: QtBot, *keys: Qt.Key) -> list[str]:
    """What stands in the composer after each key."""
    edit, shown = window.chat.composer.edit, []
    for key in keys:
        qtbot.keyClick(edit, key)
        shown.append(edit.toPlainText())
    return shown


def test_up_goes_back_in_time_down_returns_and_escape_empties_the_composer(asked: MainWindow, qtbot: QtBot) -> None:
    shown = after(asked, qtbot, UP, UP, UP, UP, DOWN, DOWN, DOWN, DOWN)
    assert shown == ["3 + 3?", "2 + 2?", "1 + 1?", "1 + 1?", "2 + 2?", "3 + 3?", "", ""]
    assert after(asked, qtbot, UP, UP, Qt.Key.Key_Escape, UP) == ["3 + 3?", "2 + 2?", "", "3 + 3?"]


def test_the_problems_of_the_open_conversation_come_first(asked: MainWindow, qtbot: QtBot) -> None:
    history = asked.chat.sidebar.list
    rows = [history.model().index(row, 0) for row in range(history.model().rowCount())]
    first = next(index for index in rows if "1 + 1?" in str(index.data()))
    qtbot.mouseClick(history.viewport(), Qt.MouseButton.LeftButton, pos=history.visualRect(first).center())
    qtbot.waitUntil(lambda: len(asked.session.conversation.path) == 2 and asked.session.ready)
    assert after(asked, qtbot, UP, UP, UP) == ["2 + 2?", "1 + 1?", "3 + 3?"]


def test_a_recalled_problem_is_sent_as_any_other(asked: MainWindow, qtbot: QtBot) -> None:
    after(asked, qtbot, UP, UP, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: asked.session.ready)
    assert [exchange.problem for exchange in asked.session.conversation.path] == ["3 + 3?", "2 + 2?"]
    assert after(asked, qtbot, UP) == ["2 + 2?"]


@pytest.mark.parametrize("recalled", [False, True])
def test_up_in_a_text_of_ones_own_moves_the_cursor(asked: MainWindow, qtbot: QtBot, recalled: bool) -> None:
    edit = asked.chat.composer.edit
    if recalled:
        after(asked, qtbot, UP)
    qtbot.keyClicks(edit, "a")
    qtbot.keyClick(edit, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    text = edit.toPlainText()
    assert after(asked, qtbot, UP) == [text]
    assert edit.textCursor().blockNumber() == 0
    qtbot.keyClick(edit, Qt.Key.Key_Escape)
    assert edit.toPlainText() == text, "nothing that a person wrote is lost"
