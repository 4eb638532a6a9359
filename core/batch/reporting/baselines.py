"""Compares each arm with its small and its large model alone: gap recovered, time ratio, and advice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from baton_reasoning.core.batch.reporting import statistics
from baton_reasoning.core.batch.running.arms import Arm
from baton_reasoning.core.grading.verdict import Outcome
from baton_reasoning.core.intervals import Estimate
from baton_reasoning.core.store.batches import ResultRow
from baton_reasoning.core.thinking.policy import Needs

SMALL_ALONE = Needs(large=False)
LARGE_ALONE = Needs(small=False)
NOTHING_RIGHT = 0.1
"""A small model with an accuracy below this, interval included, cannot be helped by handoffs."""
FALLS_SHORT = "it falls far short of its large model; use that alone for such problems"

Value = TypeVar("Value")
Job = tuple[int, int]
"""A problem's position, and a seed."""


class AgainstBaselines(NamedTuple):
    """An arm compared with the arms of its small and its large model alone."""

    gap_recovered: Estimate | None
    """(accuracy − small) / (large − small); None unless both are there and the large model is better."""
    time_ratio: Estimate | None
    """Seconds an answer over those of the large model alone; None without that arm."""
    advice: str
    """Why to use the large model alone instead; empty if nothing speaks for that."""


def baseline(needs: Needs, arm: Arm, arms: Iterable[Arm]) -> Arm | None:
    """Return the arm that runs only the small, or only the large, model of `arm`."""

    def is_baseline(each: Arm) -> bool:
        same = each.small_model == arm.small_model if needs.small else each.large_model == arm.large_model
        return each.needs == needs and same

    return next(filter(is_baseline, arms), None)


def change_by_pair(alone: ResultRow, row: ResultRow) -> str:
    """Say what a pair made of the answer of its small model alone: “rescued”, “spoiled”, or "" if both count alike."""
    match alone.outcome, row.outcome:
        case Outcome.WRONG, Outcome.CORRECT:
            return "rescued"
        case Outcome.CORRECT, Outcome.WRONG:
            return "spoiled"
    return ""


def marks_of(rows: Iterable[ResultRow]) -> dict[Job, bool]:
    """Return whether each scored answer is right, by its job."""
    return {
        (row.position, row.seed): row.outcome is Outcome.CORRECT for row in rows if row.outcome is not Outcome.UNSCORED
    }


def by_problem(*values: Mapping[Job, Value]) -> list[list[tuple[Value, ...]]]:
    """Return, by problem, the values that all mappings have of the same job."""
    jobs = sorted(set.intersection(*map(set, values)))
    return statistics.grouped((job[0], tuple(each[job] for each in values)) for job in jobs)


def against_baselines(arms: Sequence[Arm], rows: Mapping[str, Sequence[ResultRow]]) -> dict[str, AgainstBaselines]:
    """Compare each arm with its baselines on the problems and seeds that all of them have answered.

    `rows`: those with an answer, by the name of their arm. The intervals are bootstrapped over problems.
    """
    right = {arm.name: marks_of(rows[arm.name]) for arm in arms}
    seconds = {arm.name: {(row.position, row.seed): row.cost.seconds for row in rows[arm.name]} for arm in arms}
    found = {}
    for arm in arms:
        small, large = (baseline(needs, arm, arms) for needs in (SMALL_ALONE, LARGE_ALONE))
        gap, time, advice = None, None, ""
        if small and large:
            compared = by_problem(*(right[each.name] for each in (arm, small, large)))
            gap = statistics.bootstrap(_sums(compared), _part_of_gap)
            if gap and arm.is_pair and _falls_short(gap, compared):
                advice = FALLS_SHORT
        if large:
            time = statistics.ratio_of_sums(_sums(by_problem(seconds[arm.name], seconds[large.name])))
        found[arm.name] = AgainstBaselines(gap, time, advice)
    return found


def _falls_short(gap: Estimate, marks: Sequence[Sequence[tuple[bool, ...]]]) -> bool:
    """Tell whether the large model is clearly more accurate than both its pair and the small one, which adds nothing.

    `marks`: for each problem, whether pair, small and large model are right on each of its jobs.
    """
    found = (
        statistics.clustered_accuracy([[mark[which] for mark in of_one] for of_one in marks]) for which in range(3)
    )
    pair, small, large = (estimate for estimate in found if estimate)
    return max(pair.high, small.high) < large.low and (small.high < NOTHING_RIGHT or gap.value <= 0)


def _sums(problems: Sequence[Sequence[tuple[float, ...]]]) -> list[list[float]]:
    """Add up the values of each problem, place by place."""
    return [[sum(column) for column in zip(*each, strict=True)] for each in problems]


def _part_of_gap(sums: Sequence[float]) -> float | None:
    """Return (arm − lower) / (upper − lower) of right answers; None if `upper` is not better."""
    arm, lower, upper = sums
    return (arm - lower) / (upper - lower) if upper > lower else None
