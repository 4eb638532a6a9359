"""Reading, asking and deleting while an answer is written: conversations do not wait for each other's pages."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent
from PySide6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot

from baton_reasoning.app.chat.remedies import AnswerAction
from baton_reasoning.app.chat.sidebar import ROW
from baton_reasoning.app.session.conversation import Conversation
from baton_reasoning.app.session.run_list import Activity, RunMark
from baton_reasoning.app.toolkit import accessible
from baton_reasoning.app.window.main_window import MainWindow
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.events import Finish
from tests.app.conftest import ScriptedLoader, last_answer, last_exchange
from tests.fakes.held import HeldAnswers

Make = Callable[..., MainWindow]


@pytest.fixture
def held():
    held = HeldAnswers()
    yield held
    held.let_all_go()


@pytest.fixture
def window(make_window, held, qtbot):
    """In which “Earlier” is answered, and “Long” is being written."""
    loader = ScriptedLoader()
    loader.small, loader.large = held.small, held.large
    window = make_window(loader)
    held.let_go("Earlier")
    qtbot.waitUntil(lambda: window.session.ready)
    ask(window, qtbot, "Earlier")
    qtbot.waitUntil(lambda: window.session.ready and last_exchange(window).trace.ended is not None)
    qtbot.keyClick(window.chat.composer.edit, Qt.Key.Key_N, Qt.KeyboardModifier.ControlModifier)
    ask(window, qtbot, "Long")
    qtbot.waitUntil(lambda: last_exchange(window).trace.tokens > 2)
    qtbot.waitUntil(lambda: len(rows(window)) == 2)
    return window


def ask(window: MainWindow, qtbot: QtBot, problem: str) -> None:
    qtbot.keyClicks(window.chat.composer.edit, problem)
    qtbot.keyClick(window.chat.composer.edit, Qt.Key.Key_Return)


def rows(window: MainWindow) -> dict[str, QModelIndex]:
    """The conversations in the sidebar, by their text."""
    model = window.chat.sidebar.list.model()
    indices = [model.index(row, 0) for row in range(model.rowCount())]
    return {index.data(): index for index in indices if index.data(ROW).conversation}


def click(window: MainWindow, qtbot: QtBot, text: str) -> None:
    view = window.chat.sidebar.list
    place = view.visualRect(rows(window)[text]).center()
    qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)


def shown(window: MainWindow) -> str:
    return window.session.conversation.name


def long(window: MainWindow) -> Conversation:
    """The conversation whose answer is being written."""
    return window.session.conversation


def test_another_conversation_is_read_while_an_answer_is_written(window, held, qtbot):
    writing = long(window)
    click(window, qtbot, "Earlier")
    assert shown(window) == "Earlier"
    qtbot.waitUntil(lambda: last_exchange(window).is_read)
    assert last_answer(window).answer.toPlainText() == "That was Earlier."
    assert list(rows(window)) == ["▶ Long", "Earlier"]
    assert rows(window)["▶ Long"].data(Qt.ItemDataRole.AccessibleTextRole) == "Long, an answer is being written"
    assert window.session.runs.activity(writing) is Activity.WRITING
    held.let_go("Long")
    qtbot.waitUntil(lambda: "✓ Long" in rows(window))
    assert shown(window) == "Earlier"
    click(window, qtbot, "✓ Long")
    assert last_answer(window).answer.toPlainText() == "That was Long."
    assert "Long" in rows(window)


def test_a_question_in_another_conversation_waits_for_its_turn_and_says_so(window, held, qtbot):
    held.let_go("Second")
    qtbot.keyClick(window.chat.composer.edit, Qt.Key.Key_N, Qt.KeyboardModifier.ControlModifier)
    ask(window, qtbot, "Second")
    assert last_answer(window).ending.text() == "Waiting for its turn, after 1 other answer…"
    qtbot.waitUntil(lambda: "◌ Second" in rows(window))
    held.let_go("Long")
    qtbot.waitUntil(lambda: window.session.ready and last_exchange(window).trace.ended is not None)
    assert last_answer(window).answer.toPlainText() == "That was Second."
    qtbot.waitUntil(lambda: {"✓ Long", "Second", "Earlier"} == set(rows(window)))


def test_a_fork_that_waits_for_its_turn_says_so_and_offers_nothing_else(window, held, qtbot):
    click(window, qtbot, "Earlier")
    qtbot.waitUntil(lambda: last_exchange(window).is_read)
    earlier = last_exchange(window)
    window.session.fork(earlier, earlier.trace.pieces[1].position)
    fork = last_exchange(window)
    assert last_answer(window).ending.text() == "Waiting for its turn, after 1 other answer…"
    assert not last_answer(window)._continue.isVisible()
    qtbot.mouseClick(window.chat.composer._stop_button, Qt.MouseButton.LeftButton)
    assert last_answer(window).ending.text() == "Interrupted before its end. Continue goes on from here."
    held.let_go("Long")
    held.let_go("Earlier")
    qtbot.mouseClick(last_answer(window)._continue, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: fork.trace.finish is Finish.END_OF_TEXT)


def test_a_conversation_that_is_entered_again_shows_who_writes_and_how_the_answer_grows(window, held, qtbot):
    answering = window.session.answering
    assert answering is not None
    answering.author = Author.LARGE  # who has not written a token yet
    click(window, qtbot, "Earlier")
    click(window, qtbot, "▶ Long")
    assert window.chat.composer._baton.text() == "● Give back"
    assert window.chat.composer._stop_button.isVisible()
    assert "About Long" in last_answer(window).steps.toPlainText()
    held.let_go("Long")
    qtbot.waitUntil(lambda: last_answer(window).answer.toPlainText() == "That was Long.")
    qtbot.waitUntil(lambda: window.chat.composer._send_button.isVisible())


def test_stop_ends_the_answer_in_view_alone(window, held, qtbot):
    writing = long(window).path[-1]
    qtbot.keyClick(window.chat.composer.edit, Qt.Key.Key_N, Qt.KeyboardModifier.ControlModifier)
    ask(window, qtbot, "Second")
    qtbot.mouseClick(window.chat.composer._stop_button, Qt.MouseButton.LeftButton)
    assert window.session.ready
    assert last_answer(window).ending.text() == "Stopped before it began."
    held.let_go("Long")
    qtbot.waitUntil(lambda: writing.trace.finish is Finish.END_OF_TEXT)


def test_deleting_a_conversation_stops_its_answer_and_undo_brings_both_back(window, held, qtbot):
    writing = long(window)
    exchange = writing.path[-1]
    click(window, qtbot, "▶ Long")
    qtbot.keyClick(window.chat.sidebar.list, Qt.Key.Key_Delete)
    qtbot.waitUntil(lambda: set(rows(window)) == {"Earlier"})
    assert window.session.conversation.leaf is None
    ask(window, qtbot, "Next")  # nothing holds it up
    undo = next(each for each in window.notice.findChildren(QPushButton) if each.text() == "Undo")
    qtbot.mouseClick(undo, Qt.MouseButton.LeftButton)
    held.let_go("Long")
    held.let_go("Next")
    assert shown(window) == "Long"
    qtbot.waitUntil(lambda: exchange.trace.finish is Finish.END_OF_TEXT)
    assert exchange.trace.text == "About Long, we think.\n\nDone.</think>\n\nThat was Long."
    qtbot.waitUntil(lambda: last_answer(window).answer.toPlainText() == "That was Long.")
    qtbot.waitUntil(lambda: set(rows(window)) == {"Long", "✓ Next", "Earlier"})


def test_a_deleted_conversation_that_was_not_in_view_is_stopped_too(window, held, qtbot):
    exchange = long(window).path[-1]
    click(window, qtbot, "Earlier")
    window.chat.sidebar.list.setCurrentIndex(rows(window)["▶ Long"])
    qtbot.keyClick(window.chat.sidebar.list, Qt.Key.Key_Delete)
    qtbot.waitUntil(lambda: set(rows(window)) == {"Earlier"})
    held.let_go("Long")
    qtbot.waitUntil(lambda: exchange.trace.finish is not None)
    assert exchange.trace.finish is Finish.STOPPED
    assert shown(window) == "Earlier"
    assert window.session.runs.marks() == {}


def test_the_other_attempt_is_read_while_one_is_written(window, held, qtbot):
    click(window, qtbot, "Earlier")
    qtbot.waitUntil(lambda: last_exchange(window).is_read)
    first = last_exchange(window)
    window.session.ask_again(first)
    second = last_exchange(window)
    assert second is not first
    qtbot.keyClick(window, Qt.Key.Key_Left, Qt.KeyboardModifier.AltModifier)
    assert last_exchange(window) is first
    held.let_go("Long")
    qtbot.waitUntil(lambda: second.trace.finish is Finish.END_OF_TEXT)
    assert last_exchange(window) is first


def test_a_pinned_conversation_stays_above_the_others(window, held, qtbot):
    held.let_go("Long")
    qtbot.waitUntil(lambda: window.session.ready)
    click(window, qtbot, "Earlier")
    qtbot.keyClick(window.chat.sidebar.list, Qt.Key.Key_P)
    qtbot.waitUntil(lambda: list(rows(window)) == ["Earlier", "Long"])
    model = window.chat.sidebar.list.model()
    assert model.index(0, 0).data() == "Pinned"
    qtbot.keyClick(window.chat.sidebar.list, Qt.Key.Key_P)
    qtbot.waitUntil(lambda: model.index(0, 0).data() == "Today")


def test_what_is_written_out_of_view_is_saved_when_the_window_closes(window, make_window, held, qtbot):
    conversation = long(window).id
    click(window, qtbot, "Earlier")
    held.let_go("Long")
    window.close()
    again = make_window(ScriptedLoader())
    again.session.open(conversation)
    qtbot.waitUntil(lambda: last_exchange(again).is_read)
    assert last_exchange(again).trace.text.startswith("About Long,")
    assert last_exchange(again).trace.finish in (Finish.STOPPED, Finish.END_OF_TEXT)
    assert again.session.runs.marks() == {}
    assert RunMark.UNREAD.value not in "".join(rows(again))


class Announcements:
    """Stands for Qt's accessibility, and keeps what is to be read out."""

    AnnouncementPoliteness = QAccessible.AnnouncementPoliteness

    def __init__(self) -> None:
        self.texts: list[str] = []

    def updateAccessibility(self, event: QAccessibleAnnouncementEvent) -> None:
        self.texts.append(event.message())


