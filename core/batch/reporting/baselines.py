"""Compares each arm with its small and its large model alone: how much of the gap it closes, in what part of the time,
and whether the large model alone should be used instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from baton_reasoning.core.batch.reporting import statistics
from baton_reasoning.core.batch.running.arms import Arm
from baton_reasoning.core.grading.verdict import Outcome
from baton_reasoning.core.intervals import Estimate
from baton_reasoning.core.store.batches import ResultRow
from baton_reasoning.core.thinking.policy import Needs
from baton_reasoning.core.thinking.registry import POLICIES

SMALL_ALONE = Needs(large=False)
LARGE_ALONE = Needs(small=False)
NOTHING_RIGHT = 0.1
"""Where the interval of its accuracy ends below this, a small model gets next to nothing right: a reasoning that it
writes most of cannot be saved by handovers."""
USE_LARGE = "use the large model alone for such problems"

Job = tuple[int, int]
"""A problem's position, and a seed."""


class AgainstBaselines(NamedTuple):
    """What an arm achieves, in terms of the arms of its small and of its large model alone."""

    gap_recovered: Estimate | None
    """(accuracy − small) / (large − small); None unless both are there and the large model is better."""
    time_ratio: Estimate | None
    """Seconds an answer over those of the large model alone; None without that arm."""
    advice: str = ""
    """Why the large model alone should be used instead, and that it should; empty if nothing speaks for that."""


def is_pair(arm: Arm) -> bool:
    """Tell whether both models write in it, and not by the large share of another arm."""
    needs = POLICIES.of(arm.settings.policy).needs
    return needs.small and needs.large and not arm.equal_share_of


def baseline(needs: Needs, arm: Arm, arms: Iterable[Arm]) -> Arm | None:
    """Return the arm that runs only the small, or only the large, model of `arm`."""

    def is_baseline(each: Arm) -> bool:
        same = each.small_model == arm.small_model if needs.small else each.large_model == arm.large_model
        return POLICIES.of(each.settings.policy).needs == needs and same

    return next(filter(is_baseline, arms), None)


def marks_of(rows: Iterable[ResultRow]) -> dict[Job, bool]:
    """Return whether each scored answer is right, by its job; unscored ones are left out."""
    return {
        (row.position, row.seed): row.outcome is Outcome.CORRECT for row in rows if row.outcome is not Outcome.UNSCORED
    }


def common(*values: Mapping[Job, float]) -> list[Job]:
    """Return the jobs that all mappings have, in order."""
    return sorted(set.intersection(*map(set, values)))


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
            compared = [right[each.name] for each in (arm, small, large)]
            gap = statistics.bootstrap(_sums(*compared), _part_of_gap)
            if gap and is_pair(arm):
                advice = _advice(gap, *_accuracies(*compared))
        if large:
            time = statistics.ratio_of_sums(_sums(seconds[arm.name], seconds[large.name]))
        found[arm.name] = AgainstBaselines(gap, time, advice)
    return found


def _advice(gap: Estimate, pair: Estimate, small: Estimate, large: Estimate) -> str:
    """Return why to use the large model alone, if it is clearly more accurate than both its pair and the small one."""
    if max(pair.high, small.high) >= large.low:
        return ""
    if small.high < NOTHING_RIGHT:
        return f"its small model alone gets next to nothing right; {USE_LARGE}"
    return f"it recovers nothing of the gap between its models; {USE_LARGE}" if gap.value <= 0 else ""


def _sums(*values: Mapping[Job, float]) -> list[list[float]]:
    """Add up the values of each problem over the jobs that all mappings have."""
    return statistics.sums_by_problem((job[0], [each[job] for each in values]) for job in common(*values))


def _accuracies(*right: Mapping[Job, bool]) -> list[Estimate]:
    """Return the share of right answers of each mapping, over the jobs that all of them have."""
    jobs = common(*right)
    found = (statistics.clustered_accuracy(statistics.grouped((job[0], each[job]) for job in jobs)) for each in right)
    return [estimate for estimate in found if estimate]


def _part_of_gap(sums: Sequence[float]) -> float | None:
    """Return (arm − lower) / (upper − lower), from the right answers of the three; None if the upper is not better."""
    arm, lower, upper = sums
    return (arm - lower) / (upper - lower) if upper > lower else None
