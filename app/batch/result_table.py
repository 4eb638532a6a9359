"""The results as a live table model: a row for each problem and seed, a column for each policy, and figures beside it.

It sorts and filters a list of row numbers by itself: a proxy model would call Python for every comparison.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from enum import Enum, IntEnum
from itertools import product
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt
from PySide6.QtGui import QColor

from baton_reasoning.app.toolkit.controls import plain_tip
from baton_reasoning.app.toolkit.ribbon import RibbonLayout
from baton_reasoning.app.toolkit.theme import current_theme
from baton_reasoning.core.analysis.run_cost import RunCost
from baton_reasoning.core.batch.reporting.baselines import SMALL_ALONE, baseline, change_by_pair
from baton_reasoning.core.batch.reporting.report import main_arm
from baton_reasoning.core.batch.running.arms import arm_title, known_arms
from baton_reasoning.core.grading.normal import tidy
from baton_reasoning.core.grading.verdict import Outcome
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.store.batches import JobState, ResultRow, StoredArm
from baton_reasoning.core.text import one_line
from baton_reasoning.core.words.numbers import distinguished

Index = QModelIndex | QPersistentModelIndex
ROOT = QModelIndex()
RIBBON_ROLE = Qt.ItemDataRole.UserRole
"""A `RibbonLayout` for the policies in which both models write, else None."""
SHOWN_OF_PROBLEM, SHOWN_IN_TIP = 300, 2000
"""Characters of a problem in its cell, and in its tool tip."""
SIGNS = "✓ right, ✗ wrong, – unscored, ! the engine reported something. Enter opens the answer."


class ResultColumn(IntEnum):
    """The columns before those of the policies."""

    NUMBER = 0
    SEED = 1
    PROBLEM = 2
    EXPECTED = 3


TITLES = ("#", "Seed", "Problem", "Expected")
FIRST_ARM = len(TITLES)


class Figure(Enum):
    """What a further column beside that of a policy shows, if a person wants it; the value is its title."""

    SHARE = "by large"
    TOKENS = "tokens"
    SECONDS = "seconds"

    def of(self, cost: RunCost) -> float:
        return {Figure.SHARE: cost.large_share, Figure.TOKENS: cost.tokens, Figure.SECONDS: cost.seconds}[self]

    def text(self, cost: RunCost) -> str:
        """Return “26%”, “1,204” or “3.4”; nothing without an answer."""
        kind = {Figure.SHARE: ".0%", Figure.TOKENS: ",", Figure.SECONDS: ".1f"}[self]
        return format(self.of(cost), kind) if cost.tokens else ""


class RowFilter(Enum):
    """Which rows are shown."""

    ALL = "all"
    WRONG = "what {} got wrong"
    """The main policy did not get it right."""
    DIFFERENT = "where policies differ"


class Mark(Enum):
    """The sign of an outcome; its name is for screen readers. In this order they are sorted."""

    RIGHT = "✓"
    WRONG = "✗"
    UNSCORED = "–"
    ERROR = "error"
    RUNNING = "writing…"
    WAITING = ""


_ORDER = list(Mark)
_MARKS = {Outcome.CORRECT: Mark.RIGHT, Outcome.WRONG: Mark.WRONG, Outcome.UNSCORED: Mark.UNSCORED}
FAILED = {Mark.WRONG, Mark.UNSCORED, Mark.ERROR}


def mark_of(row: ResultRow) -> Mark:
    if row.state is JobState.CLAIMED:
        return Mark.RUNNING
    if row.state is JobState.WAITING:
        return Mark.WAITING
    if row.error:
        return Mark.ERROR
    return _MARKS[row.outcome]


def run_title(row: ResultRow) -> str:
    """Return the arm of a row, and the seed if it is not the first: “baton · seed 2”."""
    return f"{row.arm} · seed {row.seed}" if row.seed else row.arm


class ResultTable(QAbstractTableModel):
    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.arms: list[str] = []
        """Their names, in the order of the columns."""
        self.columns: list[tuple[str, Figure | None]] = []
        """After those of the problem: the arm of each, and the figure that it shows; None for the result."""
        self.figures: Sequence[Figure] = ()
        self.pairs: dict[str, str] = {}
        """The arms in which both models write, except controls, each with the arm of its small model alone, or ""."""
        self.main = ""
        """The name of the arm that the batch is about."""
        self.wrong: set[int] = set()
        """Numbers of the rows that the main policy did not get right."""
        self.different: set[int] = set()
        """Numbers of the rows that one policy got right and another wrong."""
        self._problems: Sequence[Problem] = ()
        self._parts: list[str] = []
        """Each problem on one line, without the opening that it shares with another."""
        self._keys: list[tuple[int, int]] = []
        """The position of the problem and the seed of each row."""
        self._rows: list[dict[str, ResultRow]] = []
        """The results of a problem and a seed by arm, in the order of problems and seeds."""
        self._number_of: dict[int, tuple[int, str]] = {}
        """The number of the row and the arm of each job."""
        self._shown: list[int] = []
        """Numbers of rows, in the order in which they are shown."""
        self._places: dict[int, int] = {}
        """Where each shown row is."""
        self._filter, self._column, self._falling = RowFilter.ALL, -1, False
        self._sought = ""
        self._shared: set[str] = set()
        """The arms in which both models may write."""

    def show(self, problems: Sequence[Problem], arms: Sequence[StoredArm], rows: Iterable[ResultRow]) -> None:
        """Show another batch with the same filter and order."""
        self.beginResetModel()
        known = known_arms(arms)
        small = {arm.name: baseline(SMALL_ALONE, arm, known) for arm in known if arm.is_pair}
        self.pairs = {name: alone.name if alone else "" for name, alone in small.items()}
        self.arms = [arm.name for arm in arms]
        self._shared = {arm.name for arm in known if len(arm.needs.writers) > 1}
        self._set_columns()
        main = main_arm(known)
        self.main = main.name if main else next(iter(self.arms), "")
        texts = distinguished([problem.text for problem in problems])
        self._problems, self._parts = problems, [one_line(text, SHOWN_OF_PROBLEM) for text in texts]
        found: dict[tuple[int, int], dict[str, ResultRow]] = {}
        for row in rows:
            found.setdefault((row.position, row.seed), {})[row.arm] = row
        self._keys = sorted(found)
        self._rows = [found[key] for key in self._keys]
        self._number_of = {each.job: (n, arm) for n, row in enumerate(self._rows) for arm, each in row.items()}
        self.wrong, self.different = set(), set()
        for number in range(len(self._rows)):
            self._count(number)
        self._arrange()
        self.endResetModel()

    def choose(self, wanted: RowFilter) -> None:
        """Show these rows only. Rows that change later stay until the next choice."""
        self.beginResetModel()
        self._filter = wanted
        self._arrange()
        self.endResetModel()

    def search(self, text: str) -> None:
        """Show only the rows in whose problem, or its name, this text stands, in capitals or not."""
        self.beginResetModel()
        self._sought = text.strip().lower()
        self._arrange()
        self.endResetModel()

    def show_figures(self, figures: Sequence[Figure]) -> None:
        """Show these figures beside each result, and the rows in their first order."""
        self.beginResetModel()
        self.figures, self._column = figures, -1
        self._set_columns()
        self._arrange()
        self.endResetModel()

    def take(self, row: ResultRow) -> None:
        """Update the result of a job."""
        number, arm = self._number_of[row.job]
        self._rows[number][arm] = row
        self._count(number)
        if (place := self._places.get(number)) is not None:
            self.dataChanged.emit(self.index(place, 0), self.index(place, self.columnCount() - 1))

    def result_at(self, index: Index) -> ResultRow | None:
        """Return the result that this cell is about; None in the first columns."""
        if not index.isValid() or index.column() < FIRST_ARM:
            return None
        return self._rows[self._shown[index.row()]].get(self.arm_of(index))

    def problem_at(self, place: int) -> Problem:
        return self._problems[self._keys[self._shown[place]][0]]

    def index_of(self, row: ResultRow) -> QModelIndex:
        """Return the cell of a result; an invalid index if it is filtered out or belongs to another batch."""
        number, arm = self._number_of.get(row.job, (-1, ""))
        return self.index(self._places[number], self._column_of(arm)) if number in self._places else ROOT

    def arm_cell(self, index: Index) -> QModelIndex:
        """Return the cell of a policy in this row: this one or, for the first columns, that of the main policy."""
        return self.index(index.row(), self._column_of(self.arm_of(index)))

    def arm_of(self, index: Index) -> str:
        """Return the policy of this column; for the first columns, the main one."""
        return self.columns[index.column() - FIRST_ARM][0] if index.column() >= FIRST_ARM else self.main

    def next_failed(self, index: Index, step: int) -> QModelIndex:
        """Return the next cell below (`step` 1) or above (-1) in which the same policy went wrong.

        From a cell of no policy, it is the main one; an invalid index if there is none.
        """
        column = self._column_of(self.arm_of(index))
        start = index.row() + step if index.isValid() else 0
        for place in range(start, self.rowCount() if step > 0 else -1, step):
            found = self.result_at(self.index(place, column))
            if found and mark_of(found) in FAILED:
                return self.index(place, column)
        return ROOT

    def rowCount(self, parent: Index = ROOT) -> int:
        return 0 if parent.isValid() else len(self._shown)

    def columnCount(self, parent: Index = ROOT) -> int:
        return 0 if parent.isValid() else FIRST_ARM + len(self.columns)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation is not Qt.Orientation.Horizontal:
            return None
        if section < FIRST_ARM:
            return TITLES[section] if role == Qt.ItemDataRole.DisplayRole else None
        arm, figure = self.columns[section - FIRST_ARM]
        whole = f"{arm_title(arm)}: {figure.value}" if figure else arm_title(arm)
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return figure.value if figure else whole
            case Qt.ItemDataRole.AccessibleTextRole:
                return whole
            case Qt.ItemDataRole.ToolTipRole:
                return plain_tip(whole if figure else f"{whole}\n{SIGNS}")
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop
        if index.column() < FIRST_ARM:
            return self._data_of_problem(self._shown[index.row()], ResultColumn(index.column()), role)
        row, (_, figure) = self.result_at(index), self.columns[index.column() - FIRST_ARM]
        if row and figure:
            return figure.text(row.cost) if role == Qt.ItemDataRole.DisplayRole else None
        return self._data_of_result(row, role) if row else None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column, with -1 as at first; what is selected stays selected."""
        self._column, self._falling = column, order is Qt.SortOrder.DescendingOrder
        self.layoutAboutToBeChanged.emit()
        before, chosen = self._shown, self.persistentIndexList()
        self._arrange()
        moved = [self.index(self._places.get(before[each.row()], -1), each.column()) for each in chosen]
        self.changePersistentIndexList(chosen, moved)
        self.layoutChanged.emit()

    # -----------------------------------------------------------------------------------------------------------------

    def _arrange(self) -> None:
        """Filter and sort the rows anew."""
        chosen: Iterable[int] = range(len(self._rows))
        if self._filter is not RowFilter.ALL:
            chosen = sorted(self.wrong if self._filter is RowFilter.WRONG else self.different)
        if self._sought:
            chosen = [number for number in chosen if self._sought in self._text_of_problem(number)]
        self._shown = list(chosen)
        if 0 <= self._column < self.columnCount():
            self._shown.sort(key=self._sort_key(), reverse=self._falling)
        self._places = {number: place for place, number in enumerate(self._shown)}

    def _sort_key(self) -> Callable[[int], Any]:
        match self._column:
            case ResultColumn.NUMBER:
                return self._keys.__getitem__
            case ResultColumn.SEED:
                return lambda number: self._keys[number][::-1]
            case ResultColumn.PROBLEM:
                return lambda number: self._parts[self._keys[number][0]].lower()
            case ResultColumn.EXPECTED:
                return lambda number: self._problems[self._keys[number][0]].expected or ""
        arm, figure = self.columns[self._column - FIRST_ARM]
        if figure:
            return lambda number: figure.of(row.cost) if (row := self._rows[number].get(arm)) else -1

        def by_result(number: int) -> tuple[int, str]:
            row = self._rows[number].get(arm)
            return (_ORDER.index(mark_of(row)), row.answer.lower()) if row else (len(_ORDER), "")

        return by_result

    def _column_of(self, arm: str) -> int:
        return FIRST_ARM + (self.columns.index((arm, None)) if arm in self.arms else 0)

    def _set_columns(self) -> None:
        shown = product(self.arms, (None, *self.figures))
        self.columns = [(arm, each) for arm, each in shown if each is not Figure.SHARE or arm in self._shared]

    def _text_of_problem(self, number: int) -> str:
        problem = self._problems[self._keys[number][0]]
        return f"{problem.id}\n{problem.text}".lower()

    def _count(self, number: int) -> None:
        """Note whether a row went wrong, and whether its policies differ."""
        marks = {arm: mark_of(row) for arm, row in self._rows[number].items()}
        for numbers, belongs in (
            (self.wrong, marks.get(self.main) in FAILED),
            (self.different, {Mark.RIGHT, Mark.WRONG} <= set(marks.values())),
        ):
            (numbers.add if belongs else numbers.discard)(number)

    def _data_of_problem(self, number: int, column: ResultColumn, role: int) -> Any:
        position, seed = self._keys[number]
        problem = self._problems[position]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                expected = plain_answer(problem.expected or "")
                return (str(position + 1), str(seed), self._parts[position], expected)[column]
            case Qt.ItemDataRole.ToolTipRole:
                text = f"{problem.id}\n{problem.text[:SHOWN_IN_TIP]}"
                return plain_tip((problem.expected or "") if column is ResultColumn.EXPECTED else text)
            case Qt.ItemDataRole.AccessibleTextRole if column is ResultColumn.PROBLEM:
                return problem.text[:SHOWN_IN_TIP]
            case Qt.ItemDataRole.ForegroundRole if column in (ResultColumn.NUMBER, ResultColumn.SEED):
                return QColor(current_theme().colours.muted)
        return None

    def _data_of_result(self, row: ResultRow, role: int) -> Any:
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return self._text(row)
            case Qt.ItemDataRole.ForegroundRole:
                return _ink(mark_of(row))
            case Qt.ItemDataRole.ToolTipRole:
                reason = row.error or (row.verdict.reason if row.verdict else "")
                answer = f"{run_title(row)}: {row.answer}" if row.answer else run_title(row)
                return plain_tip("\n".join(filter(None, (answer, reason, *row.notices))))
            case Qt.ItemDataRole.AccessibleTextRole:
                is_shared = row.arm in self.pairs and row.cost.tokens
                share = f"{row.cost.large_share:.0%} by the large model" if is_shared else ""
                answer = row.answer if mark_of(row) in FAILED else ""
                notice = "with a notice" if row.notices else ""
                parts = (mark_of(row).name.lower(), answer, self._change(row), share, notice)
                return f"{run_title(row)}: {', '.join(filter(None, parts))}"
            case RIBBON_ROLE.value if row.arm in self.pairs and row.cost.ribbon:
                return RibbonLayout(row.cost.ribbon)
        return None

    def _text(self, row: ResultRow) -> str:
        """Return “✓ rescued”, “✗ 07861”, “error”; ! marks a notice."""
        mark = mark_of(row)
        answer = plain_answer(row.answer) if mark in (Mark.WRONG, Mark.UNSCORED) else ""
        return " ".join(filter(None, (mark.value, answer, self._change(row), "!" if row.notices else "")))

    def _change(self, row: ResultRow) -> str:
        alone = self._rows[self._number_of[row.job][0]].get(self.pairs.get(row.arm, ""))
        return change_by_pair(alone, row) if alone else ""


