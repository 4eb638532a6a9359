"""The conversation list: search, open, pin, rename, delete with undo; marks where something is written or unread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from difflib import SequenceMatcher
from functools import partial

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPoint, QSize, Qt, QTimer
from PySide6.QtGui import QColor, QKeySequence, QShortcut
from PySide6.QtWidgets import QInputDialog, QListWidget, QListWidgetItem, QMenu, QWidget

from baton_reasoning.app.session.actions import WindowActions
from baton_reasoning.app.session.chat_session import ChatSession
from baton_reasoning.app.session.repository import ConversationRepository
from baton_reasoning.app.session.run_queue import RunMark
from baton_reasoning.app.toolkit.background import LatestTask
from baton_reasoning.app.toolkit.controls import IconButton, delete_keys, line_edit, plain_tip, with_key
from baton_reasoning.app.toolkit.layout import hbox, vbox
from baton_reasoning.app.toolkit.theme import Role, current_theme, set_role
from baton_reasoning.core.store.conversations import Found, Headline, by_day
from baton_reasoning.core.words.numbers import day_and_time, distinguished

SEARCH_AFTER_MS = 150
MARK_WORDS = {
    RunMark.WRITING: "an answer is being written",
    RunMark.WAITING: "an answer waits for its turn",
    RunMark.UNREAD: "an answer is finished and unread",
}
ABOVE_AND_BELOW = 12
"""Pixels above and below the lines of a row together: as in the style sheet."""
ABOVE_HEADING = 6
PAGE = 500
"""Conversations that are listed at first, and added each time that the list is scrolled to its end."""
ROW = Qt.ItemDataRole.UserRole
"""Of the list's items: their HistoryRow."""
Index = QModelIndex | QPersistentModelIndex


@dataclass(frozen=True)
class HistoryRow:
    text: str
    """A heading, or the name of a conversation, shortened."""
    conversation: Headline | None = None
    """None: a heading."""
    excerpt: str = ""
    """The words around what was found, below the name."""


