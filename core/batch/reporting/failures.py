"""Classifies the failed answers of a batch, and counts the outcomes of takeovers by reason and cue.

A wrong answer with a second opinion also has its divergence: where the large model first disagreed strongly.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from baton_reasoning.core.analysis.opinion import Opinion
from baton_reasoning.core.analysis.values import StepValues
from baton_reasoning.core.batch.reporting.worth import MeanWorth, TakeoverKind, by_kind, by_one_model, values_in
from baton_reasoning.core.batch.running.arms import pair_names
from baton_reasoning.core.grading.verdict import Outcome
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.store.batches import JobState, ResultRow
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.table import NOTHING, Column, Table
from baton_reasoning.core.thinking.events import CUT_OFF, Finish
from baton_reasoning.core.thinking.trace import Trace

VALUED_BY = "small"
"""The writer by whose values takeovers are judged."""


class FailureKind(Enum):
    """What went wrong, in the order of listing."""

    ERROR = "Error"
    REPETITION = "Repetition"
    LIMIT = "Cut off at a limit"
    NO_ANSWER = "No answer found"
    DIVERGED = "First strong disagreement"
    WRONG = "Wrong answer"
    UNSCORED = "Could not be graded"


_FORM = re.compile(r"\\[()\[\],;:!]|[\s\\$*_`#{}]")
"""White space, and the markup of Markdown and LaTeX."""


class Divergence(NamedTuple):
    """The first token with which the large model strongly disagrees, white space and markup aside."""

    step: int
    """Index of its step, from 0."""
    position: int
    """Characters of the text before it."""
    written: str
    expected: str
    """What the large model would have written."""

    @classmethod
    def of(cls, trace: Trace) -> Divergence | None:
        """Find it; None without a second opinion or such a disagreement."""
        opinion = Opinion.of(trace)
        strong = opinion.strong if opinion else ()
        found = (cls(each.step, each.start, trace.text[each.start : each.end], each.expected.text) for each in strong)
        return next((each for each in found if not each.is_of_form), None)

    @property
    def is_of_form(self) -> bool:
        """Whether the two differ in white space and markup only, or one of them is nothing else."""
        written, expected = (_FORM.sub("", text) for text in (self.written, self.expected))
        return written == expected or not (written and expected)


class Failure(NamedTuple):
    """An answer that is not right."""

    row: ResultRow
    problem: Problem
    kind: FailureKind
    divergence: Divergence | None = None

    @property
    def detail(self) -> str:
        """Describe the failure in a line."""
        if self.kind is FailureKind.ERROR:
            return self.row.error
        answer = f"{self.row.answer or 'no answer'}, expected {self.problem.expected or '?'}"
        return " · ".join([answer, *self.place])

    @property
    def place(self) -> list[str]:
        """Say at which limit it ended, and where the large model first strongly disagreed, as far as that is known."""
        row, found = self.row, self.divergence
        known = [row.finish.value] if self.kind is FailureKind.LIMIT and row.finish else []
        if found:
            known.append(f"step {found.step + 1}: {found.written.strip()} instead of {found.expected.strip()}")
        return known


@dataclass(frozen=True)
class TakeoverOutcomes:
    """Takeovers for one reason after one cue, and the outcomes of the answers that contain them."""

    reason: str
    """The label of the reason."""
    cue: str
    """In lower case; "" without one."""
    takeovers: int
    right: int
    """Answers with such a takeover that are right, wrong, and without a verdict."""
    wrong: int
    other: int
    worth: MeanWorth | None = None
    """Of those whose worth is known, by values of the small model."""


class FailureAnalysis(NamedTuple):
    """The failures and takeovers of one arm, or of all."""

    answers: int
    """Jobs that are done."""
    failures: tuple[Failure, ...]
    """Group by group, in the order of the problems."""
    takeovers: tuple[TakeoverOutcomes, ...]
    """The commonest first; of all arms, only of those in which both models write by their policy."""

    @property
    def groups(self) -> dict[FailureKind, int]:
        """Number of failures by kind, in the order of listing."""
        return Counter(failure.kind for failure in self.failures)

    @property
    def has_worth(self) -> bool:
        """Whether any takeover has been valued."""
        return any(group.worth for group in self.takeovers)


def analyse(store: Store, batch_id: str, arm: str | None = None) -> FailureAnalysis:
    """Read the traces with a second opinion or values, and group what is not right. Raises StoreError.

    Takeovers are those of `arm`, by default of the arms in which both models write by their policy.
    """
    taking_over = {arm} if arm else set(pair_names(store.batches.open(batch_id).arms))
    problems = list(store.batches.problems(batch_id))
    rows = [row for row in store.batches.results(batch_id, arm) if row.state is JobState.DONE]
    failures: list[Failure] = []
    valued: list[tuple[int, StepValues]] = []
    for row in rows:
        may_matter = row.reviewed and (row.cost.takeovers or row.outcome is not Outcome.CORRECT)
        trace = store.runs.read(row.run).trace if may_matter else None
        if trace and row.arm in taking_over and (values := values_in(trace).get(VALUED_BY)):
            valued.append((row.position, values))
        if row.outcome is not Outcome.CORRECT:
            divergence = Divergence.of(trace) if trace else None
            failures.append(Failure(row, problems[row.position], kind_of(row, divergence), divergence))
    order = list(FailureKind)
    failures.sort(key=lambda failure: order.index(failure.kind))
    worths = [(at, worth) for at, values in by_one_model(valued) for worth in values.takeovers]
    takeovers = takeover_outcomes((row for row in rows if row.arm in taking_over), by_kind(worths))
    return FailureAnalysis(len(rows), tuple(failures), tuple(takeovers))


def kind_of(row: ResultRow, divergence: Divergence | None) -> FailureKind:
    """Classify an answer that is not right."""
    if row.error:
        return FailureKind.ERROR
    if row.finish is Finish.REPETITION:
        return FailureKind.REPETITION
    if row.finish in CUT_OFF:
        return FailureKind.LIMIT
    if not row.answer:
        return FailureKind.NO_ANSWER
    if row.outcome is Outcome.UNSCORED:
        return FailureKind.UNSCORED
    return FailureKind.DIVERGED if divergence else FailureKind.WRONG


def takeover_outcomes(rows: Iterable[ResultRow], worths: Mapping[TakeoverKind, MeanWorth]) -> list[TakeoverOutcomes]:
    """Count takeovers by kind, the commonest first, with the outcomes of their answers and their worth."""
    takeovers: Counter[TakeoverKind] = Counter()
    answers: Counter[tuple[TakeoverKind, Outcome]] = Counter()
    for row in rows:
        kinds = list(map(TakeoverKind.of, row.cost.takeovers))
        takeovers.update(kinds)
        answers.update((kind, row.outcome) for kind in set(kinds))
    return [
        TakeoverOutcomes(
            *kind,
            number,
            answers[kind, Outcome.CORRECT],
            answers[kind, Outcome.WRONG],
            answers[kind, Outcome.UNSCORED],
            worths.get(kind),
        )
        for kind, number in takeovers.most_common()
    ]


def failure_table(failures: Sequence[Failure], most: int | None = None) -> Table:
    """List at most `most` failed answers in a table, by default all."""
    titles = ("problem", "arm", "seed", "group", "what is known")
    rows = tuple(
        (each.problem.id, each.row.arm, str(each.row.seed), each.kind.value, each.detail) for each in failures[:most]
    )
    left = len(failures) - len(rows)
    notes = (f"{left:,} more are in results.jsonl.",) if left else ()
    return Table("What went wrong", tuple(Column(title, is_number=title == "seed") for title in titles), rows, notes)


def takeover_table(groups: Iterable[TakeoverOutcomes]) -> Table:
    """List takeovers by reason and cue in a table, with their worth where it is known."""
    titles = ("reason", "cue", "takeovers", "right", "wrong", "% right", "worth", "rescued", "spoiled")
    columns = tuple(Column(title, is_number=number > 1) for number, title in enumerate(titles))
    title = "Takeovers by reason and cue, and the answers in which they stand"
    return Table(title, columns, tuple(map(_cells, groups))).without_empty()


def _cells(group: TakeoverOutcomes) -> tuple[str, ...]:
    scored, worth = group.right + group.wrong, group.worth
    of = f", {worth.takeovers:,} of them" if worth and worth.takeovers < group.takeovers else ""
    return (
        group.reason,
        group.cue or NOTHING,
        f"{group.takeovers:,}",
        f"{group.right:,}",
        f"{group.wrong:,}",
        f"{group.right / scored:.0%}" if scored else NOTHING,
        f"{worth.mean_text}{of}" if worth else NOTHING,
        f"{worth.rescued:,}" if worth else NOTHING,
        f"{worth.spoiled:,}" if worth else NOTHING,
    )
