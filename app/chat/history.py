"""The list of conversations as a model: days as headings, or what a search has found."""

from __future__ import annotations

from datetime import date, timedelta
from enum import IntEnum
from typing import Any, NamedTuple

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from core.store.conversations import MARK_END, MARK_START, Found, Headline, by_day

Index = QModelIndex | QPersistentModelIndex


class Row(NamedTuple):
    text: str
    conversation: str = ""
    """Empty: a heading."""
    exchange: str = ""
    tip: str = ""


class HistoryRole(IntEnum):
    CONVERSATION = Qt.ItemDataRole.UserRole + 1
    IS_HEADING = Qt.ItemDataRole.UserRole + 2


class History(QAbstractListModel):
    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: list[Row] = []

    def show_headlines(self, headlines: list[Headline], today: date) -> None:
        rows: list[Row] = []
        for day, group in by_day(headlines):
            rows.append(Row(day_name(day, today)))
            rows += [Row(one.name, one.id, tip=one.name) for one in group]
        self._show(rows)

    def show_found(self, found: list[Found]) -> None:
        rows = [Row(one.name, one.conversation, one.exchange, _plain(one.excerpt)) for one in found]
        self._show(rows or [Row("Nothing found")])

    def row_of(self, conversation: str) -> int:
        """-1 if it is not in the list."""
        return next((i for i, row in enumerate(self._rows) if row.conversation == conversation), -1)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        return 0 if parent.isValid() else len(self._rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        row = self._rows[index.row()]
        match role:
            case Qt.ItemDataRole.DisplayRole | Qt.ItemDataRole.EditRole:
                return row.text
            case Qt.ItemDataRole.ToolTipRole:
                return row.tip or None
            case HistoryRole.CONVERSATION:
                return row.conversation
            case HistoryRole.IS_HEADING:
                return not row.conversation
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        if not self._rows[index.row()].conversation:
            return Qt.ItemFlag.NoItemFlags
        return Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable

    def _show(self, rows: list[Row]) -> None:
        if rows != self._rows:
            self.beginResetModel()
            self._rows = rows
            self.endResetModel()


def day_name(day: date, today: date) -> str:
    if day == today:
        return "TODAY"
    if day == today - timedelta(days=1):
        return "YESTERDAY"
    return day.strftime("%A, %-d %B" if day.year == today.year else "%-d %B %Y").upper()


def _plain(excerpt: str) -> str:
    return excerpt.replace(MARK_START, "").replace(MARK_END, "")