class Sidebar(QWidget):
    def __init__(self, session: ChatSession, actions: WindowActions, begin: Callable[[], object]) -> None:
        """`begin`: begins a new conversation."""
        super().__init__()
        self._session, self._actions = session, actions
        set_role(self, Role.BAR)
        self._repository: ConversationRepository | None = None
        self.search = line_edit("Search conversations", "Search conversations")
        self.search.setClearButtonEnabled(True)
        set_role(self.search, Role.BARE)
        self._rows: list[HistoryRow] = []
        self._marks: dict[str, RunMark] = {}
        self._most = PAGE
        self._reading = LatestTask(self, "list conversations", actions.show_error)
        self.list = QListWidget()
        self.list.setAccessibleName("Conversations")
        set_role(self.list, Role.BARE)  # its rows show the focus
        self.list.setVerticalScrollMode(QListWidget.ScrollMode.ScrollPerPixel)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.list.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.list.clicked.connect(self._open)
        self.list.activated.connect(self._open)
        self.list.customContextMenuRequested.connect(self._menu)
        deleting = ((key, self._delete) for key in delete_keys())
        for key, act in (("F2", self._rename), ("P", self._pin), *deleting):
            QShortcut(
                QKeySequence(key),
                self.list,
                partial(self._act_on_chosen, act),
                context=Qt.ShortcutContext.WidgetShortcut,
            )
        self._timer = QTimer(self, singleShot=True, interval=SEARCH_AFTER_MS)
        self._timer.timeout.connect(self.refresh)
        self.search.textChanged.connect(self._search_later)
        self.list.verticalScrollBar().valueChanged.connect(self._list_more)
        session.path_changed.connect(self._choose_shown)
        session.activity_changed.connect(self._show_marks)
        current_theme().changed.connect(self._fit_rows)
        head = hbox(self.search, IconButton("plus", with_key("New conversation", "Ctrl+N"), begin), spacing=4)
        self.setLayout(vbox(head, self.list, margins=(8, 10, 8, 8), spacing=4))

        self._show([HistoryRow("Reading the conversations…")])

    def use_repository(self, repository: ConversationRepository | None) -> None:
        """List the conversations of the repository from now on; None if there is none."""
        self._repository = repository
        if repository:
            repository.changed.connect(self.refresh)
            self.refresh()
        else:
            self._show([])

    def refresh(self) -> None:
        """Read the list in the background; until it is read, the one before stays."""
        if repository := self._repository:
            text, most = self.search.text().strip(), self._most

            def read() -> list[HistoryRow]:
                if text:
                    return rows_found(repository.store.conversations.search(text))
                return rows_by_day(repository.headlines(most), datetime.now().astimezone().date())

            self._reading.run(read, self._show_read)

    def _search_later(self) -> None:
        self._reading.cancel()  # what it finds is no longer wanted
        self._timer.start()

    def _list_more(self, value: int) -> None:
        """Go on with the list where it is scrolled to its end."""
        bar, listed = self.list.verticalScrollBar(), sum(bool(row.conversation) for row in self._rows)
        if value and value > bar.maximum() - bar.pageStep() and listed >= self._most:
            self._most += PAGE
            self.refresh()

    def _show_read(self, rows: list[HistoryRow]) -> None:
        chosen = self._chosen()
        self._show(rows)
        self._choose(chosen.id if chosen else "")
        if self._chosen() is None:
            self._choose_shown()

    def _show(self, rows: list[HistoryRow]) -> None:
        """Replace the rows that have changed; all others stay as they are."""
        fresh: list[int] = []
        changes = SequenceMatcher(None, self._rows, rows, autojunk=False).get_opcodes()
        for kind, start, end, first, last in reversed(changes):
            if kind != "equal":
                self.list.model().removeRows(start, end - start)
                for place in range(first, last):
                    self.list.insertItem(start + place - first, item_of(rows[place]))
                fresh += range(first, last)
        self._rows = rows
        for place in fresh:
            self._name(place)
        self._fit_rows(fresh)

    def _fit_rows(self, places: Sequence[int] | None = None) -> None:
        """Give each row, or these, its height: the style takes 0.1 s for 500, and errs while they are hidden."""
        line, muted = self.list.fontMetrics().height(), QColor(current_theme().colours.muted)
        for place in range(len(self._rows)) if places is None else places:
            row, item = self._rows[place], self.list.item(place)
            item.setSizeHint(QSize(0, line + ABOVE_AND_BELOW + line * bool(row.excerpt)))
            if row.conversation is None:
                item.setSizeHint(QSize(0, line + ABOVE_AND_BELOW + ABOVE_HEADING))
                item.setForeground(muted)

    def _show_marks(self) -> None:
        """Mark the conversations in which something is written, waits or is unread."""
        before, self._marks = self._marks, self._session.runs.marks()
        changed = {id for id, _ in before.items() ^ self._marks.items()}
        for place, row in enumerate(self._rows):
            if row.conversation and row.conversation.id in changed:
                self._name(place)

    def _name(self, place: int) -> None:
        """Write the name of a row, with the mark of its conversation."""
        row, item = self._rows[place], self.list.item(place)
        mark = self._marks.get(row.conversation.id) if row.conversation else None
        name = f"{mark.value} {row.text}" if mark else row.text
        item.setText(f"{name}\n{row.excerpt}" if row.excerpt else name)
        words = ", ".join(filter(None, (row.text, MARK_WORDS[mark] if mark else "", row.excerpt)))
        item.setData(Qt.ItemDataRole.AccessibleTextRole, words)

    def _open(self, index: Index) -> None:
        if conversation := index.data(ROW).conversation:
            self._session.open(conversation.id)

    def _chosen(self) -> Headline | None:
        """Return the conversation of the current row."""
        item = self.list.currentItem()
        return item.data(ROW).conversation if item else None

    def _choose(self, conversation: str) -> None:
        """Make it the current row of the list; none if it is not in it."""
        chosen = self._chosen()
        if chosen is None or chosen.id != conversation:
            ids = [row.conversation.id if row.conversation else None for row in self._rows]
            self.list.setCurrentRow(ids.index(conversation) if conversation in ids else -1)

    def _choose_shown(self) -> None:
        self._choose(self._session.conversation.id)

    def _act_on_chosen(self, act: Callable[[Headline], None]) -> None:
        if chosen := self._chosen():
            act(chosen)

    def _rename(self, chosen: Headline) -> None:
        title, agreed = QInputDialog.getText(self, "Rename", "Title (empty: the first problem)", text=chosen.name)
        if agreed and self._repository:
            self._repository.rename(chosen.id, title)

    def _pin(self, chosen: Headline) -> None:
        """Keep the conversation at the top, or no longer."""
        if self._repository:
            self._repository.pin(chosen.id, not chosen.is_pinned)

    def _delete(self, chosen: Headline) -> None:
        """Delete without confirmation, since it can be undone."""
        if not (repository := self._repository):
            return

        def deleted() -> None:
            bring_back = self._session.forget(chosen.id)

            def undo() -> None:
                repository.restore(chosen.id)
                bring_back()

            self._actions.show_deleted(chosen.name, undo)

        repository.delete(chosen.id, deleted)

    def _menu(self, where: QPoint) -> None:
        """Offer what can be done with a conversation. The list may change meanwhile, so the menu keeps it."""
        item = self.list.itemAt(where)
        if not item or not (chosen := item.data(ROW).conversation):
            return
        self.list.setCurrentItem(item)
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction("Open", partial(self._session.open, chosen.id))
        menu.addAction("Unpin\tP" if chosen.is_pinned else "Pin\tP", partial(self._pin, chosen))
        menu.addAction("Rename…\tF2", partial(self._rename, chosen))
        menu.addAction("Export…", partial(self._actions.export, chosen.id, chosen.name))
        menu.addAction("Delete\tDel", partial(self._delete, chosen))
        menu.popup(self.list.viewport().mapToGlobal(where))


