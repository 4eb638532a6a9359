"""Averages what takeovers of a batch were worth, by reason and cue, from the values of its answers."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from baton_reasoning.core.analysis.run_cost import Takeover
from baton_reasoning.core.analysis.values import WON, StepValues, TakeoverWorth, TextPlace
from baton_reasoning.core.batch.reporting.figures import signed
from baton_reasoning.core.batch.reporting.statistics import ratio_of_sums
from baton_reasoning.core.intervals import Estimate
from baton_reasoning.core.store.batches import ResultRow
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.thinking.trace import Trace

FEWEST_PROBLEMS = 10
"""A mean over fewer gets no ▲ or ▼: its interval hardly covers the choice of problems. Where worths vary by up to 1
around 0, it leaves out 0 for 22% of means over 3 problems, 8% over 10 and 5% over 30 (simulated)."""


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
    problems: int
    """With such takeovers."""
    mean: Estimate
    """Its interval covers the choice of problems and chance in the continuations."""
    rescued: int
    """Takeovers that raised the value from below `WON` to at least `WON`, beyond chance."""
    spoiled: int
    """Takeovers that lowered the value from at least `WON` to below `WON`, beyond chance."""

    @property
    def mean_text(self) -> str:
        """The mean in words; with ▲ or ▼ if its interval leaves out 0, unless the problems are too few."""
        return signed(
            self.mean, is_certain=self.problems >= FEWEST_PROBLEMS and not self.mean.low <= 0 <= self.mean.high
        )

    @classmethod
    def of(cls, found: Sequence[tuple[int, TakeoverWorth]]) -> MeanWorth:
        """`found`: at least one, each with the index of its problem."""
        worths = [worth for _, worth in found]
        return cls(
            len(worths),
            len({problem for problem, _ in found}),
            _mean((problem, worth.difference) for problem, worth in found),
            sum(worth.is_rise and worth.before.value.value < WON <= worth.after.value.value for worth in worths),
            sum(worth.is_fall and worth.after.value.value < WON <= worth.before.value.value for worth in worths),
        )


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


def values_in(trace: Trace) -> dict[str, StepValues]:
    """Return the values of an answer that estimate accuracy, not agreement, by their writer."""
    return {writer: StepValues(trace, found) for writer, found in trace.values.items() if found.is_expected}


def by_one_model(valued: Iterable[tuple[int, StepValues]]) -> list[tuple[int, StepValues]]:
    """Keep the values, each with the index of its problem, of the model that gave most: no figure is of two models."""
    found = list(valued)
    models = Counter(values.estimated.model for _, values in found)
    return [each for each in found if each[1].estimated.model == models.most_common(1)[0][0]]


def worth_of(store: Store, rows: Iterable[ResultRow], writer: str) -> SampleWorth:
    """Average the takeovers of answers by the values of this writer, one model. Raises StoreError."""
    read = ((row.position, values_in(store.runs.trace(row.run))) for row in rows)
    valued = by_one_model((problem, known[writer]) for problem, known in read if writer in known)
    starts = [(problem, start.value) for problem, values in valued if (start := values.at(TextPlace(0)))]
    found = [(problem, worth) for problem, values in valued for worth in values.takeovers]
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
