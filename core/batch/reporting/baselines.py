"""Compares each arm with both of its models alone, and places it between chance and the oracle.

Both models alone say how much of the gap an arm closes, and in what part of the time. Random takeovers at an equal
large share are the lower bound of what the placement of takeovers can achieve, the oracle is the upper one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from core.batch.reporting.statistics import ratio_of_sums
from core.batch.running.arms import Arm
from core.grading.verdict import Outcome
from core.intervals import Estimate
from core.store.batch_rows import ResultRow
from core.thinking.policy import Needs
from core.thinking.registry import POLICIES

SMALL_ALONE = Needs(large=False)
LARGE_ALONE = Needs(small=False)
ANOTHER_SHARE = 1 / 3
"""Large shares that differ by more than this part of an arm's own cannot be compared with it."""


class AgainstBaselines(NamedTuple):
    """What an arm achieves, in terms of the arms of its small and of its large model alone."""

    gap_recovered: Estimate | None
    """(accuracy − small) / (large − small); None unless both are there and the large model is better."""
    time_ratio: Estimate | None
    """Seconds an answer over those of the large model alone; None without that arm, and for an arm of analysis."""


class ArmPlacement(BaseModel):
    """Where an arm stands between chance and the oracle."""

    model_config = ConfigDict(frozen=True)

    chance: str = Field(description="The arm of random takeovers with the arm's large share.")
    oracle: str = Field(description="The oracle whose large share is nearest to the arm's.")
    at_other_shares: bool = Field(description="Whether one of them has a large share that is more than a third apart.")
    value: Estimate | None = Field(
        description="(accuracy − chance) / (oracle − chance), with an interval over problems; null at other shares, or "
        "where the oracle is not better than chance."
    )


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
    if large and not is_analysis(arm):
        seconds = [_by_job(rows[each.name], lambda row: row.metrics.seconds) for each in (arm, large)]
        time = _ratio(*seconds)
    return AgainstBaselines(gap, time)


def is_analysis(arm: Arm) -> bool:
    """Tell whether the arm serves analysis only: it waits for estimates, so its time is not the method's."""
    return POLICIES.of(arm.settings.policy).needs.expected_answer


def placement_of(arm: Arm, arms: Sequence[Arm], rows: Mapping[str, Sequence[ResultRow]]) -> ArmPlacement | None:
    """Place an arm between chance and the oracle; None if one of them is missing. `rows`: as in `against_baselines`."""
    chance = next((each for each in arms if each.equal_share_of == arm.name and rows[each.name]), None)
    oracles = [each for each in arms if is_analysis(each) and each.models == arm.models and rows[each.name]]
    if chance is None or not oracles or is_analysis(arm):
        return None
    share = _large_share(rows[arm.name])
    oracle = min(oracles, key=lambda each: abs(_large_share(rows[each.name]) - share))
    far = any(abs(_large_share(rows[each.name]) - share) > ANOTHER_SHARE * share for each in (chance, oracle))
    value = None
    if not far:
        value = _ratio(*(_by_job(rows[each.name], _is_right) for each in (arm, oracle, chance)))
    return ArmPlacement(chance=chance.name, oracle=oracle.name, at_other_shares=far, value=value)


def _large_share(rows: Sequence[ResultRow]) -> float:
    large = sum(row.metrics.large_tokens for row in rows)
    return large / max(1, large + sum(row.metrics.small_tokens for row in rows))


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
