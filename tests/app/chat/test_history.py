"""Conversations are kept, found again, renamed, deleted with a way back, and read while others are written."""

import gc
import sqlite3
import threading
import weakref
from contextlib import closing
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import QInputDialog, QMenu

from baton_reasoning.app.chat.sidebar import PAGE, ROW, day_name
from baton_reasoning.app.session.run_queue import Activity
from baton_reasoning.app.toolkit import controls
from baton_reasoning.core.conversation import Exchange
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import BatonError, StoreError
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.settings import SettingsFile
from baton_reasoning.core.store.conversations import Conversations
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.events import Finish
from tests.another_program import another_program
from tests.app.conftest import ScriptedLoader, answer_to, last_answer, last_exchange, pick, press
from tests.core.store.made import a_run
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


def wait_for_rows(window, qtbot, number):
    qtbot.waitUntil(lambda: len(rows(window)) == number)


# The list


def test_a_conversation_is_listed_found_by_its_words_and_opened_by_the_next_window(window, make_window, qtbot):
    window.show_sidebar(False)
    told = answer_to(window, qtbot, FISH)
    view, search = window.chat.sidebar.list, window.chat.sidebar.search
    model = view.model()
    qtbot.waitUntil(lambda: names(window) == [FISH])
    window.turn_light_or_dark()
    window.show_sidebar(True)
    line = view.fontMetrics().height()
    assert view.visualRect(model.index(1, 0)).height() >= line + 12, "the style of a hidden list is incomplete"
    for words, found in (("elephant", []), ("boxed", [FISH])):
        search.setText(words)
        qtbot.waitUntil(lambda found=found: names(window) == found)
    search.setText("see two")
    qtbot.waitUntil(lambda: "let me see: two and two" in model.index(0, 0).data(ROW).excerpt)
    search.clear()
    qtbot.waitUntil(lambda: model.index(0, 0).data() == "Today")
    file = SettingsFile(window.paths.settings)
    qtbot.waitUntil(lambda: file.load().window.conversation == window.session.conversation.id)
    window.close()
    again = make_window()
    qtbot.waitUntil(lambda: again.session.ready and bool(again.session.conversation.leaf))
    leaf = last_exchange(again)
    assert leaf.problem == FISH
    assert leaf.trace.text == told.trace.text
    assert [piece.author for piece in leaf.trace.pieces] == [piece.author for piece in told.trace.pieces]


def test_keys_title_and_menu_are_of_their_conversation_though_the_list_changes_meanwhile(
    ask, window, qtbot, monkeypatch
):
    def type_slowly(*_, **__):
        ask("And birds?")
        wait_for_rows(window, qtbot, 4)
        return "Pets", True

    view = window.chat.sidebar.list
    monkeypatch.setattr(QInputDialog, "getText", type_slowly)
    for problem in (CATS, FISH):
        ask(problem)
        window.chat.new()
    qtbot.waitUntil(lambda: names(window) == [FISH, CATS])
    choose(window, CATS)
    window.session.ask("And dogs?")
    choose(window, CATS)
    qtbot.waitUntil(lambda: window.session.ready)
    wait_for_rows(window, qtbot, 3)
    qtbot.keyClick(view, Qt.Key.Key_P)
    qtbot.waitUntil(lambda: view.model().index(0, 0).data() == "Pinned")
    assert names(window) == [CATS, "And dogs?", FISH]
    qtbot.keyClick(view, Qt.Key.Key_P)
    qtbot.waitUntil(lambda: view.model().index(0, 0).data() == "Today")
    window.chat.new()
    choose(window, CATS)
    qtbot.keyClick(view, Qt.Key.Key_F2)
    qtbot.waitUntil(lambda: names(window) == ["And birds?", "And dogs?", FISH, "Pets"])
    choose(window, FISH)
    view.customContextMenuRequested.emit(view.visualRect(view.currentIndex()).center())
    (menu,) = window.chat.sidebar.findChildren(QMenu, options=Qt.FindChildOption.FindDirectChildrenOnly)
    window.chat.new()
    ask("And cows?")
    wait_for_rows(window, qtbot, 5)
    pick(menu, "Delete")
    qtbot.waitUntil(lambda: names(window) == ["And cows?", "And birds?", "And dogs?", "Pets"])


class WindowsDate(date):
    """A date that formats as on Windows, where `%-d` is invalid."""

    def strftime(self, form):
        if "%-" in form:
            raise ValueError("Invalid format string")
        return super().strftime(form)


def test_days_are_named_as_people_name_them_on_every_system():
    days = [WindowsDate(2026, 3, 5), WindowsDate(2026, 3, 4), WindowsDate(2026, 3, 1), WindowsDate(2025, 12, 31)]
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


