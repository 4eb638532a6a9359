"""The results as a live table model with sorting and filtering. A row is a job.

It sorts and filters a list of row numbers by itself: a proxy model would call Python for every comparison, and stall
the window.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, QRectF, Qt
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import QStyledItemDelegate, QStyleOptionViewItem

from baton_reasoning.app.batch.row_order import (
    NOWHERE,
    Mark,
    ResultColumn,
    RowFilter,
    RowOrder,
    RowQuery,
    arranged,
    mark_of,
    run_title,
)
from baton_reasoning.app.toolkit.controls import plain_tip
from baton_reasoning.app.toolkit.ribbon import RibbonLayout, RibbonSegment, paint_ribbon
from baton_reasoning.app.toolkit.theme import current_theme
from baton_reasoning.core.batch.reporting.figures import conditions_text
from baton_reasoning.core.batch.running.progress import JobGrew
from baton_reasoning.core.grading.normal import tidy
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.store.batches import JobState, ResultRow
from baton_reasoning.core.words.numbers import duration, shared_opening

Index = QModelIndex | QPersistentModelIndex
ROOT = QModelIndex()
RIBBON_ROLE = Qt.ItemDataRole.UserRole
"""A `RibbonLayout`, or None while nothing is written."""


TITLES = ("#", "Problem", "Policy", "Who wrote it", "Large", "Answer", "Expected", "", "Tokens", "Time")
_COLUMNS = tuple(ResultColumn)
_INKED = {ResultColumn.NUMBER, ResultColumn.ARM, ResultColumn.SHARE, ResultColumn.MARK}
_AT_RIGHT = {ResultColumn.NUMBER, ResultColumn.SHARE, ResultColumn.TOKENS, ResultColumn.TIME}


class ResultTable(QAbstractTableModel):
    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._problems: Sequence[Problem] = ()
        self._opening = 0
        self._rows: list[ResultRow] = []
        self._number_of: dict[int, int] = {}
        self._order = RowOrder([], [])
        self._layouts: dict[int, RibbonLayout] = {}
        self._told_by: dict[int, Callable[[ResultRow, ResultColumn], Any]] = {
            Qt.ItemDataRole.DisplayRole: self._text,
            Qt.ItemDataRole.ForegroundRole: _ink,
            Qt.ItemDataRole.TextAlignmentRole: lambda _, column: _alignment(column),
            Qt.ItemDataRole.ToolTipRole: self._tip,
            Qt.ItemDataRole.AccessibleTextRole: self._spoken,
            RIBBON_ROLE: self._layout,
        }
        self._query = RowQuery()

    def show(self, problems: Sequence[Problem], rows: Iterable[ResultRow]) -> None:
        """Show another batch with the same filter and order."""
        self.beginResetModel()
        self._problems, self._rows = problems, list(rows)
        self._opening = shared_opening([problem.text for problem in problems])
        self._number_of = {row.job: number for number, row in enumerate(self._rows)}
        self._layouts.clear()
        self._order = RowOrder(list(range(len(self._rows))), list(range(len(self._rows))))
        self.endResetModel()
        if self._query != RowQuery():
            self._arrange(self._query)

    def choose(self, wanted: RowFilter, arm: str | None) -> None:
        """Show these rows only; `arm` None is all arms. Rows that change later stay until the next choice."""
        self._arrange(self._query._replace(shown=wanted, arm=arm))

    def take(self, row: ResultRow) -> None:
        """Update the row of a job."""
        number = self._number_of[row.job]
        self._rows[number] = row
        self._layouts.pop(row.job, None)
        if (place := self._order.places[number]) != NOWHERE:
            self.dataChanged.emit(self.index(place, 0), self.index(place, len(TITLES) - 1))

    def grow(self, look: JobGrew) -> None:
        row = self._rows[self._number_of[look.job]]
        self.take(row._replace(state=JobState.CLAIMED, cost=look.cost))

    def set_state(self, job: int, state: JobState) -> None:
        """Set the state of a job's row."""
        self.take(self._rows[self._number_of[job]]._replace(state=state))

    def row_at(self, place: int) -> ResultRow:
        return self._rows[self._order.shown[place]]

    def problem_at(self, place: int) -> Problem:
        return self._problems[self.row_at(place).position]

    def place_of(self, row: ResultRow) -> int:
        """Return where a row is shown; `NOWHERE` if it is filtered out or belongs to another batch."""
        number = self._number_of.get(row.job)
        return NOWHERE if number is None else self._order.places[number]

    def beside(self, row: ResultRow, step: int) -> tuple[ResultRow, Problem] | None:
        """Return the next finished row below (`step` 1) or above (-1), as the table is sorted and filtered now."""
        place = self.place_of(row)
        if place == NOWHERE:
            return None
        places = range(place + 1, self.rowCount()) if step > 0 else range(place - 1, -1, -1)
        found = next((each for each in places if self.row_at(each).state is JobState.DONE), None)
        return None if found is None else (self.row_at(found), self.problem_at(found))

    def rowCount(self, parent: Index = ROOT) -> int:
        return 0 if parent.isValid() else len(self._order.shown)

    def columnCount(self, parent: Index = ROOT) -> int:
        return 0 if parent.isValid() else len(TITLES)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation is not Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return TITLES[section]
        if role == Qt.ItemDataRole.ToolTipRole and section == ResultColumn.MARK:
            return "✓ right, ✗ wrong, – unscored, ! the engine reported something"
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(ResultColumn(section))
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        tell = self._told_by.get(role)  # most questions are about roles that no cell has: a cell answers them at once
        if tell is None or not index.isValid():
            return None
        return tell(self.row_at(index.row()), _COLUMNS[index.column()])

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        by = None if column < 0 else ResultColumn(column)
        self._arrange(self._query._replace(sorted_by=by, falling=order is Qt.SortOrder.DescendingOrder))

    def _arrange(self, query: RowQuery) -> None:
        """Sort and filter again; selected rows stay selected."""
        self._query = query
        order = arranged(self._rows, self._problems, query)
        if len(order.shown) != len(self._order.shown):
            self.beginResetModel()
            self._order = order
            self.endResetModel()
            return
        self.layoutAboutToBeChanged.emit()
        chosen = self.persistentIndexList()
        moved = []
        for index in chosen:
            place = order.places[self._order.shown[index.row()]]
            moved.append(ROOT if place == NOWHERE else self.index(place, index.column()))
        self._order = order
        self.changePersistentIndexList(chosen, moved)
        self.layoutChanged.emit()

    def _text(self, row: ResultRow, column: ResultColumn) -> str:
        problem = self._problems[row.position]
        match column:
            case ResultColumn.NUMBER:
                return str(row.position + 1)
            case ResultColumn.PROBLEM:
                text = " ".join(problem.text[self._opening : self._opening + 300].split())
                return f"… {text}" if self._opening else text
            case ResultColumn.ARM:
                return run_title(row)
            case ResultColumn.SHARE:
                return f"{row.cost.large_share:.0%}" if row.cost.tokens else ""
            case ResultColumn.ANSWER:
                return plain_answer(row.answer) if row.answer else "…" if row.state is JobState.CLAIMED else ""
            case ResultColumn.EXPECTED:
                return plain_answer(problem.expected or "")
            case ResultColumn.MARK:
                return f"{mark_of(row).value} !" if row.notices else mark_of(row).value
            case ResultColumn.TOKENS:
                return f"{row.cost.tokens:,}" if row.cost.tokens else ""
            case ResultColumn.TIME:
                return duration(row.cost.seconds) if row.cost.tokens else ""
            case ResultColumn.RIBBON:
                return ""

    def _tip(self, row: ResultRow, column: ResultColumn) -> str | None:
        if column is ResultColumn.PROBLEM:
            return plain_tip(self._problems[row.position].text[:2000])
        if column in (ResultColumn.MARK, ResultColumn.ANSWER):
            reason = row.error or (row.verdict.reason if row.verdict else "")
            return plain_tip("\n".join(filter(None, (reason, *row.notices)))) or None
        if column is ResultColumn.TIME and row.conditions:
            return plain_tip(conditions_text(row.conditions))
        return None

    def _spoken(self, row: ResultRow, column: ResultColumn) -> str | None:
        """Return the text for screen readers of a cell that is shortened or painted, or holds a sign."""
        if column is ResultColumn.PROBLEM and self._opening:
            return self._problems[row.position].text[:2000]
        if column is ResultColumn.RIBBON:
            return f"{row.cost.large_share:.0%} by the large model"
        if column is ResultColumn.MARK:
            return f"{mark_of(row).name.lower()}, with a notice" if row.notices else mark_of(row).name.lower()
        return None

    def _layout(self, row: ResultRow, _column: ResultColumn) -> RibbonLayout | None:
        if not row.cost.ribbon:
            return None
        if row.job not in self._layouts:
            self._layouts[row.job] = RibbonLayout([RibbonSegment(author, tokens) for author, tokens in row.cost.ribbon])
        return self._layouts[row.job]


