"""Conversations are kept, found again, renamed, deleted with a way back, and read while others are written."""

import gc
import sqlite3
import threading
import weakref
from contextlib import closing
from datetime import date
from functools import partial

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import QInputDialog, QMenu, QPushButton

from baton_reasoning.app.chat.remedies import AnswerAction
from baton_reasoning.app.chat.sidebar import ROW, day_name
from baton_reasoning.app.session.run_list import Activity
from baton_reasoning.app.toolkit import controls
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.settings import SettingsFile
from baton_reasoning.core.store.conversations import StoredExchange
from baton_reasoning.core.thinking.events import Finish
from tests.app.conftest import ScriptedLoader, answer_to, last_answer, last_exchange
from tests.fakes.held import HeldAnswers
from tests.patience import PATIENCE

CONTROL, ALT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.AltModifier
FISH, CATS = "How many fish?", "How many cats?"


def rows(window):
    """The conversations in the sidebar, by their text, in order."""
    model = window.chat.sidebar.list.model()
    indices = [model.index(row, 0) for row in range(model.rowCount())]
    return [(index.data().partition("\n")[0], index) for index in indices if index.data(ROW).conversation]


def names(window):
    return [name for name, _ in rows(window)]


def choose(window, text):
    window.chat.sidebar.list.setCurrentIndex(dict(rows(window))[text])


def has_rows(window, number):
    return len(rows(window)) == number


def press_undo(window, qtbot):
    undo = next(button for button in window.notice.findChildren(QPushButton) if button.text() == "Undo")
    qtbot.mouseClick(undo, Qt.MouseButton.LeftButton)


# The list


def test_a_conversation_is_listed_and_the_next_window_opens_on_it(ask, make_window, qtbot):
    first = ask(FISH)
    qtbot.waitUntil(lambda: names(first) == [FISH])
    assert first.chat.sidebar.list.model().index(0, 0).data() == "Today"
    file = SettingsFile(first.paths.settings)
    qtbot.waitUntil(lambda: file.load().window.conversation == first.session.conversation.id)
    told = last_exchange(first)
    first.close()
    second = make_window()
    qtbot.waitUntil(lambda: second.session.ready and bool(second.session.conversation.leaf))
    leaf = last_exchange(second)
    assert leaf.problem == FISH
    assert leaf.trace.text == told.trace.text
    assert [piece.author for piece in leaf.trace.pieces] == [piece.author for piece in told.trace.pieces]


def test_the_list_is_read_again_once_everything_is_saved(window, qtbot):
    assert window._store
    window._store.conversations.put("c", StoredExchange("e", None, FISH)).result(PATIENCE)
    assert names(window) == [], "as when a full disk had refused it"
    window.saving_changed.emit(None)
    qtbot.waitUntil(lambda: names(window) == [FISH])


def test_search_finds_words_of_answer_and_reasoning_and_shows_what_is_around_them(ask, qtbot):
    window = ask(FISH)
    search = window.chat.sidebar.search
    search.setText("boxed")
    qtbot.waitUntil(lambda: names(window) == [FISH])
    search.setText("see two")
    model = window.chat.sidebar.list.model()
    qtbot.waitUntil(lambda: "let me see: two and two" in model.index(0, 0).data(ROW).excerpt)
    assert names(window) == [FISH]
    search.setText("elephant")
    qtbot.waitUntil(lambda: names(window) == [])
    search.clear()
    qtbot.waitUntil(lambda: names(window) == [FISH])


@pytest.fixture
def fish_and_cats(ask, qtbot):
    """Two conversations, of which the one on cats is chosen in the list, and neither shown."""
    for problem in (CATS, FISH):
        window = ask(problem)
        window.chat.new()
    qtbot.waitUntil(lambda: names(window) == [FISH, CATS])
    choose(window, CATS)
    return window


def test_a_key_acts_on_the_chosen_conversation_though_the_list_was_read_again(fish_and_cats, qtbot):
    window, view = fish_and_cats, fish_and_cats.chat.sidebar.list
    window.session.ask("And dogs?")
    choose(window, CATS)
    qtbot.waitUntil(lambda: window.session.ready and has_rows(window, 3))
    qtbot.keyClick(view, Qt.Key.Key_P)
    qtbot.waitUntil(lambda: view.model().index(0, 0).data() == "Pinned")
    assert names(window) == [CATS, "And dogs?", FISH]
    qtbot.keyClick(view, Qt.Key.Key_P)
    qtbot.waitUntil(lambda: view.model().index(0, 0).data() == "Today")


