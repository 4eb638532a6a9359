"""The results as a table model: every job a row, live, sorted and filtered, smooth at 50,000 rows.

It sorts and filters a list of row numbers by itself, in portions (`arrangement`): a proxy model would call Python for
every comparison, and stall the window.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt, QTimer, Signal
from PySide6.QtGui import QColor

from app.batch.arrangement import NOWHERE, PORTION, Column, Mark, Order, Shown, Wish, arranged, mark_of
from app.batch.plain_answer import plain_answer
from app.theme import current_theme
from app.widgets.ribbon_drawing import RibbonLayout, Segment
from core.batch.batch_events import JobGrew
from core.problem import Problem
from core.store.batch_rows import JobState, ResultRow

Index = QModelIndex | QPersistentModelIndex
ROOT = QModelIndex()
RIBBON_ROLE = Qt.ItemDataRole.UserRole
"""A `RibbonLayout`, or None while nothing is written."""


TITLES = ("#", "Problem", "Arm", "Who wrote it", "Large", "Answer", "Expected", "", "Tokens", "Time")
_COLUMNS = tuple(Column)
_INKED = {Column.NUMBER, Column.ARM, Column.SHARE, Column.MARK}
_AT_RIGHT = {Column.NUMBER, Column.SHARE, Column.TOKENS, Column.TIME}


class ResultTable(QAbstractTableModel):
    arranged = Signal()
    """The rows that were last wished for are shown, in their order."""

    def __init__(self) -> None:
        super().__init__()
        self._problems: Sequence[Problem] = ()
        self._rows: list[ResultRow] = []
        self._number_of: dict[int, int] = {}
        self._order = Order([], [])
        self._layouts: dict[int, RibbonLayout] = {}
        self._told_by: dict[int, Callable[[ResultRow, Column], Any]] = {
            Qt.ItemDataRole.DisplayRole: self._text,
            Qt.ItemDataRole.ForegroundRole: _ink,
            Qt.ItemDataRole.TextAlignmentRole: lambda _, column: _alignment(column),
            Qt.ItemDataRole.ToolTipRole: self._tip,
            Qt.ItemDataRole.AccessibleTextRole: _spoken,
            RIBBON_ROLE: self._layout,
        }
        self._wish = Wish()
        self._arranging: Generator[None, None, Order] | None = None
        self._turn = QTimer(self)
        self._turn.setInterval(0)
        self._turn.timeout.connect(self._arrange_on)

    def show(self, problems: Sequence[Problem], rows: Iterable[ResultRow]) -> None:
        """Another batch, whole at first; what was chosen before is chosen from it, too."""
        self.beginResetModel()
        self._problems, self._rows = problems, list(rows)
        self._number_of = {row.job: number for number, row in enumerate(self._rows)}
        self._layouts.clear()
        self._turn.stop()
        self._arranging = None
        self._order = Order(list(range(len(self._rows))), list(range(len(self._rows))))
        self.endResetModel()
        if self._wish != Wish():
            self._arrange(self._wish)

    def choose(self, wanted: Shown, arm: str | None) -> None:
        """Show these rows only; `arm` None is all arms. Rows that change later stay until the next choice."""
        self._arrange(self._wish._replace(shown=wanted, arm=arm))

    def take(self, row: ResultRow) -> None:
        """A job of the table has changed."""
        number = self._number_of[row.job]
        self._rows[number] = row
        self._layouts.pop(row.job, None)
        if (place := self._order.places[number]) != NOWHERE:
            self.dataChanged.emit(self.index(place, 0), self.index(place, len(TITLES) - 1))

    def grow(self, look: JobGrew) -> None:
        row = self._rows[self._number_of[look.job]]
        self.take(
            row._replace(
                state=JobState.CLAIMED,
                figures=look.figures,
            )
        )

    def set_state(self, job: int, state: JobState) -> None:
        """It has begun, or waits again."""
        self.take(self._rows[self._number_of[job]]._replace(state=state))

    def row_at(self, place: int) -> ResultRow:
        return self._rows[self._order.shown[place]]

    def problem_at(self, place: int) -> Problem:
        return self._problems[self.row_at(place).position]

    def rowCount(self, parent: Index = ROOT) -> int:
        return 0 if parent.isValid() else len(self._order.shown)

    def columnCount(self, parent: Index = ROOT) -> int:
        return 0 if parent.isValid() else len(TITLES)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation is not Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return TITLES[section]
        if role == Qt.ItemDataRole.ToolTipRole and section == Column.MARK:
            return "✓ right, ✗ wrong, – nobody can tell"
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(Column(section))
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        tell = self._told_by.get(role)  # most questions are about roles that no cell has: a cell answers them at once
        if tell is None or not index.isValid():
            return None
        return tell(self.row_at(index.row()), _COLUMNS[index.column()])

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        by = None if column < 0 else Column(column)
        self._arrange(self._wish._replace(sorted_by=by, falling=order is Qt.SortOrder.DescendingOrder))

    def _arrange(self, wish: Wish) -> None:
        """Begin anew; a table of one portion is arranged when this returns, a longer one a little later."""
        self._wish = wish
        self._arranging = arranged(self._rows, self._problems, wish)
        if len(self._rows) > PORTION:
            self._turn.start()
        else:
            while self._arranging:
                self._arrange_on()

    def _arrange_on(self) -> None:
        assert self._arranging is not None
        try:
            next(self._arranging)
        except StopIteration as done:
            self._turn.stop()
            self._arranging = None
            self._take_order(done.value)
            self.arranged.emit()

    def _take_order(self, order: Order) -> None:
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

    def _text(self, row: ResultRow, column: Column) -> str:
        problem = self._problems[row.position]
        match column:
            case Column.NUMBER:
                return str(row.position + 1)
            case Column.PROBLEM:
                return " ".join(problem.text[:300].split())
            case Column.ARM:
                return row.arm
            case Column.SHARE:
                return f"{row.figures.large_share:.0%}" if row.figures.tokens else ""
            case Column.ANSWER:
                return plain_answer(row.answer) if row.answer else "…" if row.state is JobState.CLAIMED else ""
            case Column.EXPECTED:
                return plain_answer(problem.expected or "")
            case Column.MARK:
                return mark_of(row).value
            case Column.TOKENS:
                return f"{row.figures.tokens:,}" if row.figures.tokens else ""
            case Column.TIME:
                return duration(row.figures.seconds) if row.figures.tokens else ""
            case Column.RIBBON:
                return ""

    def _tip(self, row: ResultRow, column: Column) -> str | None:
        if column is Column.PROBLEM:
            return self._problems[row.position].text[:2000]
        if column in (Column.MARK, Column.ANSWER):
            return row.error or (row.verdict.reason if row.verdict else None) or None
        return None

    def _layout(self, row: ResultRow, _column: Column) -> RibbonLayout | None:
        if not row.figures.ribbon:
            return None
        if row.job not in self._layouts:
            self._layouts[row.job] = RibbonLayout([Segment(author, tokens) for author, tokens in row.figures.ribbon])
        return self._layouts[row.job]


def duration(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _alignment(column: Column) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignRight if column in _AT_RIGHT else Qt.AlignmentFlag.AlignLeft
    return side | Qt.AlignmentFlag.AlignVCenter


def _spoken(row: ResultRow, column: Column) -> str | None:
    """What a screen reader says of a cell that is drawn, or is a sign."""
    if column is Column.RIBBON:
        return f"{row.figures.large_share:.0%} by the large model"
    return mark_of(row).name.lower() if column is Column.MARK else None


def _ink(row: ResultRow, column: Column) -> QColor | None:
    if column not in _INKED:
        return None
    colours = current_theme().colours
    if column is Column.SHARE:
        return QColor(colours.large)
    if column is Column.MARK:
        inks = {Mark.RIGHT: colours.success, Mark.WRONG: colours.danger, Mark.ERROR: colours.danger}
        return QColor(inks.get(mark_of(row), colours.muted))
    return QColor(colours.muted)
