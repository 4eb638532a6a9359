"""Tables of texts: rows to choose from (pairs, files), figures with title and notes, and facts with their names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from PySide6.QtCore import QEvent, QItemSelectionModel, Qt, Signal
from PySide6.QtGui import QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QAbstractItemView,
    QGridLayout,
    QHeaderView,
    QLabel,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from baton_reasoning.app.toolkit.controls import label, plain_tip
from baton_reasoning.app.toolkit.copying import copy_text
from baton_reasoning.app.toolkit.layout import vbox
from baton_reasoning.app.toolkit.theme import Role
from baton_reasoning.core.table import Column, Table
from baton_reasoning.core.words.labels import Fact

NARROWEST = 60
"""Pixels of a column, at least: the first one takes what the others leave, and elides its text."""
PADDING = 10
"""Pixels above and below the text of a row, together."""
NAME_WIDTH = 104
"""Pixels of the name of a fact, at least."""


class RowTable(QTableWidget):
    chosen_changed = Signal()

    def __init__(
        self, name: str = "", columns: Sequence[Column] = (), *, chooses_many: bool = False, shows_all: bool = False
    ) -> None:
        """`name`: for screen readers. `shows_all`: be as high as all rows."""
        super().__init__()
        self._columns: Sequence[Column] = ()
        self._shows_all = shows_all
        mode = QAbstractItemView.SelectionMode
        self.setAccessibleName(name)
        self.verticalHeader().hide()
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(mode.ExtendedSelection if chooses_many else mode.SingleSelection)
        self.horizontalHeader().setHighlightSections(False)
        self.horizontalHeader().setMinimumSectionSize(NARROWEST)
        self.itemSelectionChanged.connect(self.chosen_changed)
        if columns:
            self.show_columns(columns)

    def show_columns(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self.setColumnCount(len(columns))
        for number, column in enumerate(columns):
            self.setHorizontalHeaderItem(number, _item(column.title, column))
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)

    def show_rows(
        self, rows: Sequence[Sequence[str]], tips: Sequence[str] | None = None, chosen: Iterable[int] = ()
    ) -> None:
        """Show these cells and choose these rows; `tips`: a tool tip for each row, else each cell has its text."""
        self.blockSignals(True)
        self.clearSelection()
        self.setRowCount(len(rows))
        for row, cells in enumerate(rows):
            for number, (column, text) in enumerate(zip(self._columns, cells, strict=True)):
                item = _item(text, column)
                item.setToolTip(plain_tip(tips[row] if tips is not None else text))
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

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Copy the selected cells as rows with tabs between them, which spreadsheets take."""
        if not event.matches(QKeySequence.StandardKey.Copy):
            super().keyPressEvent(event)
            return
        rows: dict[int, list[str]] = {}
        for index in sorted(self.selectedIndexes()):
            rows.setdefault(index.row(), []).append(index.data())
        text = "\n".join("\t".join(cells) for cells in rows.values())
        copy_text(text, self.viewport(), self.visualRect(self.currentIndex()))

    def changeEvent(self, event: QEvent) -> None:
        """Fit the rows to another size of text."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._fit()

    def _fit(self) -> None:
        self.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + PADDING)
        if self._shows_all:
            rows = self.verticalHeader().length() + 2 * self.frameWidth()
            around = self.horizontalHeader().sizeHint().height() + self.horizontalScrollBar().sizeHint().height()
            self.setFixedHeight(rows + around)


class FigureTable(QWidget):
    """Shows a `Table`; its cells can be selected and copied."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: Table | None = None
        self.title = label("", Role.HEADING)
        self.cells = RowTable(chooses_many=True, shows_all=True)
        self.cells.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectItems)
        self.notes = label("", Role.MUTED, wrap=True, selectable=True)
        self.setLayout(vbox(self.title, self.cells, self.notes, margins=0, spacing=4))

    def show_table(self, table: Table) -> None:
        """Show another table; the same one again leaves the selection as it is."""
        if table == self.shown:
            return
        self.shown = table
        self.title.setText(table.title)
        self.cells.setAccessibleName(table.title)
        self.cells.show_columns(table.columns)
        self.cells.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.cells.show_rows(table.rows)
        self.notes.setText("\n".join(table.notes))
        self.notes.setAccessibleName(f"Notes on “{table.title}”")
        self.notes.setVisible(bool(table.notes))


class Facts(QWidget):
    """A name in grey, and a value beside it."""

    def __init__(self) -> None:
        super().__init__()
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(8)
        self._grid.setVerticalSpacing(5)
        self._grid.setColumnMinimumWidth(0, NAME_WIDTH)
        self._grid.setColumnStretch(1, 1)
        self._rows: list[tuple[QLabel, QLabel]] = []

    def show_facts(self, facts: list[Fact]) -> None:
        """Show these facts; empty values are left out. Labels are reused: this is called many times a second."""
        facts = [fact for fact in facts if fact[1]]
        while len(self._rows) < len(facts):
            name, value = label("", Role.MUTED, wrap=True), label(wrap=True, selectable=True)
            for column, widget in enumerate((name, value)):
                self._grid.addWidget(widget, len(self._rows), column, Qt.AlignmentFlag.AlignTop)
            self._rows.append((name, value))
        for (name, value), fact in zip(self._rows, facts, strict=False):
            if name.text() != fact[0]:
                name.setText(fact[0])
            if value.text() != fact[1]:
                value.setText(fact[1])
                value.setAccessibleName(f"{fact[0]}: {fact[1]}")
        for index, row in enumerate(self._rows):
            for widget in row:
                widget.setVisible(index < len(facts))

    def text(self) -> str:
        """Return the facts as rows with tabs between, which spreadsheets take."""
        shown = ((name.text(), value.text()) for name, value in self._rows if not name.isHidden())
        return "\n".join(f"{name}\t{' '.join(value.splitlines())}" for name, value in shown)


def _item(text: str, column: Column) -> QTableWidgetItem:
    item = QTableWidgetItem(text)
    side = Qt.AlignmentFlag.AlignRight if column.is_number else Qt.AlignmentFlag.AlignLeft
    item.setTextAlignment(side | Qt.AlignmentFlag.AlignVCenter)
    return item
