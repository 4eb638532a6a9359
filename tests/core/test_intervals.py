"""Intervals of 95% hold the true value about 95 times of 100, at the numbers of continuations that are usual; tests of
two proportions have published values."""

import random

import pytest

from baton_reasoning.core.intervals import Estimate, fisher_exact, holm, newcombe, wilson
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


@pytest.mark.parametrize(
    ("counts", "p"),
    [
        ((3, 4, 1, 4), 0.4857),  # Fisher 1935, The Design of Experiments: the lady tasting tea
        ((2, 12, 15, 18), 0.0005367),  # Fisher 1962: convictions of twins, as in R's fisher.test
        ((0, 2, 2, 2), 1 / 3),
        ((5, 5, 5, 5), 1.0),
    ],
)
def test_fishers_exact_test_has_published_values(counts, p):
    first, of_first, second, of_second = counts
    assert fisher_exact(*counts) == pytest.approx(p, rel=1e-3)
    assert fisher_exact(second, of_second, first, of_first) == fisher_exact(*counts)


def test_holms_method_multiplies_each_p_by_the_number_of_those_not_below_it():
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