def test_the_window_shows_at_once_and_keeps_what_is_asked_while_the_history_is_opened(make_window, qtbot, history_gate):
    history_gate.clear()
    window = make_window(begin=False)
    window.begin_work()
    assert window.chat.sidebar.list.item(0).text() == "Reading the conversations…"
    window.session.ask(FISH)
    assert last_exchange(window).trace.events == []
    history_gate.set()
    qtbot.waitUntil(lambda: window.session.ready and names(window) == [FISH])
    exchange = last_exchange(window)
    qtbot.waitUntil(lambda: window._store.runs.trace(exchange.id).events == exchange.trace.events)


def test_a_window_that_is_closed_while_the_history_is_opened_closes_it(make_window):
    """That nothing of it is left is for the fixture to find."""
    window = make_window(begin=False)
    window.begin_work()
    window.close()
    with pytest.raises(StoreError, match="closed"):
        window._store.conversations.rename("c", "")


@pytest.fixture
def with_many(make_window, tmp_path, qtbot):
    """A window over a history of more conversations than are listed at first; “How many 0?” is the oldest."""
    with Store.open(Paths.under(tmp_path).store) as store:
        for number in range(PAGE + 20):
            kept = store.conversations.put(f"c{number}", Exchange(f"How many {number}?", id=f"e{number}"))
        kept.result()
    window = make_window()
    wait_for_rows(window, qtbot, PAGE)
    return window


def test_older_conversations_are_listed_as_the_list_is_scrolled_and_the_chosen_one_stays(with_many, qtbot):
    view = with_many.chat.sidebar.list
    choose(with_many, "How many 30?")
    place = view.verticalScrollBar().value()
    view.scrollToBottom()
    wait_for_rows(with_many, qtbot, PAGE + 20)
    assert names(with_many)[-1] == "How many 0?"
    assert view.currentItem().text() == "How many 30?"
    assert view.verticalScrollBar().value() > place, "it stands where it was scrolled to"
    view.scrollToBottom()
    click(with_many, qtbot, "How many 0?")
    assert last_exchange(with_many).problem == "How many 0?"


def test_the_result_of_an_outdated_search_is_dropped(with_many, qtbot, monkeypatch):
    search, found, let_go = with_many.chat.sidebar.search, Conversations.search, threading.Event()

    def slow_at_first(conversations, words):
        if words == "7":
            assert let_go.wait(PATIENCE)
        return found(conversations, words)

    monkeypatch.setattr(Conversations, "search", slow_at_first)
    search.setText("7")
    qtbot.waitUntil(lambda: with_many.chat.sidebar._reading.busy)
    search.setText("505")
    qtbot.waitUntil(lambda: names(with_many) == ["How many 505?"])
    let_go.set()
    qtbot.waitUntil(lambda: not [task for task in with_many.tasks.running if task.name == "list conversations"])
    assert names(with_many) == ["How many 505?"]


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
    actions.write_file(actions.store, window.session.conversation.id, file)
    qtbot.waitUntil(lambda: window.notice.text.startswith("Saved to"))
    with qtbot.waitSignal(actions.imported):
        actions.read_file(actions.store, file)
    qtbot.waitUntil(lambda: [name.startswith(FISH) for name in names(window)] == [True, True])
    file.write_text("nonsense")
    actions.read_file(actions.store, file)
    qtbot.waitUntil(lambda: "cannot be read as a conversation" in window.notice.text)


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
def held():
    held = HeldAnswers()
    yield held
    held.let_all_go()


@pytest.fixture
def busy(make_window, held, qtbot):
    """A window in which “Earlier” is answered, and “Long” is being written."""
    window = make_window(ScriptedLoader(held.small, held.large))
    held.let_go("Earlier")
    answer_to(window, qtbot, "Earlier")
    qtbot.keyClick(window.chat.composer.edit, Qt.Key.Key_N, CONTROL)
    window.session.ask("Long")
    qtbot.waitUntil(lambda: last_exchange(window).trace.tokens > 2)
    wait_for_rows(window, qtbot, 2)
    return window


def click(window, qtbot, text):
    view = window.chat.sidebar.list
    place = view.visualRect(dict(rows(window))[text]).center()
    qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    qtbot.waitUntil(lambda: last_exchange(window).is_read)


def test_another_conversation_is_read_while_an_answer_is_written(busy, held, qtbot, monkeypatch):
    heard = []
    monkeypatch.setattr(QAccessible, "updateAccessibility", lambda event: heard.append(event.message()))
    writing, answering = busy.session.conversation, busy.session.answering
    click(busy, qtbot, "Earlier")
    assert last_answer(busy).answer.toPlainText() == "That was Earlier."
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
    qtbot.waitUntil(lambda: "• Long" in names(busy))
    assert busy.session.conversation.name == "Earlier"
    assert heard == ["The answer in “Long” is finished."]
    said = dict(rows(busy))["• Long"].data(Qt.ItemDataRole.AccessibleTextRole)
    assert said == "Long, an answer is finished and unread", "and its sign is no grade"
    click(busy, qtbot, "• Long")
    assert last_answer(busy).answer.toPlainText() == "That was Long."
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


