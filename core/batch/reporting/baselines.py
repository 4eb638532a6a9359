"""Compares each arm with both of its models alone, and places it between chance and the oracle.

Both models alone say how much of the gap an arm closes, and in what part of the time. Random takeovers at an equal
large share are the lower bound of what the placement of takeovers can achieve, the oracle is the upper one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from baton_reasoning.core.batch.reporting.statistics import bootstrap, ratio_of_sums, sums_by_problem
from baton_reasoning.core.batch.running.arms import Arm
from baton_reasoning.core.grading.verdict import Outcome
from baton_reasoning.core.intervals import Estimate
from baton_reasoning.core.store.batch_rows import ResultRow
from baton_reasoning.core.thinking.policy import Needs
from baton_reasoning.core.thinking.registry import POLICIES

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
    chance_share: Estimate | None
    """The large share at which random takeovers would be as accurate; None without its arm of random takeovers."""


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
    if large and not is_analysis(arm):
        seconds = (_by_job(rows[each.name], lambda row: row.metrics.seconds) for each in (arm, large))
        time = ratio_of_sums(_sums(*seconds))
    return AgainstBaselines(gap, time, share)


def is_analysis(arm: Arm) -> bool:
    """Tell whether the arm serves analysis only: it waits for estimates, so its time is not the method's."""
    return POLICIES.of(arm.settings.policy).needs.expected_answer


def placement_of(arm: Arm, arms: Sequence[Arm], rows: Mapping[str, Sequence[ResultRow]]) -> ArmPlacement | None:
    """Place an arm between chance and the oracle; None if one of them is missing. `rows`: as in `against_baselines`."""
    chance = _chance_of(arm, arms, rows)
    oracles = [each for each in arms if is_analysis(each) and each.models == arm.models and rows[each.name]]
    if chance is None or not oracles or is_analysis(arm):
        return None
    share = _large_share(rows[arm.name])
    oracle = min(oracles, key=lambda each: abs(_large_share(rows[each.name]) - share))
    far = any(abs(_large_share(rows[each.name]) - share) > ANOTHER_SHARE * share for each in (chance, oracle))
    value = None
    if not far:
        right = (_by_job(rows[each.name], _is_right) for each in (arm, chance, oracle))
        value = bootstrap(_sums(*right), _part_of_gap)
    return ArmPlacement(chance=chance.name, oracle=oracle.name, at_other_shares=far, value=value)


def _chance_of(arm: Arm, arms: Sequence[Arm], rows: Mapping[str, Sequence[ResultRow]]) -> Arm | None:
    """Return the arm of random takeovers with the arm's large share; None without one that has answers."""
    return next((each for each in arms if each.equal_share_of == arm.name and rows[each.name]), None)


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
