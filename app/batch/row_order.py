"""Which result rows are shown, in which order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum, IntEnum
from typing import Any, NamedTuple

from baton_reasoning.core.batch.running.arms import arm_title
from baton_reasoning.core.grading.verdict import Outcome
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.store.batches import JobState, ResultRow


class ResultColumn(IntEnum):
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


class RowFilter(Enum):
    """Which result rows are shown."""

    ALL = "All"
    WRONG = "Wrong only"
    DISAGREEMENTS = "Policies disagree"
    ERRORS = "Errors"


class Mark(Enum):
    """The sign of an outcome; its name is for screen readers."""

    RIGHT = "✓"
    WRONG = "✗"
    UNSCORED = "–"
    ERROR = "error"
    RUNNING = "running…"
    WAITING = ""


_ORDER = list(Mark)
_MARKS = {Outcome.CORRECT: Mark.RIGHT, Outcome.WRONG: Mark.WRONG, Outcome.UNSCORED: Mark.UNSCORED}


def run_title(row: ResultRow) -> str:
    """Return the policy of a row, and the seed if it is not the first: “Keywords · seed 2”."""
    return f"{arm_title(row.arm)} · seed {row.seed}" if row.seed else arm_title(row.arm)


def mark_of(row: ResultRow) -> Mark:
    if row.state is JobState.CLAIMED:
        return Mark.RUNNING
    if row.state is JobState.WAITING:
        return Mark.WAITING
    if row.error:
        return Mark.ERROR
    return _MARKS[row.verdict.outcome] if row.verdict else Mark.UNSCORED


class RowQuery(NamedTuple):
    """Filter and order of the result rows."""

    shown: RowFilter = RowFilter.ALL
    arm: str | None = None
    """None is all arms."""
    sorted_by: ResultColumn | None = None
    falling: bool = False


NOWHERE = -1


class RowOrder(NamedTuple):
    shown: list[int]
    """Numbers of rows, in the order in which they are shown."""
    places: list[int]
    """Where each row is shown, by its number; `NOWHERE` for those that are not."""


def arranged(rows: Sequence[ResultRow], problems: Sequence[Problem], query: RowQuery) -> RowOrder:
    """Filter and sort the rows."""
    wanted = _filter(rows, query)
    shown = [number for number, row in enumerate(rows) if wanted(row)]
    if query.sorted_by is not None:
        key = _sort_key(query.sorted_by, problems)
        shown.sort(key=lambda number: key(rows[number]), reverse=query.falling)
    places = [NOWHERE] * len(rows)
    for place, number in enumerate(shown):
        places[number] = place
    return RowOrder(shown, places)


def _filter(rows: Sequence[ResultRow], query: RowQuery) -> Callable[[ResultRow], bool]:
    disagreed = _disagreements(rows) if query.shown is RowFilter.DISAGREEMENTS else set()
    marks = {RowFilter.WRONG: Mark.WRONG, RowFilter.ERRORS: Mark.ERROR}

    def wanted(row: ResultRow) -> bool:
        if query.arm is not None and row.arm != query.arm:
            return False
        if query.shown is RowFilter.DISAGREEMENTS:
            return (row.position, row.seed) in disagreed
        return query.shown is RowFilter.ALL or mark_of(row) is marks[query.shown]

    return wanted


def _disagreements(rows: Sequence[ResultRow]) -> set[tuple[int, int]]:
    """Return the problems and seeds that one arm solved and another did not."""
    marks: dict[tuple[int, int], set[Mark]] = {}
    for row in rows:
        marks.setdefault((row.position, row.seed), set()).add(mark_of(row))
    return {key for key, seen in marks.items() if {Mark.RIGHT, Mark.WRONG} <= seen}


def _sort_key(column: ResultColumn, problems: Sequence[Problem]) -> Callable[[ResultRow], Any]:
    keys: dict[ResultColumn, Callable[[ResultRow], Any]] = {
        ResultColumn.NUMBER: lambda row: (row.position, row.seed),
        ResultColumn.PROBLEM: lambda row: problems[row.position].text.lower(),
        ResultColumn.ARM: run_title,
        ResultColumn.RIBBON: lambda row: row.cost.large_share,
        ResultColumn.SHARE: lambda row: row.cost.large_share,
        ResultColumn.ANSWER: lambda row: row.answer.lower(),
        ResultColumn.EXPECTED: lambda row: problems[row.position].expected or "",
        ResultColumn.MARK: lambda row: _ORDER.index(mark_of(row)),
        ResultColumn.TOKENS: lambda row: row.cost.tokens,
        ResultColumn.TIME: lambda row: row.cost.seconds,
    }
    return keys[column]
