"""Compares each arm with both of its models alone: how much of the gap it closes, and in what part of the time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from core.batch.reporting.statistics import ratio_of_sums
from core.batch.running.arms import Arm
from core.grading.verdict import Outcome
from core.intervals import Estimate
from core.store.batch_rows import ResultRow
from core.thinking.policy import Needs
from core.thinking.registry import POLICIES

SMALL_ALONE = Needs(large=False)
LARGE_ALONE = Needs(small=False)


class AgainstBaselines(NamedTuple):
    """What an arm achieves, in terms of the arms of its small and of its large model alone."""

    gap_recovered: Estimate | None
    """(accuracy − small) / (large − small); None unless both are there and the large model is better."""
    time_ratio: Estimate | None
    """Seconds an answer over those of the large model alone; None without that arm."""


def against_baselines(arm: Arm, arms: Sequence[Arm], rows: Mapping[str, Sequence[ResultRow]]) -> AgainstBaselines:
    """Compare an arm with its baselines on the problems and seeds that all of them have answered.

    `rows`: those with an answer, by the name of their arm. The intervals are bootstrapped over problems.
    """
    small = _baseline(SMALL_ALONE, arm, arms)
    large = _baseline(LARGE_ALONE, arm, arms)
    gap = time = None
    if small and large:
        right = [_by_job(rows[each.name], _is_right) for each in (arm, small, large)]
        gap = _ratio(right[0], right[2], right[1])
    if large:
        seconds = [_by_job(rows[each.name], lambda row: row.metrics.seconds) for each in (arm, large)]
        time = _ratio(*seconds)
    return AgainstBaselines(gap, time)


def _baseline(needs: Needs, arm: Arm, arms: Sequence[Arm]) -> Arm | None:
    """Return the arm that runs only the small, or only the large, model of `arm`."""

    def is_baseline(each: Arm) -> bool:
        same = each.small_model == arm.small_model if needs.small else each.large_model == arm.large_model
        return POLICIES.of(each.settings.policy).needs == needs and same

    return next(filter(is_baseline, arms), None)


Job = tuple[int, int]
"""A problem's position, and a seed."""


def _is_right(row: ResultRow) -> float | None:
    return None if row.outcome is Outcome.UNSCORED else float(row.outcome is Outcome.CORRECT)


def _by_job(rows: Sequence[ResultRow], value: Callable[[ResultRow], float | None]) -> dict[Job, float]:
    values = {(row.position, row.seed): value(row) for row in rows}
    return {job: known for job, known in values.items() if known is not None}


def _ratio(
    above: Mapping[Job, float], below: Mapping[Job, float], less: Mapping[Job, float] | None = None
) -> Estimate | None:
    """Return Σ (above − less) / Σ (below − less) over the jobs that all have, bootstrapped over problems."""
    jobs = above.keys() & below.keys() & (below if less is None else less).keys()
    sums: defaultdict[int, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for job in jobs:
        base = less[job] if less is not None else 0.0
        sums[job[0]][0] += above[job] - base
        sums[job[0]][1] += below[job] - base
    return ratio_of_sums([(first, second) for _, (first, second) in sorted(sums.items())])
