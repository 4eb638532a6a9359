"""Intervals and tests against values published in the literature."""

import pytest

from core.batch.reporting.statistics import (
    PairedCounts,
    accuracy,
    holm,
    mcnemar_exact,
    paired_difference,
    pareto_front,
    ratio_of_sums,
    wilson,
)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_intervals_of_newcombe_1998_table_1(
    successes: int, trials: int, low: float, high: float
) -> None:
    interval = wilson(successes, trials)
    assert interval.low == pytest.approx(low, abs=5e-5)
    assert interval.high == pytest.approx(high, abs=5e-5)


def test_wilson_is_symmetric_and_ends_at_exactly_0_and_1() -> None:
    assert wilson(20, 20).high == 1.0
    assert wilson(0, 20).low == 0.0
    assert wilson(20, 20).low == pytest.approx(1 - wilson(0, 20).high)


@pytest.mark.parametrize(("successes", "trials"), [(1, 0), (0, 0), (3, 2), (-1, 2)])
def test_counts_that_cannot_be_are_refused(successes: int, trials: int) -> None:
    with pytest.raises(ValueError, match="trials"):
        accuracy(successes, trials)


def test_accuracy_is_the_share_with_its_interval() -> None:
    assert accuracy(81, 263) == (81 / 263, wilson(81, 263))


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
def test_mcnemar_gives_the_published_exact_p(only_first: int, only_second: int, p: float) -> None:
    assert mcnemar_exact(only_first, only_second) == pytest.approx(p, abs=5e-5)
    assert mcnemar_exact(only_second, only_first) == mcnemar_exact(only_first, only_second)


def test_mcnemar_bears_thousands_of_discordant_problems() -> None:
    assert 0 < mcnemar_exact(2400, 2600) < 0.01


@pytest.mark.parametrize(
    ("counts", "difference", "low", "high"),
    [
        # Cavo et al. 2012, in Fagerland, Lydersen & Laake, Statistical Analysis of Contingency Tables, chapter 8
        (PairedCounts(59, 6, 16, 80), 0.0621, 0.0046, 0.1186),
        # Altman et al. 2000, Statistics with Confidence, table 6.2
        (PairedCounts(14, 5, 0, 22), -0.122, -0.226, -0.011),
    ],
)
def test_a_paired_difference_has_newcombes_published_interval(
    counts: PairedCounts, difference: float, low: float, high: float
) -> None:
    estimate = paired_difference(counts)
    assert estimate.value == pytest.approx(difference, abs=5e-4)
    assert estimate.interval.low == pytest.approx(low, abs=5e-4)
    assert estimate.interval.high == pytest.approx(high, abs=5e-4)


def test_swapping_the_runs_mirrors_the_difference() -> None:
    one, other = paired_difference(PairedCounts(10, 3, 8, 4)), paired_difference(PairedCounts(10, 8, 3, 4))
    assert one.value == -other.value
    assert one.interval.low == pytest.approx(-other.interval.high)


def test_runs_that_agree_everywhere_differ_by_nothing() -> None:
    estimate = paired_difference(PairedCounts(20, 0, 0, 0))
    assert estimate.value == 0
    assert estimate.interval.low < 0 < estimate.interval.high


def test_a_difference_without_problems_is_refused() -> None:
    with pytest.raises(ValueError, match="trials"):
        paired_difference(PairedCounts(0, 0, 0, 0))


def test_pairs_are_counted() -> None:
    pairs = [(True, True), (True, False), (False, True), (False, True), (False, False)]
    counts = PairedCounts.of(pairs)
    assert counts == PairedCounts(both=1, only_first=1, only_second=2, neither=1)
    assert counts.total == 5


def test_holms_p_values_are_those_of_his_procedure() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.2]) == [0.2]
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_a_ratio_has_a_bootstrap_interval_over_problems() -> None:
    estimate = ratio_of_sums([(100.0, 1.0), (300.0, 1.0)] * 50)
    assert estimate is not None
    assert estimate.value == 200
    assert 175 < estimate.interval.low < 190
    assert 210 < estimate.interval.high < 225
    assert ratio_of_sums([(100.0, 1.0), (300.0, 1.0)] * 50) == estimate


def test_without_time_there_is_no_ratio() -> None:
    assert ratio_of_sums([]) is None
    assert ratio_of_sums([(3.0, 0.0)]) is None


def test_the_pareto_front_keeps_what_nothing_beats() -> None:
    runs = {"small": (1, 83.2), "guided": (2, 89.4), "worse": (2, 88.0), "wasteful": (5, 85.0), "large": (8, 92.8)}
    front = pareto_front(runs, cost=lambda run: runs[run][0], quality=lambda run: runs[run][1])
    assert front == ["small", "guided", "large"]


def test_equals_stand_together_on_the_front() -> None:
    assert pareto_front([(1, 5), (1, 5), (1, 4), (2, 5)], lambda run: run[0], lambda run: run[1]) == [(1, 5), (1, 5)]
