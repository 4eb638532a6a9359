"""The conversation list: search, open, pin, rename, delete with undo; marks where something is written or unread."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from enum import IntEnum
from functools import partial
from typing import Any, NamedTuple

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QPoint,
    QSize,
    Qt,
)
from PySide6.QtGui import QColor, QKeySequence, QPainter, QShortcut, QShowEvent
from PySide6.QtWidgets import (
    QInputDialog,
    QListView,
    QMenu,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from baton_reasoning.app.session.actions import WindowActions
from baton_reasoning.app.session.chat_session import ChatSession
from baton_reasoning.app.session.repository import ConversationRepository
from baton_reasoning.app.session.run_list import RunMark
from baton_reasoning.app.toolkit.controls import IconButton, line_edit, plain_tip
from baton_reasoning.app.toolkit.layout import hbox, vbox
from baton_reasoning.app.toolkit.theme import Role, current_theme, set_role
from baton_reasoning.app.toolkit.timer import single_shot_timer
from baton_reasoning.core.errors import StoreError
from baton_reasoning.core.store.conversations import MARK_END, MARK_START, Found, Headline, by_day
from baton_reasoning.core.words.numbers import day_and_time, distinguished

SEARCH_AFTER_MS = 150
MARK_WORDS = {
    RunMark.WRITING: "an answer is being written",
    RunMark.WAITING: "an answer waits for its turn",
    RunMark.UNREAD: "an answer has been finished",
}
ROW_PADDING = 20
"""Pixels at both ends of a row."""


class HistoryDelegate(QStyledItemDelegate):
    """Paints headings grey, other rows by the style, and the words around what was found below their title."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._sizes: dict[tuple[bool, bool, str], QSize] = {}

    def forget_sizes(self) -> None:
        """Ask the style again for the height of rows."""
        self._sizes.clear()

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        if not index.data(HistoryRole.IS_HEADING):
            super().paint(painter, option, index)
            if excerpt := index.data(HistoryRole.EXCERPT):
                area = option.rect.adjusted(ROW_PADDING // 2, 0, -ROW_PADDING // 2, -5)
                at_bottom = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignBottom
                words = option.fontMetrics.elidedText(excerpt, Qt.TextElideMode.ElideRight, area.width())
                painter.setPen(QColor(current_theme().colours.muted))
                painter.drawText(area, at_bottom, words)
            return
        painter.save()
        font = painter.font()
        font.setWeight(font.Weight.DemiBold)
        painter.setFont(font)
        painter.setPen(QColor(current_theme().colours.muted))
        area = option.rect.adjusted(8, 0, -8, -5)
        painter.drawText(area, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignBottom, str(index.data()))
        painter.restore()

    def initStyleOption(self, option: QStyleOptionViewItem, index: Index) -> None:
        """Show a title in full if there is room for it, else shortened."""
        super().initStyleOption(option, index)
        full = index.data(HistoryRole.FULL)
        if index.data(HistoryRole.EXCERPT):
            option.displayAlignment = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop
        if full and option.fontMetrics.horizontalAdvance(full) <= option.rect.width() - ROW_PADDING:
            option.text = full

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        """Return the height of a row of this kind, asked for once: for 500 rows the style takes 0.1 s."""
        is_heading, has_excerpt = bool(index.data(HistoryRole.IS_HEADING)), bool(index.data(HistoryRole.EXCERPT))
        kind = is_heading, has_excerpt, option.font.key()
        if kind not in self._sizes:
            below = 6 * is_heading + (option.fontMetrics.height() + 2) * has_excerpt
            self._sizes[kind] = QSize(0, super().sizeHint(option, index).height() + below)
        return self._sizes[kind]


class Sidebar(QWidget):
    def __init__(
        self,
        session: ChatSession,
        actions: WindowActions,
        begin: Callable[[], object],
        parent: QWidget | None = None,
    ) -> None:
        """`begin`: begins a new conversation."""
        super().__init__(parent)
        self._session, self._actions = session, actions
        set_role(self, Role.BAR)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._repository: ConversationRepository | None = None
        self._shown = ""
        self.search = line_edit("Search conversations", "Search conversations")
        self.search.setClearButtonEnabled(True)
        set_role(self.search, Role.BARE)
        self._model = History(self)
        self.list = QListView()
        self.list.setAccessibleName("Conversations")
        self.list.setModel(self._model)
        self._delegate = HistoryDelegate(self.list)
        self.list.setItemDelegate(self._delegate)
        self.list.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.list.setUniformItemSizes(False)
        self.list.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.list.clicked.connect(self._open)
        self.list.activated.connect(self._open)
        self.list.customContextMenuRequested.connect(self._menu)
        for key, act in (("F2", self._rename), ("P", self._pin), ("Delete", self._delete)):
            QShortcut(
                QKeySequence(key),
                self.list,
                partial(self._act_on_chosen, act),
                context=Qt.ShortcutContext.WidgetShortcut,
            )
        self._timer = single_shot_timer(self, SEARCH_AFTER_MS, self.refresh)
        self.search.textChanged.connect(lambda: self._timer.start())
        head = hbox(self.search, IconButton("plus", "New conversation (Ctrl+N)", begin), spacing=4)
        self.setLayout(vbox(head, self.list, margins=(8, 10, 8, 8), spacing=4))

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._delegate.forget_sizes()  # rows that were laid out while it was hidden may know no padding
        self.list.doItemsLayout()

    def use_repository(self, repository: ConversationRepository) -> None:
        self._repository = repository
        repository.changed.connect(self.refresh)
        self.refresh()

    def show_current(self, conversation: str) -> None:
        """Select the open conversation."""
        self._shown = conversation
        self._choose(conversation)

    def show_marks(self, marks: Mapping[str, RunMark]) -> None:
        """Mark the conversations in which something is written, waits or is unread."""
        self._model.show_marks(marks)

    def refresh(self) -> None:
        if not self._repository:
            return
        text = self.search.text().strip()
        chosen = self._model.conversation_at(self.list.currentIndex())
        try:
            if text:
                self._model.show_found(self._repository.search(text))
            else:
                self._model.show_headlines(self._repository.headlines(), datetime.now().astimezone().date())
        except StoreError as error:
            self._actions.show_error(error)
        is_kept = chosen is not None and self._model.row_of(chosen.conversation) >= 0
        self._choose(chosen.conversation if chosen and is_kept else self._shown)

    def _open(self, index: Index) -> None:
        if conversation := index.data(HistoryRole.CONVERSATION):
            self._session.open(conversation)

    def _choose(self, conversation: str) -> None:
        """Make it the current row of the list; none if it is not in it."""
        chosen = self._model.conversation_at(self.list.currentIndex())
        if chosen is None or chosen.conversation != conversation:
            row = self._model.row_of(conversation)
            self.list.setCurrentIndex(self._model.index(row) if row >= 0 else QModelIndex())

    def _act_on_chosen(self, act: Callable[[HistoryRow], None]) -> None:
        if row := self._model.conversation_at(self.list.currentIndex()):
            act(row)

    def _rename(self, row: HistoryRow) -> None:
        title, agreed = QInputDialog.getText(self, "Rename", "Title (empty: the first problem)", text=row.name)
        if agreed and self._repository:
            self._repository.rename(row.conversation, title)

    def _pin(self, row: HistoryRow) -> None:
        """Keep the conversation at the top, or no longer."""
        if self._repository:
            self._repository.pin(row.conversation, not row.is_pinned)

    def _delete(self, row: HistoryRow) -> None:
        """Delete without confirmation, since it can be undone."""
        if not (repository := self._repository):
            return

        def deleted() -> None:
            bring_back = self._session.forget(row.conversation)

            def undo() -> None:
                repository.restore(row.conversation)
                bring_back()

            self._actions.show_deleted(row.name, undo)

        repository.delete(row.conversation, deleted)

    def _menu(self, where: QPoint) -> None:
        """Offer what can be done with a conversation. The list may change meanwhile, so the menu keeps its row."""
        index = self.list.indexAt(where)
        if not (row := self._model.conversation_at(index)):
            return
        self.list.setCurrentIndex(index)
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction("Open", partial(self._session.open, row.conversation))
        menu.addAction("Unpin\tP" if row.is_pinned else "Pin\tP", partial(self._pin, row))
        menu.addAction("Rename…\tF2", partial(self._rename, row))
        menu.addAction("Export…", partial(self._actions.export, row.conversation, row.name))
        menu.addAction("Delete\tDel", partial(self._delete, row))
        menu.popup(self.list.viewport().mapToGlobal(where))


Index = QModelIndex | QPersistentModelIndex


class HistoryRow(NamedTuple):
    text: str
    conversation: str = ""
    """Empty: a heading."""
    tip: str = ""
    name: str = ""
    """The title as it is elsewhere: `text` may be shortened."""
    is_pinned: bool = False
    full: str = ""
    """What is shown instead of `text` where there is room."""
    excerpt: str = ""
    """The words around what was found, below the title."""


class HistoryRole(IntEnum):
    CONVERSATION = Qt.ItemDataRole.UserRole + 1
    IS_HEADING = Qt.ItemDataRole.UserRole + 2
    FULL = Qt.ItemDataRole.UserRole + 3
    EXCERPT = Qt.ItemDataRole.UserRole + 4


class History(QAbstractListModel):
    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: list[HistoryRow] = []
        self._marks: Mapping[str, RunMark] = {}

    def show_marks(self, marks: Mapping[str, RunMark]) -> None:
        changed = {id for id in {*marks, *self._marks} if marks.get(id) is not self._marks.get(id)}
        self._marks = marks
        for place, row in enumerate(self._rows):
            if row.conversation in changed:
                self.dataChanged.emit(self.index(place), self.index(place))

    def show_headlines(self, headlines: list[Headline], today: date) -> None:
        rows: list[HistoryRow] = []
        texts = dict(
            zip((one.id for one in headlines), distinguished([one.full_name for one in headlines]), strict=True)
        )
        alike = Counter(texts.values())
        pinned = [one for one in headlines if one.is_pinned]
        others = by_day(one for one in headlines if not one.is_pinned)
        groups = [*([("PINNED", pinned)] if pinned else []), *((day_name(day, today), group) for day, group in others)]
        for heading, group in groups:
            rows.append(HistoryRow(heading))
            for one in group:
                time = f"{one.changed.astimezone():%H:%M} · " if alike[texts[one.id]] > 1 else ""
                tip = f"{one.full_name}\n{day_and_time(one.changed)}"
                full = time + one.full_name
                rows.append(HistoryRow(time + texts[one.id], one.id, tip, one.name, one.is_pinned, full))
        self._show(rows)

    def show_found(self, found: list[Found]) -> None:
        headlines = [each.conversation for each in found]
        texts = distinguished([one.full_name for one in headlines])
        rows = [
            HistoryRow(text, one.id, one.full_name, one.name, one.is_pinned, one.full_name, _plain(each.excerpt))
            for text, one, each in zip(texts, headlines, found, strict=True)
        ]
        self._show(rows or [HistoryRow("Nothing found")])

    def row_of(self, conversation: str) -> int:
        """Return the row of a conversation, -1 if it is not in the list."""
        return next((i for i, row in enumerate(self._rows) if conversation and row.conversation == conversation), -1)

    def conversation_at(self, index: Index) -> HistoryRow | None:
        """Return the row of a conversation; None for a heading, and for no row."""
        row = self._rows[index.row()] if index.isValid() else None
        return row if row and row.conversation else None

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        return 0 if parent.isValid() else len(self._rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        row = self._rows[index.row()]
        mark = self._marks.get(row.conversation)
        match role:
            case Qt.ItemDataRole.DisplayRole | Qt.ItemDataRole.EditRole:
                return f"{mark.value} {row.text}" if mark else row.text
            case Qt.ItemDataRole.AccessibleTextRole:
                return ", ".join(filter(None, (row.text, MARK_WORDS[mark] if mark else "", row.excerpt)))
            case Qt.ItemDataRole.ToolTipRole:
                return plain_tip(row.tip) or None
            case HistoryRole.FULL:
                return f"{mark.value} {row.full}" if mark else row.full
            case HistoryRole.EXCERPT:
                return row.excerpt
            case HistoryRole.CONVERSATION:
                return row.conversation
            case HistoryRole.IS_HEADING:
                return not row.conversation
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        if not self._rows[index.row()].conversation:
            return Qt.ItemFlag.NoItemFlags
        return Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable

    def _show(self, rows: list[HistoryRow]) -> None:
        if rows != self._rows:
            self.beginResetModel()
            self._rows = rows
            self.endResetModel()


def day_name(day: date, today: date) -> str:
    if day == today:
        return "TODAY"
    if day == today - timedelta(days=1):
        return "YESTERDAY"
    # Not %-d, which Windows does not have.
    text = f"{day:%A}, {day.day} {day:%B}" if day.year == today.year else f"{day.day} {day:%B %Y}"
    return text.upper()


def _plain(excerpt: str) -> str:
    return " ".join(excerpt.replace(MARK_START, "").replace(MARK_END, "").split())
