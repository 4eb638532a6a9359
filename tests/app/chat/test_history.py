"""Conversations are kept, found again, renamed, and deleted with a way back."""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import date
from functools import partial

import pytest
from PySide6.QtCore import QRect, Qt
from PySide6.QtWidgets import QInputDialog, QMenu, QPushButton, QStyledItemDelegate, QStyleOptionViewItem
from pytestqt.qtbot import QtBot

from baton_reasoning.app.chat.sidebar import ROW, HistoryDelegate, day_name
from baton_reasoning.app.window.main_window import MainWindow
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.settings import SettingsFile
from baton_reasoning.core.store.conversations import StoredExchange
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.events import Finish, TokenWritten
from tests.app.conftest import ScriptedLoader, answer_to, last_exchange
from tests.patience import PATIENCE

Ask = Callable[[str], MainWindow]
Make = Callable[..., MainWindow]


def names(window: MainWindow) -> list[str]:
    """The conversations in the list, without the headings."""
    model = window.chat.sidebar.list.model()
    rows = [model.index(row, 0) for row in range(model.rowCount())]
    return [str(row.data()) for row in rows if row.data(ROW).conversation]


def choose_first(window: MainWindow) -> None:
    view = window.chat.sidebar.list
    view.setCurrentIndex(view.model().index(1, 0))


def test_a_conversation_is_listed_and_remembered_before_the_window_closes(ask, qtbot):
    window = ask("How many fish are there?")
    qtbot.waitUntil(lambda: names(window) == ["How many fish are there?"])
    assert window.chat.sidebar.list.model().index(0, 0).data() == "Today"
    file = SettingsFile(window.paths.settings)
    qtbot.waitUntil(lambda: file.load().window.conversation == window.session.conversation.id)


def test_the_list_is_read_again_once_everything_is_saved(window, qtbot):
    assert window._store
    window._store.conversations.put("c", StoredExchange("e", None, "How many fish?")).result(PATIENCE)
    assert names(window) == [], "as when a full disk had refused it"
    window.saving_changed.emit(None)
    qtbot.waitUntil(lambda: names(window) == ["How many fish?"])


def test_the_next_window_opens_on_the_last_conversation(ask, make_window, qtbot):
    first = ask("How many fish?")
    told = first.session.conversation.leaf
    assert told
    first.close()
    second = make_window()
    qtbot.waitUntil(lambda: second.session.ready and bool(second.session.conversation.leaf))
    leaf = last_exchange(second)
    assert leaf.problem == "How many fish?"
    assert leaf.trace.text == told.trace.text
    assert [piece.author for piece in leaf.trace.pieces] == [piece.author for piece in told.trace.pieces]


def test_search_finds_words_of_answer_and_reasoning_and_shows_what_is_around_them(ask, qtbot):
    window = ask("How many fish?")
    search = window.chat.sidebar.search
    search.setText("boxed")
    qtbot.waitUntil(lambda: names(window) == ["How many fish?"])
    search.setText("see two")
    model = window.chat.sidebar.list.model()
    qtbot.waitUntil(lambda: "let me see: two and two" in model.index(0, 0).data(ROW).excerpt)
    assert names(window) == ["How many fish?"]
    search.setText("elephant")
    qtbot.waitUntil(lambda: names(window) == [])
    search.clear()
    qtbot.waitUntil(lambda: names(window) == ["How many fish?"])


def test_delete_takes_it_from_the_list_and_undo_brings_it_back(ask, qtbot):
    window = ask("How many fish?")
    qtbot.waitUntil(lambda: len(names(window)) == 1)
    choose_first(window)
    qtbot.keyClick(window.chat.sidebar.list, Qt.Key.Key_Delete)
    qtbot.waitUntil(lambda: names(window) == [] and window.session.conversation.leaf is None)
    undo = next(button for button in window.notice.findChildren(QPushButton) if button.text() == "Undo")
    qtbot.mouseClick(undo, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: names(window) == ["How many fish?"])
    assert window.session.conversation.leaf is not None
    qtbot.waitUntil(lambda: window.session.ready)


