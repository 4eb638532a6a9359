"""Intervals of 95% hold the true value about 95 times of 100, at the numbers of continuations that are usual."""

import random
from collections.abc import Callable

import pytest

from baton_reasoning.core.intervals import Estimate, newcombe, wilson
from tests.tiers import size

pytestmark = pytest.mark.scaled

DRAWS = size(4_000, long=40_000)


def estimate(dice: random.Random, chance: float, trials: int) -> Estimate:
    right = sum(dice.random() < chance for _ in range(trials))
    return Estimate(right / trials, *wilson(right, trials))


def covered(dice: random.Random, draw: Callable[[], tuple[float, Estimate]]) -> float:
    drawn = [draw() for _ in range(DRAWS)]
    return sum(found.low <= truth <= found.high for truth, found in drawn) / len(drawn)


@pytest.mark.parametrize("trials", [8, 16, 64])
def test_a_value_lies_in_its_interval(trials):
    dice = random.Random(trials)

    def draw() -> tuple[float, Estimate]:
        chance = dice.random()
        return chance, estimate(dice, chance, trials)

    assert 0.93 <= covered(dice, draw) <= 0.97


@pytest.mark.parametrize("trials", [(8, 8), (16, 16), (16, 64)])
def test_a_difference_of_two_values_lies_in_its_interval(trials):
    dice = random.Random(sum(trials))

    def draw() -> tuple[float, Estimate]:
        one, other = dice.random(), dice.random()
        first, second = estimate(dice, one, trials[0]), estimate(dice, other, trials[1])
        return other - one, newcombe(first, second)

    assert 0.93 <= covered(dice, draw) <= 0.97


def test_the_published_example():
    """Newcombe 1998, table II, (a), method 10: 56/70 − 48/80 = .2, .0524 to .3339."""
    found = newcombe(Estimate(48 / 80, *wilson(48, 80)), Estimate(56 / 70, *wilson(56, 70)))
    assert (round(found.low, 4), round(found.high, 4)) == (0.0524, 0.3339)
