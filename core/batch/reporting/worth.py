"""Finds out what takeovers were worth in a batch, by their reason and cue: values of a sample of its answers.

`drawn` chooses the answers, `BatchValues` values them, and `worth_of` concludes; `baton batch value` does all three.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import NamedTuple

from baton_reasoning.core.batch.reporting.reviews import BatchReviews, Review
from baton_reasoning.core.batch.reporting.statistics import ratio_of_sums
from baton_reasoning.core.engines.random_numbers import number_at, stream_of
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.grading.verdict import How, Outcome, Regex
from baton_reasoning.core.intervals import Estimate
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.run import Pair
from baton_reasoning.core.step_values.estimator import ValueEstimator, ValueOptions, is_news, is_valued
from baton_reasoning.core.store.batches import ResultRow
from baton_reasoning.core.store.run_cost import Takeover
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.events import Event, ValuesEstimated
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.thinking.values import WON, StepValues, TakeoverWorth, TextPlace


class TakeoverKind(NamedTuple):
    """What led to a takeover."""

    reason: str
    """The label of the reason."""
    cue: str
    """In lower case; "" without one."""

    @classmethod
    def of(cls, takeover: Takeover) -> TakeoverKind:
        return cls(POLICIES.reason(takeover.reason).label, takeover.cue.lower())


@dataclass(frozen=True, slots=True)
class MeanWorth:
    """What some takeovers were worth."""

    takeovers: int
    mean: Estimate
    """With an interval for both the choice of problems and chance in the continuations."""
    helped: int
    """Takeovers whose worth is above 0 beyond chance."""
    rescued: int
    """Takeovers that raised the value from below `WON` to at least `WON`, beyond chance."""
    spoiled: int
    """Takeovers that lowered the value from at least `WON` to below `WON`, beyond chance."""
    tokens: int
    """Of the large model."""

    @classmethod
    def of(cls, found: Sequence[tuple[int, TakeoverWorth]]) -> MeanWorth:
        """`found`: at least one, each with the index of its problem."""
        worths = [worth for _, worth in found]
        return cls(
            len(worths),
            _mean((problem, worth.difference) for problem, worth in found),
            sum(worth.is_rise for worth in worths),
            sum(worth.is_rise and _is_won_after(worth) for worth in worths),
            sum(worth.is_fall and _is_lost_after(worth) for worth in worths),
            sum(worth.span.tokens for worth in worths),
        )

    @property
    def tokens_each(self) -> float:
        return self.tokens / self.takeovers

    @property
    def per_100_tokens(self) -> float:
        """Return the worth of 100 tokens of the large model."""
        return 100 * self.mean.value * self.takeovers / max(1, self.tokens)


class SampleWorth(NamedTuple):
    """What the takeovers of some answers were worth."""

    answers: int
    """Those with values."""
    start: Estimate | None
    """Mean value at the beginning of the text."""
    all: MeanWorth | None
    """None if the worth of no takeover is known."""
    kinds: dict[TakeoverKind, MeanWorth]
    """The commonest first."""


def drawn(store: Store, batch_id: str, size: int, seed: int = 0, arm: str | None = None) -> list[ResultRow]:
    """Draw graded answers that contain takeovers, all of them if there are not more; a seed draws the same again.

    Raises SettingsError if there is none, StoreError.
    """
    problems = list(store.batches.problems(batch_id))
    graded = [
        row
        for row in store.batches.results(batch_id, arm)
        if row.has_answer and row.outcome is not Outcome.UNSCORED and problems[row.position].expected
    ]
    if not graded:
        raise SettingsError(
            "The batch has no graded answers.", "Let it run on problems with an expected answer, or name another --arm."
        )
    graded.sort(key=lambda row: number_at(stream_of(seed, f"sample {row.arm} {row.position} {row.seed}", 0), 0))
    with_takeovers = (row for row in graded if row.cost.takeovers)
    if not (rows := sorted(islice(with_takeovers, size), key=lambda row: row.job)):
        raise SettingsError("No graded answer of the batch contains a takeover.", "Name another --arm or batch.")
    return rows


class BatchValues(BatchReviews):
    """Values the takeovers of answers, without what is known of them already."""

    def __init__(
        self,
        store: Store,
        rows: Sequence[ResultRow],
        pair: Pair,
        grader: Grader,
        problems: Sequence[Problem],
        options: ValueOptions,
        how: How | Regex,
    ) -> None:
        """`problems`: all of the batch."""
        super().__init__(store, rows)
        self._pair, self._grader, self._problems, self._options, self._how = pair, grader, problems, options, how

    def begin(self, row: ResultRow, trace: Trace) -> Review:
        """Raises SettingsError, as `ValueEstimator` does."""
        expected = self._problems[row.position].expected or ""
        estimator = ValueEstimator(self._pair, trace, self._grader, expected, self._options, self._how)
        return Review(estimator.stop, estimator.run())

    def is_kept(self, trace: Trace, event: Event) -> bool:
        """Tell whether anything was found out."""
        assert isinstance(event, ValuesEstimated)
        return is_news(trace.values.get(event.writer), event)


def without_values(
    store: Store, rows: Iterable[ResultRow], problems: Sequence[Problem], options: ValueOptions
) -> list[ResultRow]:
    """Return the answers of which values are missing. Raises StoreError."""

    def is_known(row: ResultRow) -> bool:
        return is_valued(store.runs.trace(row.run), problems[row.position].expected or "", options)

    return [row for row in rows if not is_known(row)]


def values_in(trace: Trace) -> dict[str, StepValues]:
    """Return the values of an answer that say how often it gets right, by their writer."""
    return {writer: StepValues(trace, found) for writer, found in trace.values.items() if found.is_expected}


def worth_of(store: Store, rows: Iterable[ResultRow], writer: str) -> SampleWorth:
    """Conclude from the values of answers by this writer. Raises StoreError."""
    starts: list[tuple[int, Estimate]] = []
    found: list[tuple[int, TakeoverWorth]] = []
    read = ((row.position, values_in(store.runs.trace(row.run))) for row in rows)
    valued = [(problem, known[writer]) for problem, known in read if writer in known]
    for problem, values in valued:
        found += [(problem, worth) for worth in values.takeovers]
        if start := values.at(TextPlace(0)):
            starts.append((problem, start.value))
    return SampleWorth(
        len(valued), _mean(starts) if starts else None, MeanWorth.of(found) if found else None, by_kind(found)
    )


def by_kind(found: Iterable[tuple[int, TakeoverWorth]]) -> dict[TakeoverKind, MeanWorth]:
    """Average takeovers, each with the index of its problem, by their kind; the commonest first."""
    kinds: defaultdict[TakeoverKind, list[tuple[int, TakeoverWorth]]] = defaultdict(list)
    for problem, worth in found:
        kinds[TakeoverKind.of(Takeover.of(worth.span.piece))].append((problem, worth))
    return {kind: MeanWorth.of(kinds[kind]) for kind in sorted(kinds, key=lambda kind: -len(kinds[kind]))}


def _mean(found: Iterable[tuple[int, Estimate]]) -> Estimate:
    """Average estimates, each with the index of its problem.

    The interval is a bootstrap over problems, and never narrower than chance in the continuations makes it (square and
    add): where all of a few agree, a bootstrap would have no width.
    """
    problems: defaultdict[int, list[Estimate]] = defaultdict(list)
    for problem, estimate in found:
        problems[problem].append(estimate)
    mean = ratio_of_sums([(sum(each.value for each in of_one), len(of_one)) for of_one in problems.values()])
    assert mean is not None
    each = list(chain(*problems.values()))
    below = math.hypot(*(one.value - one.low for one in each)) / len(each)
    above = math.hypot(*(one.high - one.value for one in each)) / len(each)
    return Estimate(mean.value, min(mean.low, mean.value - below), max(mean.high, mean.value + above))


def _is_won_after(worth: TakeoverWorth) -> bool:
    return worth.before.value.value < WON <= worth.after.value.value


def _is_lost_after(worth: TakeoverWorth) -> bool:
    return worth.after.value.value < WON <= worth.before.value.value
