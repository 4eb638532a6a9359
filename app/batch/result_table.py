"""The results as a table model: every job a row, live, sorted and filtered, smooth at 50,000 rows.

It sorts and filters a list of row numbers by itself: a proxy model would call Python for every comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import Enum, IntEnum
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtGui import QColor

from app.theme import current_theme
from app.widgets.ribbon_drawing import RibbonLayout, Segment
from core.batch.happenings import JobGrew
from core.batch.problems import Problem
from core.batch.verdict import Outcome
from core.store.batch_rows import JobState, ResultRow

Index = QModelIndex | QPersistentModelIndex
NOWHERE = QModelIndex()
RIBBON_ROLE = Qt.ItemDataRole.UserRole
"""A `RibbonLayout`, or None while nothing is written."""


class Column(IntEnum):
    NUMBER = 0
    PROBLEM = 1
    ARM = 2
    RIBBON = 3
    SHARE = 4
    ANSWER = 5
    EXPECTED = 6
    MARK = 7
    TOKENS = 8
    TIME = 9


TITLES = ("#", "Problem", "Arm", "Who wrote it", "Large", "Answer", "Expected", "", "Tokens", "Time")
_AT_RIGHT = {Column.NUMBER, Column.SHARE, Column.TOKENS, Column.TIME}


class Shown(Enum):
    """Which rows a person wants to see."""

    ALL = "All"
    WRONG = "Wrong only"
    DISAGREEMENTS = "Arms disagree"
    ERRORS = "Errors"


class Mark(Enum):
    """What became of a job: its sign, and the word that a screen reader says."""

    RIGHT = "✓"
    WRONG = "✗"
    UNSCORED = "–"
    ERROR = "error"
    RUNNING = "running…"
    WAITING = ""


_ORDER = list(Mark)


def mark_of(row: ResultRow) -> Mark:
    if row.state is JobState.CLAIMED:
        return Mark.RUNNING
    if row.state is JobState.WAITING:
        return Mark.WAITING
    if row.error:
        return Mark.ERROR
    outcomes = {Outcome.CORRECT: Mark.RIGHT, Outcome.WRONG: Mark.WRONG, Outcome.UNSCORED: Mark.UNSCORED}
    return outcomes[row.verdict.outcome] if row.verdict else Mark.UNSCORED


class ResultTable(QAbstractTableModel):
    def __init__(self) -> None:
        super().__init__()
        self._problems: Sequence[Problem] = ()
        self._rows: list[ResultRow] = []
        self._number_of: dict[int, int] = {}
        self._shown: list[int] = []
        self._place_of: dict[int, int] = {}
        self._layouts: dict[int, RibbonLayout] = {}
        self._sorted_by: Column | None = None
        self._falling = False
        self._wanted = Shown.ALL
        self._arm: str | None = None

    def show(self, problems: Sequence[Problem], rows: Iterable[ResultRow]) -> None:
        """Another batch."""
        self.beginResetModel()
        self._problems, self._rows = problems, list(rows)
        self._number_of = {row.job: number for number, row in enumerate(self._rows)}
        self._layouts.clear()
        self._arrange()
        self.endResetModel()

    def choose(self, wanted: Shown, arm: str | None) -> None:
        """Show these rows only; `arm` None is all arms. Rows that change later stay until the next choice."""
        self.beginResetModel()
        self._wanted, self._arm = wanted, arm
        self._arrange()
        self.endResetModel()

    def take(self, row: ResultRow) -> None:
        """A job of the table has changed."""
        number = self._number_of[row.job]
        self._rows[number] = row
        self._layouts.pop(number, None)
        if (place := self._place_of.get(number)) is not None:
            self.dataChanged.emit(self.index(place, 0), self.index(place, len(TITLES) - 1))

    def grow(self, look: JobGrew) -> None:
        row = self._rows[self._number_of[look.job]]
        self.take(
            row._replace(
                state=JobState.CLAIMED,
                seconds=look.seconds,
                small_tokens=look.small_tokens,
                large_tokens=look.large_tokens,
                ribbon=look.ribbon,
            )
        )

    def set_state(self, job: int, state: JobState) -> None:
        """It has begun, or waits again."""
        self.take(self._rows[self._number_of[job]]._replace(state=state))

    def row_at(self, place: int) -> ResultRow:
        return self._rows[self._shown[place]]

    def problem_at(self, place: int) -> Problem:
        return self._problems[self.row_at(place).position]

    def rowCount(self, parent: Index = NOWHERE) -> int:
        return 0 if parent.isValid() else len(self._shown)

    def columnCount(self, parent: Index = NOWHERE) -> int:
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
        if not index.isValid():
            return None
        number, column = self._shown[index.row()], Column(index.column())
        row = self._rows[number]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return self._text(row, column)
            case Qt.ItemDataRole.ForegroundRole:
                return _ink(row, column)
            case Qt.ItemDataRole.TextAlignmentRole:
                return _alignment(column)
            case Qt.ItemDataRole.ToolTipRole:
                return self._tip(row, column)
            case Qt.ItemDataRole.AccessibleTextRole if column is Column.RIBBON:
                return f"{row.large_share:.0%} by the large model"
            case Qt.ItemDataRole.AccessibleTextRole if column is Column.MARK:
                return mark_of(row).name.lower()
            case _ if role == RIBBON_ROLE:
                return self._layout(number) if row.ribbon else None
        return None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        self.layoutAboutToBeChanged.emit()
        self._sorted_by = None if column < 0 else Column(column)
        self._falling = order is Qt.SortOrder.DescendingOrder
        chosen = self.persistentIndexList()
        numbers = [self._shown[index.row()] for index in chosen]
        self._arrange()
        moved = [
            self.index(self._place_of[number], index.column()) for number, index in zip(numbers, chosen, strict=True)
        ]
        self.changePersistentIndexList(chosen, moved)
        self.layoutChanged.emit()

    def _arrange(self) -> None:
        disagreed = self._disagreements() if self._wanted is Shown.DISAGREEMENTS else set()
        marks = {Shown.WRONG: Mark.WRONG, Shown.ERRORS: Mark.ERROR}

        def wanted(row: ResultRow) -> bool:
            if self._arm is not None and row.arm != self._arm:
                return False
            if self._wanted is Shown.DISAGREEMENTS:
                return (row.position, row.seed) in disagreed
            return self._wanted is Shown.ALL or mark_of(row) is marks[self._wanted]

        self._shown = [number for number, row in enumerate(self._rows) if wanted(row)]
        if self._sorted_by is not None:
            key = self._sort_key(self._sorted_by)
            self._shown.sort(key=lambda number: key(self._rows[number]), reverse=self._falling)
        self._place_of = {number: place for place, number in enumerate(self._shown)}

    def _disagreements(self) -> set[tuple[int, int]]:
        """Problems and seeds that one arm solved and another did not."""
        marks: dict[tuple[int, int], set[Mark]] = {}
        for row in self._rows:
            marks.setdefault((row.position, row.seed), set()).add(mark_of(row))
        return {key for key, seen in marks.items() if {Mark.RIGHT, Mark.WRONG} <= seen}

    def _sort_key(self, column: Column) -> Callable[[ResultRow], Any]:
        keys: dict[Column, Callable[[ResultRow], Any]] = {
            Column.NUMBER: lambda row: (row.position, row.seed),
            Column.PROBLEM: lambda row: self._problems[row.position].text.lower(),
            Column.ARM: lambda row: row.arm,
            Column.RIBBON: lambda row: row.large_share,
            Column.SHARE: lambda row: row.large_share,
            Column.ANSWER: lambda row: row.answer.lower(),
            Column.EXPECTED: lambda row: self._problems[row.position].expected or "",
            Column.MARK: lambda row: _ORDER.index(mark_of(row)),
            Column.TOKENS: lambda row: row.tokens,
            Column.TIME: lambda row: row.seconds,
        }
        return keys[column]

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
                return f"{row.large_share:.0%}" if row.tokens else ""
            case Column.ANSWER:
                return _one_line(row.answer) if row.answer else "…" if row.state is JobState.CLAIMED else ""
            case Column.EXPECTED:
                return _one_line(problem.expected or "")
            case Column.MARK:
                return mark_of(row).value
            case Column.TOKENS:
                return f"{row.tokens:,}" if row.tokens else ""
            case Column.TIME:
                return duration(row.seconds) if row.tokens else ""
            case Column.RIBBON:
                return ""

    def _tip(self, row: ResultRow, column: Column) -> str | None:
        if column is Column.PROBLEM:
            return self._problems[row.position].text[:2000]
        if column in (Column.MARK, Column.ANSWER):
            return row.error or (row.verdict.reason if row.verdict else None) or None
        return None

    def _layout(self, number: int) -> RibbonLayout:
        if number not in self._layouts:
            segments = [Segment(segment.author, segment.tokens) for segment in self._rows[number].ribbon]
            self._layouts[number] = RibbonLayout(segments)
        return self._layouts[number]


def duration(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _one_line(text: str) -> str:
    return " ".join(text[:200].split())


def _alignment(column: Column) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignRight if column in _AT_RIGHT else Qt.AlignmentFlag.AlignLeft
    return side | Qt.AlignmentFlag.AlignVCenter


def _ink(row: ResultRow, column: Column) -> QColor | None:
    colours = current_theme().colours
    if column is Column.SHARE:
        return QColor(colours.large)
    if column is Column.MARK:
        inks = {Mark.RIGHT: colours.success, Mark.WRONG: colours.danger, Mark.ERROR: colours.danger}
        return QColor(inks.get(mark_of(row), colours.muted))
    if column in (Column.NUMBER, Column.ARM):
        return QColor(colours.muted)
    return None
