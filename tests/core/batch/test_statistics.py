"""Intervals and tests against published values; several seeds of one problem do not count as several problems."""

import random
import statistics

import pytest

from baton_reasoning.core.batch.reporting.statistics import (
    Difference,
    bootstrap,
    clustered_accuracy,
    difference,
    holm,
    mcnemar_exact,
    quantile,
    ratio_of_sums,
)
from baton_reasoning.core.intervals import Estimate, wilson

RIGHT, WRONG = True, False


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_intervals_of_newcombe_1998_table_1(successes, trials, low, high):
    interval = wilson(successes, trials)
    assert interval.low == pytest.approx(low, abs=5e-5)
    assert interval.high == pytest.approx(high, abs=5e-5)


def test_wilson_is_symmetric_and_ends_at_exactly_0_and_1():
    assert wilson(20, 20).high == 1.0
    assert wilson(0, 20).low == 0.0
    assert wilson(20, 20).low == pytest.approx(1 - wilson(0, 20).high)


@pytest.mark.parametrize(("successes", "trials"), [(1, 0), (0, 0), (3, 2), (-1, 2)])
def test_counts_that_cannot_be_are_refused(successes, trials):
    with pytest.raises(ValueError, match="trials"):
        wilson(successes, trials)


@pytest.mark.parametrize(
    ("only_first", "only_second", "p"),
    [
        (1, 7, 0.0703),  # airway hyper-responsiveness, Bentur et al. 2009, in Fagerland et al. 2014
        (6, 16, 0.0525),  # complete response, Cavo et al. 2012, in Fagerland et al. 2014
        (5, 0, 0.0625),
        (0, 0, 1.0),
        (4, 4, 1.0),
    ],
)
def test_mcnemar_gives_the_published_exact_p(only_first, only_second, p):
    assert mcnemar_exact(only_first, only_second) == pytest.approx(p, abs=5e-5)
    assert mcnemar_exact(only_second, only_first) == mcnemar_exact(only_first, only_second)


@pytest.mark.slow
def test_mcnemar_bears_thousands_of_discordant_problems():
    assert 0 < mcnemar_exact(2400, 2600) < 0.01


def compared(both: int, only_first: int, only_second: int, neither: int) -> Difference:
    """Two arms that solve so many problems, with one seed."""
    counts = {(RIGHT, RIGHT): both, (RIGHT, WRONG): only_first, (WRONG, RIGHT): only_second, (WRONG, WRONG): neither}
    found = difference([([first], [second]) for (first, second), count in counts.items() for _ in range(count)])
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("counts", "value", "low", "high"),
    [
        # Cavo et al. 2012, in Fagerland, Lydersen & Laake, Statistical Analysis of Contingency Tables, chapter 8
        ((59, 6, 16, 80), 0.0621, 0.0046, 0.1186),
        # Altman et al. 2000, Statistics with Confidence, table 6.2
        ((14, 5, 0, 22), -0.122, -0.226, -0.011),
    ],
)
def test_a_paired_difference_has_newcombes_published_interval(counts, value, low, high):
    estimate = compared(*counts).difference
    assert (estimate.value, *estimate.interval) == pytest.approx((value, low, high), abs=5e-4)


def test_swapping_the_runs_mirrors_the_difference():
    one, other = compared(10, 3, 8, 4).difference, compared(10, 8, 3, 4).difference
    assert one.value == pytest.approx(-other.value)
    assert one.low == pytest.approx(-other.high)


def test_holms_p_values_are_those_of_his_procedure():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.2]) == [0.2]
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_a_ratio_has_a_bootstrap_interval_over_problems():
    estimate = ratio_of_sums([(100.0, 1.0), (300.0, 1.0)] * 50)
    assert estimate is not None
    assert estimate.value == 200
    assert 175 < estimate.interval.low < 190
    assert 210 < estimate.interval.high < 225
    assert ratio_of_sums([(100.0, 1.0), (300.0, 1.0)] * 50) == estimate