def has_rows(window: MainWindow, number: int) -> bool:
    return len(names(window)) == number


def test_two_deletions_of_one_name_are_undone_each_by_itself(ask, qtbot):
    for _ in range(2):
        window = ask("How many fish?")
        window.chat.new()
    qtbot.waitUntil(lambda: len(names(window)) == 2)
    for left in (1, 0):
        choose_first(window)
        qtbot.keyClick(window.chat.sidebar.list, Qt.Key.Key_Delete)
        qtbot.waitUntil(partial(has_rows, window, left))
    for back in (1, 2):
        window.page_actions.undo_deletion()
        qtbot.waitUntil(partial(has_rows, window, back))
    qtbot.waitUntil(lambda: window.session.ready)


def fish_and_cats(ask: Ask, qtbot: QtBot) -> MainWindow:
    """Two conversations, of which the one on cats is chosen in the list, and neither shown."""
    for problem in ("How many cats?", "How many fish?"):
        window = ask(problem)
        window.chat.new()
    qtbot.waitUntil(lambda: names(window) == ["How many fish?", "How many cats?"])
    view = window.chat.sidebar.list
    view.setCurrentIndex(view.model().index(2, 0))
    return window


def test_a_key_acts_on_the_chosen_conversation_though_the_list_was_read_again(ask, qtbot):
    window = fish_and_cats(ask, qtbot)
    window.session.ask("And dogs?")
    view = window.chat.sidebar.list
    view.setCurrentIndex(view.model().index(2, 0))
    qtbot.waitUntil(lambda: window.session.ready and len(names(window)) == 3)
    qtbot.keyClick(view, Qt.Key.Key_P)
    qtbot.waitUntil(lambda: view.model().index(0, 0).data() == "Pinned")
    assert names(window) == ["How many cats?", "And dogs?", "How many fish?"]


def test_a_menu_acts_on_its_conversation_though_the_list_changes_meanwhile(ask, qtbot):
    window = fish_and_cats(ask, qtbot)
    view = window.chat.sidebar.list
    view.customContextMenuRequested.emit(view.visualRect(view.currentIndex()).center())
    (menu,) = window.chat.sidebar.findChildren(QMenu, options=Qt.FindChildOption.FindDirectChildrenOnly)
    ask("And dogs?")
    qtbot.waitUntil(lambda: len(names(window)) == 3)
    (delete,) = [action for action in menu.actions() if action.text().startswith("Delete")]
    delete.trigger()
    menu.close()
    qtbot.waitUntil(lambda: names(window) == ["And dogs?", "How many fish?"])


def test_a_title_goes_to_the_conversation_that_it_was_typed_for(ask, qtbot, monkeypatch):
    window = fish_and_cats(ask, qtbot)

    def type_slowly(*_: object, **__: object) -> tuple[str, bool]:
        ask("And dogs?")
        qtbot.waitUntil(lambda: len(names(window)) == 3)
        return "Pets", True

    monkeypatch.setattr(QInputDialog, "getText", type_slowly)
    qtbot.keyClick(window.chat.sidebar.list, Qt.Key.Key_F2)
    qtbot.waitUntil(lambda: names(window) == ["And dogs?", "How many fish?", "Pets"])


def test_an_answer_with_a_damaged_part_does_not_close_its_conversation(ask, make_window, qtbot):
    ask("How many fish?")
    window = ask("And how many cats?")
    damaged, last = window.session.conversation.path
    window.close()
    with closing(sqlite3.connect(window.paths.store)) as store:
        store.execute("UPDATE event_chunks SET events = x'00' WHERE run = ?", (damaged.id,))
        store.commit()
    again = make_window()
    qtbot.waitUntil(lambda: "A part of this run cannot be read." in again.notice.text)
    qtbot.waitUntil(lambda: again.session.ready)
    assert again.session.conversation.leaf
    assert again.session.conversation.leaf.trace.text == last.trace.text