def test_the_end_of_an_answer_is_read_out_in_view_or_not(window, held, qtbot, monkeypatch):
    heard = Announcements()
    monkeypatch.setattr(accessible, "QAccessible", heard)
    click(window, qtbot, "Earlier")
    held.let_go("Long")
    qtbot.waitUntil(lambda: heard.texts == ["The answer in “Long” is finished."])


def test_what_would_write_a_second_text_is_refused_in_words(make_window, held, qtbot):
    loader = ScriptedLoader()
    loader.small, loader.large = held.small, held.large
    window = make_window(loader)
    held.let_go("Earlier")
    for problem in ("Earlier", "Long"):
        qtbot.waitUntil(lambda: window.session.ready)
        ask(window, qtbot, problem)
        qtbot.waitUntil(lambda: last_exchange(window).trace.tokens > 2)
    earlier = window.session.conversation.path[0]
    for action in (AnswerAction.AGAIN, AnswerAction.CONTINUE, AnswerAction.MORE_CONTEXT):
        window.notice.close_newest()
        window.chat.carry_out(earlier, action)
        assert window.notice.text == "An answer is being written. Stop it, or wait for its end."
    assert len(loader.choices) == 1, "models were loaded for an answer that is not written"


@pytest.fixture
def held_pair():
    """As `held`, for two texts at a time."""
    held = HeldAnswers(parallel=2)
    yield held
    held.let_all_go()


def test_the_inspector_stays_at_a_chosen_step_while_answers_elsewhere_begin_and_end(make_window, held_pair, qtbot):
    held, loader = held_pair, ScriptedLoader()
    loader.small, loader.large = held.small, held.large
    window = make_window(loader)
    held.let_go("Earlier")
    qtbot.waitUntil(lambda: window.session.ready)
    ask(window, qtbot, "Elsewhere")
    qtbot.waitUntil(lambda: last_exchange(window).trace.tokens > 2)
    window.chat.new()
    for problem in ("Earlier", "Long"):
        qtbot.waitUntil(lambda: window.session.ready)
        ask(window, qtbot, problem)
        qtbot.waitUntil(lambda: last_exchange(window).trace.tokens > 2)
    earlier = window.session.conversation.path[0]
    window.chat.choose(earlier, earlier.trace.pieces[0])
    with qtbot.waitSignal(window.session.runs.ended):
        held.let_go("Elsewhere")
    assert window.inspector.piece is earlier.trace.pieces[0]
