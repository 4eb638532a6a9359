"""A table of texts whose rows are chosen: pairs, files, quantisations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from PySide6.QtCore import QEvent, QItemSelectionModel, Qt, Signal
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from baton_reasoning.app.toolkit.controls import plain_tip
from baton_reasoning.core.table import Column

NARROWEST = 60
"""Pixels of a column, at least: the first one takes what the others leave, and elides its text."""
PADDING = 12
"""Pixels above and below the text of a row, together."""


class RowTable(QTableWidget):
    chosen_changed = Signal()

    def __init__(
        self, name: str, columns: Sequence[Column], *, chooses_many: bool = False, shows_all: bool = False
    ) -> None:
        """`name`: for screen readers. `shows_all`: be as high as all rows."""
        super().__init__(0, len(columns))
        self._columns = columns
        self._shows_all = shows_all
        mode = QAbstractItemView.SelectionMode
        self.setAccessibleName(name)
        for number, column in enumerate(columns):
            self.setHorizontalHeaderItem(number, _item(column.title, column))
        self.verticalHeader().hide()
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(mode.ExtendedSelection if chooses_many else mode.SingleSelection)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setMinimumSectionSize(NARROWEST)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.itemSelectionChanged.connect(self.chosen_changed)

    def show_rows(self, rows: Sequence[Sequence[str]], tips: Sequence[str], chosen: Iterable[int] = ()) -> None:
        """Show these cells and choose these rows; `tips`: a tool tip for each row."""
        self.blockSignals(True)
        self.clearSelection()
        self.setRowCount(len(rows))
        for row, (cells, tip) in enumerate(zip(rows, tips, strict=True)):
            for number, (column, text) in enumerate(zip(self._columns, cells, strict=True)):
                item = _item(text, column)
                item.setToolTip(plain_tip(tip))
                self.setItem(row, number, item)
        self.blockSignals(False)
        self._fit()
        self.choose(chosen)

    def choose(self, rows: Iterable[int]) -> None:
        self.clearSelection()
        how = QItemSelectionModel.SelectionFlag
        for row in rows:
            self.selectionModel().setCurrentIndex(self.model().index(row, 0), how.Select | how.Rows)
        self.chosen_changed.emit()

    @property
    def chosen(self) -> list[int]:
        return sorted({index.row() for index in self.selectedIndexes()})

    def texts(self) -> list[list[str]]:
        """Return the texts of all cells, row by row."""
        cells, columns = self.model(), range(self.columnCount())
        return [[cells.index(row, column).data() for column in columns] for row in range(self.rowCount())]

    def changeEvent(self, event: QEvent) -> None:
        """Fit the rows to another size of text."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._fit()

    def _fit(self) -> None:
        self.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + PADDING)
        if self._shows_all:
            rows = self.verticalHeader().length() + 2 * self.frameWidth()
            self.setFixedHeight(self.horizontalHeader().sizeHint().height() + rows)


def _item(text: str, column: Column) -> QTableWidgetItem:
    item = QTableWidgetItem(text)
    side = Qt.AlignmentFlag.AlignRight if column.is_number else Qt.AlignmentFlag.AlignLeft
    item.setTextAlignment(side | Qt.AlignmentFlag.AlignVCenter)
    return item