def item_of(row: HistoryRow) -> QListWidgetItem:
    """Make the item of a row, without its text."""
    item, conversation = QListWidgetItem(), row.conversation
    item.setData(ROW, row)
    if conversation:
        item.setToolTip(plain_tip(f"{conversation.full_name}\n{day_and_time(conversation.changed)}"))
    else:
        item.setFlags(Qt.ItemFlag.NoItemFlags)
        item.setTextAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignBottom)
    return item


def rows_by_day(headlines: list[Headline], today: date) -> list[HistoryRow]:
    """Return rows for all conversations: pinned ones first, the others by the day of their last change."""
    names = distinguished([one.full_name for one in headlines])
    texts = {one.id: text for one, text in zip(headlines, names, strict=True)}
    pinned = [one for one in headlines if one.is_pinned]
    others = by_day(one for one in headlines if not one.is_pinned)
    rows: list[HistoryRow] = []
    for heading, group in [("Pinned", pinned), *((day_name(day, today), group) for day, group in others)]:
        rows += [HistoryRow(heading)] if group else []
        rows += [HistoryRow(texts[one.id], one) for one in group]
    return rows


def rows_found(found: list[Found]) -> list[HistoryRow]:
    """Return rows for the conversations that a search found, with what was found in each."""
    names = distinguished([each.conversation.full_name for each in found])
    rows = [HistoryRow(name, each.conversation, each.excerpt) for name, each in zip(names, found, strict=True)]
    return rows or [HistoryRow("Nothing found")]


def day_name(day: date, today: date) -> str:
    if day == today:
        return "Today"
    if day == today - timedelta(days=1):
        return "Yesterday"
    # Not %-d, which Windows does not have.
    return f"{day:%A}, {day.day} {day:%B}" if day.year == today.year else f"{day.day} {day:%B %Y}"
