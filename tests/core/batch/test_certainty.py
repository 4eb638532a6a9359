"""Several seeds of one problem do not count as several problems, and agreement alone is no certainty."""

import pytest

from core.batch.reporting.statistics import (
    PairedCounts,
    clustered_accuracy,
    difference,
    mcnemar_exact,
    paired_difference,
    wilson,
)

RIGHT, WRONG = True, False


def width(problems: list[list[bool]]) -> float:
    estimate = clustered_accuracy(problems)
    assert estimate
    return estimate.interval.high - estimate.interval.low


def test_with_one_seed_it_is_wilsons_interval() -> None:
    estimate = clustered_accuracy([[RIGHT]] * 70 + [[WRONG]] * 30)
    assert estimate is not None
    assert estimate.interval == pytest.approx(wilson(70, 100))


def test_seeds_that_always_agree_add_nothing() -> None:
    """Three equal answers a problem warrant the interval of one answer a problem (n/(n-1) apart)."""
    thrice = [[RIGHT] * 3] * 70 + [[WRONG] * 3] * 30
    assert width(thrice) == pytest.approx(width([[RIGHT]] * 70 + [[WRONG]] * 30), rel=0.02)


def test_seeds_that_agree_no_more_than_chance_count_fully() -> None:
    mixed = [[RIGHT, RIGHT, WRONG], [RIGHT, WRONG, RIGHT], [WRONG, RIGHT, RIGHT]] * 30
    low, high = wilson(180, 270)
    assert width(mixed) == pytest.approx(high - low)


def test_all_right_with_three_seeds_is_as_sure_as_with_one() -> None:
    assert width([[RIGHT] * 3] * 50) == pytest.approx(width([[RIGHT]] * 50))


def test_without_an_answer_there_is_no_accuracy() -> None:
    assert clustered_accuracy([[], []]) is None
    assert difference([([], [])]) is None


def test_with_one_seed_two_arms_are_compared_by_mcnemar() -> None:
    pairs = [([RIGHT], [RIGHT])] * 50 + [([RIGHT], [WRONG])] * 3 + [([WRONG], [RIGHT])] * 14
    found = difference(pairs)
    assert found is not None
    assert (found.better_first, found.better_second, found.problems) == (3, 14, 67)
    assert found.p == mcnemar_exact(3, 14)
    assert found.estimate == paired_difference(PairedCounts(50, 3, 14, 0))


def test_with_several_seeds_a_problem_counts_once_for_the_arm_that_solved_it_more_often() -> None:
    pairs = [([RIGHT, WRONG, WRONG], [RIGHT, RIGHT, RIGHT])] * 6 + [([RIGHT, WRONG], [WRONG, RIGHT])] * 4
    found = difference(pairs)
    assert found is not None
    assert (found.better_first, found.better_second) == (0, 6)
    assert found.p == pytest.approx(2 / 2**6)
    assert found.estimate.value == pytest.approx(0.4)


@pytest.mark.parametrize("seeds", [1, 2, 3])
@pytest.mark.parametrize("right", [0, 10, 20])
def test_equal_arms_never_have_an_interval_of_no_width(seeds: int, right: int) -> None:
    problem = [([RIGHT] * seeds, [RIGHT] * seeds)] * right + [([WRONG] * seeds, [WRONG] * seeds)] * (20 - right)
    found = difference(problem)
    assert found is not None
    low, high = found.estimate.interval
    assert (found.estimate.value, found.p) == (0, 1)
    assert low < -0.05
    assert high > 0.05


def test_seeds_that_always_agree_give_the_interval_of_one_seed() -> None:
    """Right and wrong alike on every seed: three answers a problem are worth one (n/(n-1) apart)."""
    kinds = [(True, True)] * 50 + [(True, False)] * 3 + [(False, True)] * 14 + [(False, False)] * 10
    once = difference([([first], [second]) for first, second in kinds])
    thrice = difference([([first] * 3, [second] * 3) for first, second in kinds])
    assert once is not None
    assert thrice is not None
    assert thrice.estimate.interval == pytest.approx(once.estimate.interval, abs=0.005)


def test_one_problem_with_two_seeds_has_finite_limits() -> None:
    found = difference([([RIGHT, WRONG], [RIGHT, RIGHT])])
    assert found is not None
    assert -1 <= found.estimate.interval.low < found.estimate.interval.high <= 1.5


def test_an_interval_that_leaves_out_0_while_the_test_does_not_reject_is_known() -> None:
    found = difference([([WRONG], [RIGHT])] * 5 + [([RIGHT], [RIGHT])] * 5)
    assert found is not None
    assert found.p == 0.0625
    assert found.estimate.interval.low > 0
    assert found.disagrees
