"""Compares each arm with both of its models alone, and with random takeovers.

Both models alone say how much of the gap an arm closes, and in what part of the time. Random takeovers at an equal
large share are the lower bound of what the choice of places can achieve.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from baton_reasoning.core.batch.reporting.statistics import bootstrap, ratio_of_sums, sums_by_problem
from baton_reasoning.core.batch.running.arms import Arm
from baton_reasoning.core.grading.verdict import Outcome
from baton_reasoning.core.intervals import Estimate
from baton_reasoning.core.store.batch_rows import ResultRow
from baton_reasoning.core.thinking.policy import Needs
from baton_reasoning.core.thinking.registry import POLICIES

SMALL_ALONE = Needs(large=False)
LARGE_ALONE = Needs(small=False)


class AgainstBaselines(NamedTuple):
    """What an arm achieves, in terms of the arms of its small and of its large model alone."""

    gap_recovered: Estimate | None
    """(accuracy − small) / (large − small); None unless both are there and the large model is better."""
    time_ratio: Estimate | None
    """Seconds an answer over those of the large model alone; None without that arm."""
    chance_share: Estimate | None
    """The large share at which random takeovers would be as accurate; None without its arm of random takeovers."""


def against_baselines(arm: Arm, arms: Sequence[Arm], rows: Mapping[str, Sequence[ResultRow]]) -> AgainstBaselines:
    """Compare an arm with its baselines on the problems and seeds that all of them have answered.

    `rows`: those with an answer, by the name of their arm. The intervals are bootstrapped over problems.
    """
    small = _baseline(SMALL_ALONE, arm, arms)
    large = _baseline(LARGE_ALONE, arm, arms)
    chance = _chance_of(arm, arms, rows)
    gap = time = share = None
    if small and large:
        right, of_small, of_large = (_by_job(rows[each.name], _is_right) for each in (arm, small, large))
        gap = bootstrap(_sums(right, of_small, of_large), _part_of_gap)
        if chance:
            found = rows[chance.name]
            tokens = (
                _by_job(found, lambda row: row.metrics.large_tokens),
                _by_job(found, lambda row: row.metrics.tokens),
            )
            share = bootstrap(_sums(right, of_small, of_large, _by_job(found, _is_right), *tokens), _chance_share)
    if large:
        seconds = (_by_job(rows[each.name], lambda row: row.metrics.seconds) for each in (arm, large))
        time = ratio_of_sums(_sums(*seconds))
    return AgainstBaselines(gap, time, share)


def _chance_of(arm: Arm, arms: Sequence[Arm], rows: Mapping[str, Sequence[ResultRow]]) -> Arm | None:
    """Return the arm of random takeovers with the arm's large share; None without one that has answers."""
    return next((each for each in arms if each.equal_share_of == arm.name and rows[each.name]), None)


def _baseline(needs: Needs, arm: Arm, arms: Sequence[Arm]) -> Arm | None:
    """Return the arm that runs only the small, or only the large, model of `arm`."""

    def is_baseline(each: Arm) -> bool:
        same = each.small_model == arm.small_model if needs.small else each.large_model == arm.large_model
        return POLICIES.of(each.settings.policy).needs == needs and same and each.votes == 1

    return next(filter(is_baseline, arms), None)


Job = tuple[int, int]
"""A problem's position, and a seed."""


def _is_right(row: ResultRow) -> float | None:
    return None if row.outcome is Outcome.UNSCORED else float(row.outcome is Outcome.CORRECT)


def _by_job(rows: Sequence[ResultRow], value: Callable[[ResultRow], float | None]) -> dict[Job, float]:
    values = {(row.position, row.seed): value(row) for row in rows}
    return {job: known for job, known in values.items() if known is not None}


def _sums(*values: Mapping[Job, float]) -> list[list[float]]:
    """Add up the values of each problem over the jobs that all mappings have."""
    jobs = sorted(set.intersection(*map(set, values)))
    return sums_by_problem((job[0], [each[job] for each in values]) for job in jobs)


def _part_of_gap(sums: Sequence[float]) -> float | None:
    """Return (arm − lower) / (upper − lower), from the right answers of the three; None if the upper is not better."""
    arm, lower, upper = sums
    return (arm - lower) / (upper - lower) if upper > lower else None


def _chance_share(sums: Sequence[float]) -> float:
    """Return the smallest large share at which random takeovers have as many right answers as the arm.

    Interpolated linearly between the small model alone (share 0), the arm of random takeovers at its share, and the
    large model alone (1). 1 where none of them has as many.

    `sums`: right answers of the arm, of small and of large alone and by random takeovers; then the tokens of the large
    model and of both, by random takeovers.
    """
    arm, small, large, chance, large_tokens, tokens = sums
    if arm <= small:
        return 0.0
    line = ((0.0, small), (large_tokens / max(1.0, tokens), chance), (1.0, large))
    for (left, below), (right, above) in pairwise(line):
        if below < arm <= above:
            part = (arm - below) / (above - below)
            return (1 - part) * left + part * right
    return 1.0