def test_a_menu_and_a_title_are_of_their_conversation_though_the_list_changes_meanwhile(
    fish_and_cats, ask, qtbot, monkeypatch
):
    def type_slowly(*_, **__):
        ask("And dogs?")
        qtbot.waitUntil(partial(has_rows, window, 3))
        return "Pets", True

    window, view = fish_and_cats, fish_and_cats.chat.sidebar.list
    monkeypatch.setattr(QInputDialog, "getText", type_slowly)
    qtbot.keyClick(view, Qt.Key.Key_F2)
    qtbot.waitUntil(lambda: names(window) == ["And dogs?", FISH, "Pets"])
    choose(window, FISH)
    view.customContextMenuRequested.emit(view.visualRect(view.currentIndex()).center())
    (menu,) = window.chat.sidebar.findChildren(QMenu, options=Qt.FindChildOption.FindDirectChildrenOnly)
    window.chat.new()
    ask("And birds?")
    qtbot.waitUntil(partial(has_rows, window, 4))
    (delete,) = [action for action in menu.actions() if action.text().startswith("Delete")]
    delete.trigger()
    menu.close()
    qtbot.waitUntil(lambda: names(window) == ["And birds?", "And dogs?", "Pets"])


def test_rows_that_were_made_while_the_list_was_hidden_have_room(window, qtbot):
    """The style of a hidden list is incomplete while light changes to dark."""
    window.show_sidebar(False)
    qtbot.waitUntil(lambda: window.session.ready)
    window.session.ask(FISH)
    qtbot.waitUntil(lambda: names(window) == [FISH])
    window.turn_light_or_dark()
    window.show_sidebar(True)
    view = window.chat.sidebar.list
    assert view.visualRect(view.model().index(1, 0)).height() >= view.fontMetrics().height() + 12


class WindowsDate(date):
    """A date that formats as on Windows, where `%-d` is invalid."""

    def strftime(self, form):
        if "%-" in form:
            raise ValueError("Invalid format string")
        return super().strftime(form)


@pytest.mark.parametrize("kind", [date, WindowsDate])
def test_days_are_named_as_people_name_them_on_every_system(kind):
    days = [kind(2026, 3, 5), kind(2026, 3, 4), kind(2026, 3, 1), kind(2025, 12, 31)]
    names = ["Today", "Yesterday", "Sunday, 1 March", "31 December 2025"]
    assert [day_name(day, today=date(2026, 3, 5)) for day in days] == names


OPENING = "Each term is the sum of the two before it, digit by digit. What is term 12, if terms 1 and 2 are"


def test_conversations_that_begin_alike_show_where_they_differ(ask, qtbot):
    for problem in (CATS, f"{OPENING} 843 and 284?", f"{OPENING} 112 and 909?"):
        window = ask(problem)
        window.chat.new()
    qtbot.waitUntil(lambda: names(window)[:2] == ["Each … 112 and 909?", "Each … 843 and 284?"])
    view = window.chat.sidebar.list
    row = view.model().index(1, 0)
    assert str(row.data(Qt.ItemDataRole.ToolTipRole)).startswith(f"{OPENING} 112 and 909?\n")
    width = view.fontMetrics().horizontalAdvance(row.data())
    assert width < view.viewport().width(), "the difference is cut off"


# The store


def test_an_answer_with_a_damaged_part_does_not_close_its_conversation(ask, make_window, qtbot):
    ask(FISH)
    window = ask("And how many cats?")
    damaged, last = window.session.conversation.path
    window.close()
    with closing(sqlite3.connect(window.paths.store)) as store:
        store.execute("UPDATE event_chunks SET events = x'00' WHERE run = ?", (damaged.id,))
        store.commit()
    again = make_window()
    qtbot.waitUntil(lambda: "A part of this run cannot be read." in again.notice.text)
    qtbot.waitUntil(lambda: again.session.ready)
    assert last_exchange(again).trace.text == last.trace.text


