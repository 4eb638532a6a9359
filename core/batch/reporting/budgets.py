"""Measures accuracy at equal time: how many answers are right if none may take longer than a budget of seconds.

An answer counts as right if it is right and took no longer than the budget, so that arms of very different speed can
be compared at any of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from baton_reasoning.core.batch.reporting.statistics import accuracy_of_counts
from baton_reasoning.core.intervals import Estimate

BUDGETS = 25
"""Budgets at which the accuracies are given."""


class ScoredAnswer(NamedTuple):
    problem: int
    """Position of the problem."""
    is_right: bool
    seconds: float


def budgets_of(arms: Sequence[Sequence[ScoredAnswer]]) -> tuple[float, ...]:
    """Choose budgets in seconds, geometrically from the fastest right answer to the slowest; none without any."""
    right = [each.seconds for answers in arms for each in answers if each.is_right and each.seconds > 0]
    return tuple(dict.fromkeys(np.geomspace(min(right), max(right), BUDGETS).tolist())) if right else ()


def accuracies_within(answers: Sequence[ScoredAnswer], budgets: Sequence[float]) -> tuple[Estimate, ...]:
    """Estimate the share of answers that are right and within each budget, as wide as the problems warrant.

    None without an answer.
    """
    problems, place = np.unique([each.problem for each in answers], return_inverse=True)
    needed = np.array([each.seconds if each.is_right else math.inf for each in answers])
    of_each = np.bincount(place, minlength=len(problems))
    within = (accuracy_of_counts(np.bincount(place, needed <= limit, len(problems)), of_each) for limit in budgets)
    return tuple(each for each in within if each)