def test_a_figure_of_sums_has_the_interval_of_its_resamples():
    """Against a bootstrap by the standard library: (first − third) / (second − third)."""
    problems = [[1.0, 1.0, 0.0]] * 30 + [[0.0, 1.0, 0.0]] * 20 + [[1.0, 1.0, 1.0]] * 40 + [[0.0, 0.0, 1.0]] * 10
    found = bootstrap(problems, lambda sums: (sums[0] - sums[2]) / (sums[1] - sums[2]))
    dice, drawn = random.Random(1), []
    for _ in range(2_000):
        first, second, third = map(sum, zip(*dice.choices(problems, k=len(problems)), strict=True))
        drawn.append((first - third) / (second - third))
    low, high = (statistics.quantiles(drawn, n=40)[place] for place in (0, -1))
    assert found
    assert (found.value, *found.interval) == pytest.approx((20 / 40, low, high), abs=0.03)


def test_resamples_without_a_figure_are_left_out():
    found = bootstrap([[1.0, 1.0], [1.0, 0.0]], lambda sums: sums[0] / sums[1] if sums[1] else None)
    assert found == Estimate(2.0, 1.0, 2.0)
    assert bootstrap([[1.0]], lambda _: None) is None


def test_the_interval_of_a_median_is_that_of_the_binomial_distribution():
    """Of 100 values in order, the 40th and the 61st hold the median with 96.5% (Conover 1999, chapter 3.2)."""
    found = quantile([[float(number)] for number in range(1, 101)], 0.5)
    assert found
    assert (found.value, *found.interval) == (50.5, 40, 61)


def test_the_interval_of_a_quantile_is_as_wide_as_the_problems_warrant():
    once = quantile([[float(number)] for number in range(100)], 0.5)
    thrice = quantile([[float(number)] * 3 for number in range(100)], 0.5)
    assert once
    assert thrice
    assert thrice.interval == pytest.approx(once.interval, abs=1)
    assert quantile([[7.0]], 0.95) == Estimate(7.0, 7.0, 7.0)
    assert quantile([[]], 0.5) is None


def width(problems: list[list[bool]]) -> float:
    estimate = clustered_accuracy(problems)
    assert estimate
    return estimate.high - estimate.low


def test_seeds_that_always_agree_add_nothing():
    """Three equal answers a problem warrant the interval of one answer a problem (n/(n-1) apart)."""
    thrice = [[RIGHT] * 3] * 70 + [[WRONG] * 3] * 30
    assert width(thrice) == pytest.approx(width([[RIGHT]] * 70 + [[WRONG]] * 30), rel=0.02)


def test_seeds_that_agree_no_more_than_chance_count_fully():
    mixed = [[RIGHT, RIGHT, WRONG], [RIGHT, WRONG, RIGHT], [WRONG, RIGHT, RIGHT]] * 30
    low, high = wilson(180, 270)
    assert width(mixed) == pytest.approx(high - low)


def test_all_right_with_three_seeds_is_as_sure_as_with_one():
    assert width([[RIGHT] * 3] * 50) == pytest.approx(width([[RIGHT]] * 50))


@pytest.mark.parametrize("seeds", [1, 2, 3])
@pytest.mark.parametrize("right", [0, 10, 20])
def test_equal_arms_never_have_an_interval_of_no_width(seeds, right):
    problem = [([RIGHT] * seeds, [RIGHT] * seeds)] * right + [([WRONG] * seeds, [WRONG] * seeds)] * (20 - right)
    found = difference(problem)
    assert found is not None
    low, high = found.difference.interval
    assert (found.difference.value, found.p) == (0, 1)
    assert low < -0.05
    assert high > 0.05


def test_seeds_that_always_agree_give_the_interval_of_one_seed():
    """Right and wrong alike on every seed: three answers a problem are worth one (n/(n-1) apart)."""
    kinds = [(True, True)] * 50 + [(True, False)] * 3 + [(False, True)] * 14 + [(False, False)] * 10
    once = difference([([first], [second]) for first, second in kinds])
    thrice = difference([([first] * 3, [second] * 3) for first, second in kinds])
    assert once is not None
    assert thrice is not None
    assert thrice.difference.interval == pytest.approx(once.difference.interval, abs=0.005)


def test_one_problem_with_two_seeds_has_finite_limits():
    found = difference([([RIGHT, WRONG], [RIGHT, RIGHT])])
    assert found is not None
    assert -1 <= found.difference.interval.low < found.difference.interval.high <= 1.5


def test_an_interval_that_leaves_out_0_while_the_test_does_not_reject_is_known():
    found = difference([([WRONG], [RIGHT])] * 5 + [([RIGHT], [RIGHT])] * 5)
    assert found is not None
    assert found.p == 0.0625
    assert found.difference.interval.low > 0
    assert "go by the test" in found.remark
