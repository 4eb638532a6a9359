"""Measures accuracy at equal cost: how many answers are right if none may take longer, or cost more, than a budget.

An answer counts as right if it is right and its cost is within the budget, so that arms of very different cost can be
compared at any of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NamedTuple

import numpy as np

from baton_reasoning.core.batch.reporting.statistics import clustered_accuracy, grouped
from baton_reasoning.core.intervals import Estimate

BUDGETS = 25
"""Budgets of each cost at which the accuracies are given."""


class Cost(Enum):
    """What an answer costs."""

    SECONDS = "seconds"
    COMPUTE = "compute"
    """FLOP."""
    MONEY = "money"


class ScoredAnswer(NamedTuple):
    problem: int
    """Position of the problem."""
    is_right: bool
    costs: Mapping[Cost, float]
    """Those that are known."""


def budgets_of(arms: Sequence[Sequence[ScoredAnswer]]) -> dict[Cost, tuple[float, ...]]:
    """Choose budgets for each known cost, geometrically from the cheapest right answer to the dearest one.

    Costs of which no answer is known to have any are left out.
    """
    found = {}
    for cost in Cost:
        right = [each.costs.get(cost, 0.0) for answers in arms for each in answers if each.is_right]
        if paid := [each for each in right if each > 0]:
            found[cost] = tuple(dict.fromkeys(np.geomspace(min(paid), max(paid), BUDGETS).tolist()))
    return found


def accuracies_within(
    answers: Sequence[ScoredAnswer], budgets: Mapping[Cost, Sequence[float]]
) -> dict[Cost, tuple[Estimate, ...]]:
    """Estimate the share of answers that are right and within each budget, as wide as the problems warrant.

    Costs that are not known of every answer are left out.
    """
    found = {}
    for cost, limits in budgets.items():
        if answers and all(cost in each.costs for each in answers):
            needed = grouped((each.problem, each.costs[cost] if each.is_right else math.inf) for each in answers)
            within = (clustered_accuracy([[paid <= limit for paid in each] for each in needed]) for limit in limits)
            found[cost] = tuple(each for each in within if each)
    return found
