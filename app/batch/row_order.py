"""Filter and sort result rows in portions, so that the window stays responsive in
between: sorting 50,000 rows in one go would stall it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from enum import Enum, IntEnum
from heapq import merge
from itertools import islice
from typing import Any, NamedTuple

from core.grading.verdict import Outcome
from core.problem import Problem
from core.store.batch_rows import JobState, ResultRow

PORTION = 1000
"""Rows that are processed in one go: one or two milliseconds."""


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
    DISAGREEMENTS = "Arms disagree"
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


def mark_of(row: ResultRow) -> Mark:
    if row.state is JobState.CLAIMED:
        return Mark.RUNNING
    if row.state is JobState.WAITING:
        return Mark.WAITING
    if row.error:
        return Mark.ERROR
    outcomes = {Outcome.CORRECT: Mark.RIGHT, Outcome.WRONG: Mark.WRONG, Outcome.UNSCORED: Mark.UNSCORED}
    return outcomes[row.verdict.outcome] if row.verdict else Mark.UNSCORED


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


def arranged(rows: Sequence[ResultRow], problems: Sequence[Problem], wish: RowQuery) -> Generator[None, None, RowOrder]:
    """Compute the visible rows, in order. Yields after each portion."""
    shown = yield from _in_order(rows, problems, wish)
    places = [NOWHERE] * len(rows)
    for begin in range(0, len(shown), PORTION):
        for place, number in enumerate(shown[begin : begin + PORTION], begin):
            places[number] = place
        yield
    return RowOrder(shown, places)


def _in_order(
    rows: Sequence[ResultRow], problems: Sequence[Problem], wish: RowQuery
) -> Generator[None, None, list[int]]:
    wanted = yield from _wanted(rows, wish)
    numbers: list[int] = []
    for begin in range(0, len(rows), PORTION):
        end = min(begin + PORTION, len(rows))
        numbers += [number for number in range(begin, end) if wanted(rows[number])]
        yield
    if wish.sorted_by is None:
        return numbers
    key = _sort_key(wish.sorted_by, problems)
    keys: dict[int, Any] = {}
    runs: list[list[int]] = []
    for begin in range(0, len(numbers), PORTION):
        run = numbers[begin : begin + PORTION]
        keys.update((number, key(rows[number])) for number in run)
        runs.append(sorted(run, key=keys.__getitem__, reverse=wish.falling))
        yield
    merged = merge(*runs, key=keys.__getitem__, reverse=wish.falling)
    in_order: list[int] = []
    while portion := list(islice(merged, PORTION)):
        in_order += portion
        yield
    return in_order


def _wanted(rows: Sequence[ResultRow], wish: RowQuery) -> Generator[None, None, Callable[[ResultRow], bool]]:
    disagreed = (yield from _disagreements(rows)) if wish.shown is RowFilter.DISAGREEMENTS else set()
    marks = {RowFilter.WRONG: Mark.WRONG, RowFilter.ERRORS: Mark.ERROR}

    def wanted(row: ResultRow) -> bool:
        if wish.arm is not None and row.arm != wish.arm:
            return False
        if wish.shown is RowFilter.DISAGREEMENTS:
            return (row.position, row.seed) in disagreed
        return wish.shown is RowFilter.ALL or mark_of(row) is marks[wish.shown]

    return wanted


def _disagreements(rows: Sequence[ResultRow]) -> Generator[None, None, set[tuple[int, int]]]:
    """Find the problems and seeds that one arm solved and another did not."""
    marks: dict[tuple[int, int], set[Mark]] = {}
    for begin in range(0, len(rows), PORTION):
        for row in rows[begin : begin + PORTION]:
            marks.setdefault((row.position, row.seed), set()).add(mark_of(row))
        yield
    return {key for key, seen in marks.items() if {Mark.RIGHT, Mark.WRONG} <= seen}


def _sort_key(column: ResultColumn, problems: Sequence[Problem]) -> Callable[[ResultRow], Any]:
    keys: dict[ResultColumn, Callable[[ResultRow], Any]] = {
        ResultColumn.NUMBER: lambda row: (row.position, row.seed),
        ResultColumn.PROBLEM: lambda row: problems[row.position].text.lower(),
        ResultColumn.ARM: lambda row: row.arm,
        ResultColumn.RIBBON: lambda row: row.metrics.large_share,
        ResultColumn.SHARE: lambda row: row.metrics.large_share,
        ResultColumn.ANSWER: lambda row: row.answer.lower(),
        ResultColumn.EXPECTED: lambda row: problems[row.position].expected or "",
        ResultColumn.MARK: lambda row: _ORDER.index(mark_of(row)),
        ResultColumn.TOKENS: lambda row: row.metrics.tokens,
        ResultColumn.TIME: lambda row: row.metrics.seconds,
    }
    return keys[column]