def test_an_answer_is_kept_though_another_program_holds_the_history(window, qtbot):
    """The window waits for nothing: were it to wait, this test would hold the lock until SQLite gives up."""
    qtbot.waitUntil(lambda: window.session.ready)
    with closing(sqlite3.connect(window.paths.store, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answer_to(window, qtbot, FISH)
        assert names(window) == []
        other.execute("ROLLBACK")
    qtbot.waitUntil(lambda: names(window) == [FISH])
    assert window.notice.isHidden()


def test_an_export_is_read_in_again_and_a_file_that_is_none_is_refused(ask, qtbot, tmp_path_factory):
    window = ask(FISH)
    file = tmp_path_factory.mktemp("export") / "fish.json"
    actions = window.page_actions
    assert actions.store
    actions.write_file(actions.store, window.session.conversation.id, file)
    qtbot.waitUntil(lambda: window.notice.text.startswith("Saved to"))
    with qtbot.waitSignal(actions.imported):
        actions.read_file(actions.store, file)
    qtbot.waitUntil(lambda: [name.startswith(FISH) for name in names(window)] == [True, True])
    qtbot.waitUntil(lambda: window.session.ready)
    file.write_text("nonsense")
    actions.read_file(actions.store, file)
    qtbot.waitUntil(lambda: "cannot be read as a conversation" in window.notice.text)


def test_what_the_disk_refuses_is_said_while_the_answer_is_written(make_window, qtbot):
    loader = ScriptedLoader()
    window = make_window(loader)
    qtbot.waitUntil(lambda: window.session.ready and window.models.pair.small is not None)
    recorded = threading.Event()
    window.session.progressed.connect(lambda _: recorded.set())

    def delete(body):
        """As when a drive is taken out: everything that is saved from now on is refused."""
        if body:
            recorded.wait(PATIENCE)
            window.paths.store.unlink(missing_ok=True)

    loader.small.before_token = delete
    window.session.ask(FISH)
    qtbot.waitUntil(lambda: "was deleted or moved" in window.notice.text)


def test_the_trace_of_a_conversation_that_was_left_is_given_back(ask, qtbot):
    """A day's work does not fill the memory."""
    window = ask("2 + 2?")
    trace = weakref.ref(last_exchange(window).trace)
    window.session.new()
    ask("3 + 3?")

    def gone():
        gc.collect()
        return trace() is None

    qtbot.waitUntil(gone)


# While an answer is written


@pytest.fixture
def parallel():
    return 1


@pytest.fixture
def held(parallel):
    held = HeldAnswers(parallel)
    yield held
    held.let_all_go()


@pytest.fixture
def loader(held):
    loader = ScriptedLoader()
    loader.small, loader.large = held.small, held.large
    return loader


def send(window, qtbot, problem):
    qtbot.keyClicks(window.chat.composer.edit, problem)
    qtbot.keyClick(window.chat.composer.edit, Qt.Key.Key_Return)


@pytest.fixture
def busy(make_window, held, loader, qtbot):
    """A window in which “Earlier” is answered, and “Long” is being written."""
    window = make_window(loader)
    held.let_go("Earlier")
    qtbot.waitUntil(lambda: window.session.ready)
    send(window, qtbot, "Earlier")
    qtbot.waitUntil(lambda: window.session.ready and last_exchange(window).trace.ended is not None)
    qtbot.keyClick(window.chat.composer.edit, Qt.Key.Key_N, CONTROL)
    send(window, qtbot, "Long")
    qtbot.waitUntil(lambda: last_exchange(window).trace.tokens > 2)
    qtbot.waitUntil(partial(has_rows, window, 2))
    return window


def click(window, qtbot, text):
    view = window.chat.sidebar.list
    place = view.visualRect(dict(rows(window))[text]).center()
    qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    qtbot.waitUntil(lambda: last_exchange(window).is_read)


def answer_text(window):
    return last_answer(window).answer.toPlainText()


class Announcements:
    """Stands for Qt's accessibility, and keeps what is to be read out."""

    AnnouncementPoliteness = QAccessible.AnnouncementPoliteness
    Role = QAccessible.Role

    def __init__(self):
        self.texts = []

    def updateAccessibility(self, event):
        self.texts.append(event.message())


def test_another_conversation_is_read_while_an_answer_is_written(busy, held, qtbot, monkeypatch):
    heard = Announcements()
    monkeypatch.setattr(controls, "QAccessible", heard)
    writing, answering = busy.session.conversation, busy.session.answering
    click(busy, qtbot, "Earlier")
    assert answer_text(busy) == "That was Earlier."
    assert names(busy) == ["▶ Long", "Earlier"]
    assert rows(busy)[0][1].data(Qt.ItemDataRole.AccessibleTextRole) == "Long, an answer is being written"
    assert busy.session.runs.activity(writing) is Activity.WRITING
    answering.author = Author.LARGE  # who has not written a token yet
    click(busy, qtbot, "▶ Long")
    assert busy.chat.composer._baton.text() == "● Give back"
    assert busy.chat.composer._stop_button.isVisible()
    assert "About Long" in last_answer(busy).steps.toPlainText()
    click(busy, qtbot, "Earlier")
    assert busy.chat.composer._send_button.isVisible()
    held.let_go("Long")
    qtbot.waitUntil(lambda: "✓ Long" in names(busy))
    assert busy.session.conversation.name == "Earlier"
    assert heard.texts == ["The answer in “Long” is finished."]
    click(busy, qtbot, "✓ Long")
    assert answer_text(busy) == "That was Long."
    assert "Long" in names(busy)


def test_what_waits_for_its_turn_says_so_and_is_stopped_alone(busy, held, qtbot):
    writing = last_exchange(busy)
    click(busy, qtbot, "Earlier")
    earlier = last_exchange(busy)
    busy.session.fork(earlier, earlier.trace.pieces[1].position)
    fork = last_exchange(busy)
    assert last_answer(busy).ending.text() == "Waiting for its turn…"
    assert not last_answer(busy)._continue.isVisible()
    qtbot.waitUntil(lambda: "◌ Earlier" in names(busy))
    qtbot.mouseClick(busy.chat.composer._stop_button, Qt.MouseButton.LeftButton)
    assert last_answer(busy).ending.text() == "Interrupted before its end. Continue goes on from here."
    qtbot.mouseClick(last_answer(busy)._continue, Qt.MouseButton.LeftButton)
    qtbot.keyClick(busy, Qt.Key.Key_Left, ALT)
    assert last_exchange(busy) is earlier
    held.let_go("Long")
    qtbot.waitUntil(lambda: fork.trace.finish is Finish.END_OF_TEXT)
    assert writing.trace.finish is Finish.END_OF_TEXT
    assert last_exchange(busy) is earlier, "the other attempt is read meanwhile"


def test_deleting_a_conversation_stops_its_answer_and_undo_brings_back_what_was_written(busy, held, qtbot):
    exchange = last_exchange(busy)
    click(busy, qtbot, "▶ Long")
    qtbot.keyClick(busy.chat.sidebar.list, Qt.Key.Key_Delete)
    qtbot.waitUntil(lambda: names(busy) == ["Earlier"])
    assert busy.session.conversation.leaf is None
    send(busy, qtbot, "Next")  # nothing holds it up
    press_undo(busy, qtbot)
    held.let_go("Long")
    held.let_go("Next")
    assert busy.session.conversation.name == "Long"
    qtbot.waitUntil(lambda: exchange.trace.finish is Finish.STOPPED)
    qtbot.waitUntil(lambda: "About Long" in last_answer(busy).steps.toPlainText())
    qtbot.waitUntil(last_answer(busy)._continue.isVisible)
    qtbot.waitUntil(lambda: set(names(busy)) == {"Long", "✓ Next", "Earlier"})


@pytest.mark.parametrize("parallel", [2])
def test_a_second_text_is_refused_here_and_the_inspector_keeps_its_step(make_window, loader, held, qtbot):
    window = make_window(loader)
    held.let_go("Earlier")
    for problem in ("Elsewhere", "Earlier", "Long"):
        qtbot.waitUntil(lambda: window.session.ready)
        send(window, qtbot, problem)
        qtbot.waitUntil(lambda: last_exchange(window).trace.tokens > 2)
        if problem == "Elsewhere":
            window.chat.new()
    earlier = window.session.conversation.path[0]
    for action in (AnswerAction.AGAIN, AnswerAction.CONTINUE, AnswerAction.MORE_CONTEXT):
        window.notice.close_newest()
        window.chat.carry_out(earlier, action)
        assert window.notice.text == "An answer is being written. Stop it, or wait for its end."
    assert len(loader.choices) == 1, "models were loaded for an answer that is not written"
    window.chat.choose(earlier, earlier.trace.pieces[0])
    with qtbot.waitSignal(window.session.runs.ended):
        held.let_go("Elsewhere")
    assert window.inspector.piece is earlier.trace.pieces[0]
