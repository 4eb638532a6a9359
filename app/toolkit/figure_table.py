"""Shows a `Table` of figures with its title and notes; its cells can be selected and copied."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QKeyEvent, QKeySequence
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from baton_reasoning.app.toolkit.controls import label, plain_tip
from baton_reasoning.app.toolkit.layout import vbox
from baton_reasoning.app.toolkit.theme import Role
from baton_reasoning.core.table import Table

NARROWEST = 60
"""Pixels of a column, at least: the first one takes what the others leave, and elides its text."""


class FigureTable(QWidget):
    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.shown: Table | None = None
        self.title = label("", Role.HEADING)
        self.cells = _Cells()
        self.notes = label("", Role.MUTED, wrap=True, selectable=True)
        self.setLayout(vbox(self.title, self.cells, self.notes, margins=0, spacing=4))

    def show_table(self, table: Table) -> None:
        """Show another table; the same one again leaves the selection as it is."""
        if table == self.shown:
            return
        self.shown = table
        self.title.setText(table.title)
        self.cells.setAccessibleName(table.title)
        self.cells.fill(table)
        self.notes.setText("\n".join(table.notes))
        self.notes.setAccessibleName(f"Notes on “{table.title}”")
        self.notes.setVisible(bool(table.notes))


class _Cells(QTableWidget):
    def __init__(self) -> None:
        super().__init__()
        self.verticalHeader().hide()
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.horizontalHeader().setHighlightSections(False)
        self.horizontalHeader().setMinimumSectionSize(NARROWEST)

    def fill(self, table: Table) -> None:
        self.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + 8)
        self.setRowCount(len(table.rows))
        self.setColumnCount(len(table.columns))
        for column, head in enumerate(table.columns):
            self.setHorizontalHeaderItem(column, _item(head.title, is_number=head.is_number))
            for row, cells in enumerate(table.rows):
                self.setItem(row, column, _item(cells[column], is_number=head.is_number))
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        rows = self.verticalHeader().length() + 2 * self.frameWidth()
        self.setFixedHeight(header.sizeHint().height() + rows + self.horizontalScrollBar().sizeHint().height())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Copy the selected cells as rows with tabs between them, which spreadsheets take."""
        if not event.matches(QKeySequence.StandardKey.Copy):
            super().keyPressEvent(event)
            return
        rows: dict[int, list[str]] = {}
        for index in sorted(self.selectedIndexes()):
            rows.setdefault(index.row(), []).append(index.data())
        QGuiApplication.clipboard().setText("\n".join("\t".join(cells) for cells in rows.values()))


def _item(text: str, *, is_number: bool) -> QTableWidgetItem:
    item = QTableWidgetItem(text)
    item.setToolTip(plain_tip(text))
    side = Qt.AlignmentFlag.AlignRight if is_number else Qt.AlignmentFlag.AlignLeft
    item.setTextAlignment(side | Qt.AlignmentFlag.AlignVCenter)
    return item
