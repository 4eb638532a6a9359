"""Intervals of 95% hold the true value about 95 times of 100, at the numbers of continuations that are usual."""

import random

import pytest

from baton_reasoning.core.intervals import Estimate, newcombe, wilson
from tests.tiers import size

DRAWS = size(4_000, long=40_000)


def estimate(dice: random.Random, chance: float, trials: int) -> Estimate:
    right = sum(dice.random() < chance for _ in range(trials))
    return wilson(right, trials)


@pytest.mark.scaled
@pytest.mark.parametrize(("few", "many"), [(8, 8), (16, 16), (16, 64)])
def test_values_and_their_difference_lie_in_their_intervals(few, many):
    dice, covered = random.Random(few + many), [0, 0, 0]
    for _ in range(DRAWS):
        truths = dice.random(), dice.random()
        one, other = estimate(dice, truths[0], few), estimate(dice, truths[1], many)
        found = (one, other, newcombe(one, other))
        for at, (interval, truth) in enumerate(zip(found, (*truths, truths[1] - truths[0]), strict=True)):
            covered[at] += interval.low <= truth <= interval.high
    assert all(0.93 <= number / DRAWS <= 0.97 for number in covered)


def test_the_published_example():
    """Newcombe 1998, table II, (a), method 10: 56/70 − 48/80 = .2, .0524 to .3339."""
    found = newcombe(wilson(48, 80), wilson(56, 70))
    assert (round(found.low, 4), round(found.high, 4)) == (0.0524, 0.3339)