def test_an_answer_is_kept_though_another_program_holds_the_history(window, qtbot):
    """The window waits for nothing: were it to wait, this test would hold the lock until SQLite gives up."""
    qtbot.waitUntil(lambda: window.session.ready)
    with closing(sqlite3.connect(window.paths.store, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answer_to(window, qtbot, "How many fish?")
        assert names(window) == []
        other.execute("ROLLBACK")
    qtbot.waitUntil(lambda: names(window) == ["How many fish?"])
    assert window.notice.isHidden()


def test_rows_are_as_high_as_the_style_would_make_them(ask, qtbot):
    """It is not asked: for 500 rows that takes 0.1 s."""
    view = ask("How many fish?").chat.sidebar.list
    qtbot.waitUntil(lambda: view.model().rowCount() == 2)
    option = QStyleOptionViewItem()
    view.initViewItemOption(option)
    delegate = view.itemDelegate()
    assert isinstance(delegate, HistoryDelegate)
    heading, row = (view.model().index(number, 0) for number in range(2))
    height = QStyledItemDelegate.sizeHint(delegate, option, row).height()
    assert delegate.sizeHint(option, row).height() == height
    assert delegate.sizeHint(option, heading).height() == height + 6


def test_rows_that_were_made_while_the_list_was_hidden_have_room(window, qtbot):
    """The style of a hidden list is incomplete while light changes to dark."""
    window.show_sidebar(False)
    qtbot.waitUntil(lambda: window.session.ready)
    window.session.ask("How many fish are there?")
    qtbot.waitUntil(lambda: names(window) == ["How many fish are there?"])
    window.turn_light_or_dark()
    window.show_sidebar(True)
    view = window.chat.sidebar.list
    assert view.visualRect(view.model().index(1, 0)).height() >= view.fontMetrics().height() + 12


def test_a_new_conversation_leaves_the_old_one_in_the_list(ask, qtbot):
    window = ask("How many fish?")
    window.chat.new()
    assert window.session.conversation.leaf is None
    assert window.chat.welcome.isVisible()
    ask("And how many cats?")
    qtbot.waitUntil(lambda: sorted(names(window)) == ["And how many cats?", "How many fish?"])


def test_what_was_stopped_inside_a_takeover_stands_and_is_continued_later(make_window, qtbot):
    loader = ScriptedLoader()
    window = make_window(loader)
    qtbot.waitUntil(lambda: window.session.ready and window.models.pair.large is not None)
    stopped: list[str] = []

    def stop_once(body: str) -> None:
        answering = window.session.answering
        if answering and not stopped and body.endswith("me"):
            stopped.append(body)
            answering.control.stop()

    loader.large.before_token = stop_once
    window.session.ask("How many fish?")
    qtbot.waitUntil(lambda: bool(stopped) and window.session.ready)
    conversation = window.session.conversation.id
    window.chat.new()
    window.session.open(conversation)
    qtbot.waitUntil(lambda: window.session.ready)
    leaf = last_exchange(window)
    qtbot.waitUntil(lambda: leaf.trace.finish is Finish.STOPPED)
    before, text = len(leaf.trace.events), leaf.trace.text
    window.session.go_on(leaf)
    qtbot.waitUntil(lambda: window.session.ready)
    assert leaf.trace.text.startswith(text)
    assert len(leaf.trace.text) > len(text)
    writers = [event.author for event in leaf.trace.events[before:] if isinstance(event, TokenWritten)]
    assert writers[0] is Author.SMALL, "the policy begins anew: the small model ends its step"
    window.close()
    with Store.open(window.paths.store) as store:
        kept = store.runs.trace(leaf.id)
    assert kept.text == leaf.trace.text


def test_an_export_is_read_in_again_as_another_conversation(ask, qtbot, tmp_path_factory):
    window = ask("How many fish?")
    file = tmp_path_factory.mktemp("export") / "fish.json"
    assert window.page_actions.store
    window.page_actions.write_file(window.page_actions.store, window.session.conversation.id, file)
    qtbot.waitUntil(lambda: window.notice.text.startswith("Saved to"))
    with qtbot.waitSignal(window.page_actions.imported):
        window.page_actions.read_file(window.page_actions.store, file)
    qtbot.waitUntil(lambda: [name.startswith("How many fish?") for name in names(window)] == [True, True])
    qtbot.waitUntil(lambda: window.session.ready)


def test_a_file_that_is_no_export_is_refused_in_words(window, qtbot, tmp_path):
    file = tmp_path / "nonsense.json"
    file.write_text("nonsense")
    assert window.page_actions.store
    window.page_actions.read_file(window.page_actions.store, file)
    qtbot.waitUntil(window.notice.isVisible)
    assert window.notice.text


class WindowsDate(date):
    """A date that formats as on Windows, where `%-d` is invalid."""

    def strftime(self, form: str) -> str:
        if "%-" in form:
            raise ValueError("Invalid format string")
        return super().strftime(form)


@pytest.mark.parametrize("kind", [date, WindowsDate])
def test_days_are_named_as_people_name_them_on_every_system(kind):
    days = [kind(2026, 3, 5), kind(2026, 3, 4), kind(2026, 3, 1), kind(2025, 12, 31)]
    names = ["Today", "Yesterday", "Sunday, 1 March", "31 December 2025"]
    assert [day_name(day, today=date(2026, 3, 5)) for day in days] == names


def test_what_the_disk_refuses_is_said_while_the_answer_is_written(make_window, qtbot):
    loader = ScriptedLoader()
    window = make_window(loader)
    qtbot.waitUntil(lambda: window.session.ready and window.models.pair.small is not None)

    recorded = threading.Event()
    window.session.progressed.connect(lambda _: recorded.set())

    def delete(body: str) -> None:
        """As when a drive is taken out: everything that is saved from now on is refused."""
        if body:
            recorded.wait(PATIENCE)
            window.paths.store.unlink(missing_ok=True)

    loader.small.before_token = delete
    window.session.ask("How many fish?")
    qtbot.waitUntil(lambda: "was deleted or moved" in window.notice.text)


OPENING = "Each term is the sum of the two before it, digit by digit. What is term 12, if terms 1 and 2 are"


def test_conversations_that_begin_alike_show_where_they_differ_or_all(ask, qtbot):
    for numbers in ("843 and 284?", "112 and 909?"):
        window = ask(f"{OPENING} {numbers}")
        window.chat.new()
    ask("How many fish?")
    shown = ["How many fish?", "Each … 112 and 909?", "Each … 843 and 284?"]
    qtbot.waitUntil(lambda: names(window) == shown)
    view = window.chat.sidebar.list
    row = view.model().index(2, 0)
    assert str(row.data(Qt.ItemDataRole.ToolTipRole)).startswith(f"{OPENING} 112 and 909?\n")
    width = view.fontMetrics().horizontalAdvance(row.data())
    assert width < view.viewport().width(), "the difference is cut off"
    option = QStyleOptionViewItem()
    option.font, option.fontMetrics = view.font(), view.fontMetrics()
    delegate = view.itemDelegate()
    assert isinstance(delegate, HistoryDelegate)
    for width, title in ((220, "Each … 112 and 909?"), (2000, f"{OPENING} 112 and 909?")):
        option.rect = QRect(0, 0, width, 20)
        delegate.initStyleOption(option, row)
        assert option.text == title


def test_equal_problems_show_their_time_after_the_name(ask, qtbot):
    for problem in ("How many fish?", "How many fish?", "How many cats?"):
        window = ask(problem)
        window.chat.new()
    qtbot.waitUntil(lambda: len(names(window)) == 3)
    latest, *equal = names(window)
    assert latest == "How many cats?"
    assert all(re.fullmatch(r"How many fish\? · \d\d:\d\d", name) for name in equal)