def test_a_mac_deletes_with_backspace_for_its_keyboard_has_no_other_key(answered_by, monkeypatch, qtbot):
    monkeypatch.setattr(controls, "sys", SimpleNamespace(platform="darwin"))
    window = answered_by(ScriptedLoader())
    qtbot.waitUntil(lambda: "2 + 2?" in names(window))
    choose(window, "2 + 2?")
    qtbot.keyClick(window.chat.sidebar.list, Qt.Key.Key_Backspace)
    qtbot.waitUntil(lambda: "2 + 2?" not in names(window))


def test_deleting_a_conversation_stops_its_answer_and_undo_brings_back_what_was_written(busy, held, qtbot):
    exchange = last_exchange(busy)
    click(busy, qtbot, "▶ Long")
    qtbot.keyClick(busy.chat.sidebar.list, Qt.Key.Key_Delete)
    qtbot.waitUntil(lambda: names(busy) == ["Earlier"])
    assert busy.session.conversation.leaf is None
    press(busy.notice, "Undo")
    held.let_go("Long")
    assert busy.session.conversation.name == "Long"
    qtbot.waitUntil(lambda: exchange.trace.finish is Finish.STOPPED)
    qtbot.waitUntil(last_answer(busy)._continue.isVisible)
    assert "About Long" in last_answer(busy).steps.toPlainText()


# While another program writes

ANTS = "How many ants?"


def write_in_parts(path):
    """Write an answer, each part of it after a line that is read."""
    with Store.open(Path(path)) as store:
        store.conversations.put("c", Exchange(ANTS, id="e")).result()
        recorder, events = store.runs.record("e"), a_run(answer="There are 4.")
        for part in (events[:5], events[5:20], events[20:]):
            recorder.record(part)
            store.flush()
            print("saved", flush=True)
            input()
        recorder.finish().result()
        print("ended", flush=True)
        input()


@pytest.mark.slow
def test_what_another_baton_writes_is_followed_to_its_end_and_is_not_continued_before(window, qtbot):
    window.session._look_again.setInterval(0)
    with another_program(write_in_parts, window.paths.store) as other:
        assert other.stdout.readline() == "saved\n"
        window.session.open("c")
        qtbot.waitUntil(lambda: last_exchange(window).is_read)
        exchange, answer = last_exchange(window), last_answer(window)
        trace = exchange.trace
        assert answer.ending.text() == "Another Baton is writing this answer."
        assert not answer._continue.isVisible()
        window.session.ask("And how many bees?")
        assert "Another Baton is writing an answer here." in window.notice.text
        print(file=other.stdin, flush=True)
        qtbot.waitUntil(lambda: "Step 1 goes on." in answer.steps.toPlainText())
        assert exchange.trace is trace, "it grows, as an answer of this window does"
        for line in ("saved\n", "saved\n"):
            assert other.stdout.readline() == line
            print(file=other.stdin, flush=True)
        assert other.stdout.readline() == "ended\n"
        qtbot.waitUntil(lambda: not exchange.is_written_elsewhere)
        assert (answer.answer.toPlainText(), answer.ending.text()) == ("There are 4.", "")
        assert window.session.ready


def take_over(path):
    """Write the newest answer of the history anew, as a program does that takes its writer for dead."""
    with Store.open(Path(path)) as store:
        (headline,) = store.conversations.recent()
        recorder = store.runs.record_anew(store.conversations.open(headline.id).path[-1].id)
        recorder.record(a_run(answer="Taken over."))
        recorder.finish().result()
        print("ended", flush=True)
        input()


@pytest.mark.slow
def test_an_answer_that_another_baton_has_taken_over_ends_here_in_one_message(make_window, held, qtbot):
    window, errors = make_window(ScriptedLoader(held.small, held.large)), list[BatonError]()
    window.session.failed.connect(errors.append)
    window.session.ask("Long")
    exchange = last_exchange(window)
    qtbot.waitUntil(lambda: exchange.trace.tokens > 2)
    assert window._store.flush() is None
    with another_program(take_over, window.paths.store) as other:
        assert other.stdout.readline() == "ended\n"
        window.session.stop()
        held.let_go("Long")
        qtbot.waitUntil(lambda: window.session.runs.is_idle and bool(errors))
        assert [error.message for error in errors] == ["Another Baton has taken this answer over."]
        assert "About Long" in exchange.trace.text, "it is still there to be copied"
        assert window._store.runs.trace(exchange.id).events == a_run(answer="Taken over.")
        window.session.go_on(exchange)
        qtbot.waitUntil(lambda: window.session.runs.is_idle and len(errors) > 1)
        assert errors[1].message == "What the history holds of this answer is not what stands here."
        assert window._store.runs.trace(exchange.id).events == a_run(answer="Taken over.")