def _ink(mark: Mark) -> QColor:
    colours = current_theme().colours
    inks = {Mark.RIGHT: colours.success, Mark.WRONG: colours.danger, Mark.ERROR: colours.danger}
    return QColor(inks.get(mark, colours.muted))


LONGEST = 200
_SYMBOLS = dict(zip("pi theta alpha beta infty cup cap times pm le ge ne in".split(), "πθαβ∞∪∩·±≤≥≠∈", strict=True))
_FRACTION = re.compile(r"\\frac\{([^{}]*)\}\{([^{}]*)\}")
_SQUARE_ROOT = re.compile(r"\\sqrt\{([^{}]*)\}")
_SYMBOL = re.compile(rf"\\({'|'.join(_SYMBOLS)})(?![a-zA-Z])\s*")
_ONE_TERM = re.compile(r"\\?\w*")


def plain_answer(answer: str) -> str:
    """Return an answer in LaTeX as it reads on one line: fractions, roots and signs are written as plain text."""
    text = tidy(answer[:LONGEST])
    for _ in range(3):  # fractions and roots in each other; what is deeper stays as it is written
        text = _SQUARE_ROOT.sub(lambda found: f"√{_grouped(found[1])}", text)
        text = _FRACTION.sub(lambda found: f"{_grouped(found[1])}/{_grouped(found[2])}", text)
    text = _SYMBOL.sub(lambda found: _SYMBOLS[found[1]], text)
    return text.replace("\\{", "{").replace("\\}", "}").replace("( ", "(").replace(" )", ")")


def _grouped(term: str) -> str:
    term = term.strip()
    return term if _ONE_TERM.fullmatch(term) or term.startswith("√") else f"({term})"
