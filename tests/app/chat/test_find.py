"""Find in the conversation: keys, count, highlights, and scrolling to a match."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtCore import SIGNAL, QPoint, Qt
from PySide6.QtGui import QColor, QTextCursor
from PySide6.QtWidgets import QTextEdit
from pytestqt.qtbot import QtBot

from baton_reasoning.app.document import RichText
from baton_reasoning.app.document.rich_text import Layer
from baton_reasoning.app.session.conversation import ShownComparison
from baton_reasoning.app.toolkit.theme import current_theme
from baton_reasoning.app.window.main_window import MainWindow
from tests.app.conftest import ScriptedLoader, last_answer, last_exchange
from tests.fakes.scripted import ScriptedEngine

Make = Callable[..., MainWindow]
LINES = "".join(f"This is step {number} of very many.\n\n" for number in range(120))
CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def answered(make_window, qtbot):
    """A window with one answer of 120 steps."""
    loader = ScriptedLoader()
    loader.small = ScriptedEngine(LINES + "So $2 + 3 = 5$.</think>\n\nThe answer is 5, after step 7.")
    window = make_window(loader)
    window.preferences.change_run(max_tokens=5000)
    qtbot.waitUntil(lambda: window.session.ready)
    window.session.ask("How many steps are there?")
    qtbot.waitUntil(lambda: window.session.ready and last_answer(window).steps.complete)
    return window


def expand(window: MainWindow, qtbot: QtBot) -> None:
    """Show all steps, from the first on."""
    last_answer(window).keep_open()
    bar = window.chat.conversation.verticalScrollBar()
    qtbot.waitUntil(lambda: bar.maximum() > 1000)
    bar.setValue(0)


def find(window: MainWindow, qtbot: QtBot, words: str, count: str) -> None:
    qtbot.waitUntil(window.isActiveWindow)
    qtbot.keyClick(window.chat.composer.edit, Qt.Key.Key_F, CONTROL)
    bar = window.chat.find_bar
    assert bar.isVisible()
    qtbot.keyClicks(bar.edit, words)
    qtbot.waitUntil(lambda: bar.count.text() == count)


def current(window: MainWindow) -> tuple[RichText, QTextCursor]:
    """The text and the place of the match that is marked as the current one."""
    ground = QColor(current_theme().colours.current_match)
    marked = []
    for text in window.chat.conversation.texts():
        lit = [each for each in text.extraSelections() if each.format.background().color() == ground]
        marked += [(text, QTextCursor(each.cursor)) for each in lit]
    assert len(marked) == 1
    return marked[0]


def in_sight(window: MainWindow) -> bool:
    """Whether the current match is within the viewport."""
    text, cursor = current(window)
    area = window.chat.conversation.viewport()
    start = QTextCursor(cursor)
    start.setPosition(cursor.selectionStart())
    place = text.mapTo(area, text.cursorRect(start).center())
    return area.rect().contains(QPoint(area.rect().center().x(), place.y()))


def test_all_matches_are_counted_and_return_goes_through_them(answered, qtbot):
    expand(answered, qtbot)
    find(answered, qtbot, "step 7", "1 of 12")  # the answer, 7, and 70 to 79
    edit, count = answered.chat.find_bar.edit, answered.chat.find_bar.count
    assert current(answered)[0] is last_answer(answered).answer
    for number in range(2, 13):
        qtbot.keyClick(edit, Qt.Key.Key_Return)
        qtbot.waitUntil(lambda number=number: count.text() == f"{number} of 12")
        qtbot.waitUntil(lambda: in_sight(answered))
    assert current(answered)[0] is last_answer(answered).steps
    qtbot.keyClick(edit, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: count.text() == "1 of 12")
    qtbot.keyClick(edit, Qt.Key.Key_Return, SHIFT)
    qtbot.waitUntil(lambda: count.text() == "12 of 12")
    qtbot.keyClick(edit, Qt.Key.Key_F3, SHIFT)
    qtbot.waitUntil(lambda: count.text() == "11 of 12")
    qtbot.keyClick(edit, Qt.Key.Key_F3)
    qtbot.waitUntil(lambda: count.text() == "12 of 12")


def test_a_match_in_collapsed_reasoning_expands_it(answered, qtbot):
    assert last_answer(answered).folded
    find(answered, qtbot, "step 42 of", "1 of 1")
    assert not last_answer(answered).folded
    qtbot.waitUntil(lambda: in_sight(answered))


def test_escape_closes_the_bar_and_takes_the_highlights_away(answered, qtbot):
    find(answered, qtbot, "steps", "1 of 1")
    qtbot.keyClick(answered.chat.find_bar.edit, Qt.Key.Key_Escape)
    assert not answered.chat.find_bar.isVisible()
    assert answered.chat.composer.edit.hasFocus()
    assert not any(text.extraSelections() for text in answered.chat.conversation.texts())


def test_another_conversation_is_searched_when_it_is_opened(answered, qtbot):
    find(answered, qtbot, "steps", "1 of 1")
    answered.session.new()
    qtbot.waitUntil(lambda: answered.chat.find_bar.count.text() == "No matches")
    answered.session.ask("How many steps, and which steps?")
    qtbot.waitUntil(lambda: answered.session.ready)
    qtbot.waitUntil(lambda: answered.chat.find_bar.count.text().endswith("of 2"))


def test_matches_come_while_the_answer_is_written(make_window, qtbot):
    loader = ScriptedLoader()
    loader.small = ScriptedEngine(LINES + "</think>\n\nDone.")
    window = make_window(loader)
    window.preferences.change_run(max_tokens=5000)
    qtbot.waitUntil(lambda: window.session.ready)
    window.session.ask("How many?")
    qtbot.waitUntil(window.isActiveWindow)
    qtbot.keyClick(window.chat.composer.edit, Qt.Key.Key_F, CONTROL)
    window.chat.find_bar.edit.setText("very many")
    qtbot.waitUntil(lambda: window.chat.find_bar.count.text().endswith(" of 120"))
    qtbot.waitUntil(lambda: window.session.ready)


def test_words_are_found_in_either_case_through_marks_and_not_as_a_pattern(answered, qtbot):
    problem = answered.chat.conversation.texts()[0]
    problem.set_markdown("**Wait**, so (a.b)*\n\nlet me WAIT. AXB await, 😀 wait")
    find(answered, qtbot, "wait", "1 of 4")
    answered.chat.find_bar.edit.setText("wait, SO")
    assert current(answered)[1].selectedText() == "Wait, so"
    answered.chat.find_bar.edit.setText("(a.b)*")
    assert answered.chat.find_bar.count.text() == "1 of 1"


def test_what_is_found_and_highlighted_is_limited(answered, qtbot, monkeypatch):
    monkeypatch.setattr("baton_reasoning.app.chat.find.MOST", 50)
    expand(answered, qtbot)
    find(answered, qtbot, "very many", "1 of 50+")
    assert len(last_answer(answered).steps.extraSelections()) == 50


def test_the_marks_of_find_leave_those_of_others(answered, qtbot):
    steps, mark = last_answer(answered).steps, QTextEdit.ExtraSelection()
    expand(answered, qtbot)
    mark.cursor = steps.document().find("step 3")
    steps.lay(Layer.OPINION, [mark])
    find(answered, qtbot, "step 7", "1 of 12")
    assert len(steps.extraSelections()) == 12
    qtbot.keyClick(answered.chat.find_bar.edit, Qt.Key.Key_Escape)
    assert [each.cursor.selectedText() for each in steps.extraSelections()] == ["step 3"]


def test_searching_leaves_nothing_connected_behind(answered, qtbot):
    """Each comparison once left two more receivers of the scroll bar."""
    bar, steps = answered.chat.conversation.verticalScrollBar(), last_answer(answered).steps

    def receivers() -> list[int]:
        document = steps.document()
        signals = ((bar, "valueChanged(int)"), (bar, "rangeChanged(int,int)"), (document, "contentsChanged()"))
        return [sender.receivers(SIGNAL(signal)) for sender, signal in signals]

    find(answered, qtbot, "steps", "1 of 1")
    before = receivers()
    for _ in range(3):
        answered.chat.comparison.open(ShownComparison((last_exchange(answered),)))
        answered.chat.comparison.leave()
        answered.chat.close_find()
        answered.chat.find_bar.open()
    assert receivers() == before


def test_the_latest_is_one_key_away(answered, qtbot):
    conversation = answered.chat.conversation
    last_answer(answered).keep_open()
    bar = conversation.verticalScrollBar()
    qtbot.waitUntil(lambda: bar.maximum() > 500)
    bar.setValue(bar.maximum())
    assert conversation.latest.isVisible()
    qtbot.keyClick(answered.chat.composer.edit, Qt.Key.Key_End, Qt.KeyboardModifier.AltModifier)
    qtbot.waitUntil(lambda: not last_answer(answered).result.visibleRegion().isEmpty())
    assert not conversation.latest.isVisible()
    bar.setValue(bar.maximum())
    qtbot.mouseClick(conversation.latest, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not last_answer(answered).result.visibleRegion().isEmpty())