def _alignment(column: ResultColumn) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignRight if column in _AT_RIGHT else Qt.AlignmentFlag.AlignLeft
    return side | Qt.AlignmentFlag.AlignVCenter


def _ink(row: ResultRow, column: ResultColumn) -> QColor | None:
    if column not in _INKED:
        return None
    colours = current_theme().colours
    if column is ResultColumn.SHARE:
        return QColor(colours.large)
    if column is ResultColumn.MARK:
        inks = {Mark.RIGHT: colours.success, Mark.WRONG: colours.danger, Mark.ERROR: colours.danger}
        return QColor(inks.get(mark_of(row), colours.muted))
    return QColor(colours.muted)


_HEIGHT = 12


class RibbonCell(QStyledItemDelegate):
    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        super().paint(painter, option, index)
        if layout := index.data(RIBBON_ROLE):
            cell = QRectF(option.rect)
            area = QRectF(cell.left() + 8, cell.center().y() - _HEIGHT / 2, cell.width() - 16, _HEIGHT)
            paint_ribbon(painter, area, layout, current_theme().colours)


LONGEST = 200
_SIGNS = dict(zip("pi theta alpha beta infty cup cap times pm le ge ne in".split(), "πθαβ∞∪∩·±≤≥≠∈", strict=True))
_FRACTION = re.compile(r"\\frac\{([^{}]*)\}\{([^{}]*)\}")
_ROOT = re.compile(r"\\sqrt\{([^{}]*)\}")
_SIGN = re.compile(rf"\\({'|'.join(_SIGNS)})(?![a-zA-Z])\s*")
_ONE_TERM = re.compile(r"\\?\w*")


def plain_answer(answer: str) -> str:
    text = tidy(answer[:LONGEST])
    for _ in range(3):  # fractions and roots in each other; what is deeper stays as it is written
        text = _ROOT.sub(lambda found: f"√{_grouped(found[1])}", text)
        text = _FRACTION.sub(lambda found: f"{_grouped(found[1])}/{_grouped(found[2])}", text)
    text = _SIGN.sub(lambda found: _SIGNS[found[1]], text)
    return text.replace("\\{", "{").replace("\\}", "}").replace("( ", "(").replace(" )", ")")


def _grouped(term: str) -> str:
    term = term.strip()
    return term if _ONE_TERM.fullmatch(term) or term.startswith("√") else f"({term})"
