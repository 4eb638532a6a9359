"""The chance that gives a share is found by a few measurements."""

import pytest

from baton_reasoning.core.batch.running.calibration import PILOT_PROBLEMS, chance_for_share, pilot_of
from tests.core.batch.counting import problems


@pytest.mark.parametrize("share", [0.05, 0.2, 0.35, 0.6])
def test_a_chance_is_found_whose_share_is_the_one_wanted(share: float) -> None:
    def long_takeovers(p: float) -> float:
        return 3 * p / (3 * p + 1 - p)

    assert long_takeovers(chance_for_share(share, long_takeovers)) == pytest.approx(share, abs=0.02)


def test_no_share_needs_no_takeover_and_no_measurement() -> None:
    assert chance_for_share(0.0, lambda _: pytest.fail("measured")) == 0.0


def test_a_share_beyond_reach_takes_over_at_every_boundary() -> None:
    assert chance_for_share(0.9, lambda p: 0.3 * p) == 1.0


def test_a_takeover_that_never_comes_off_is_no_crash() -> None:
    assert 0 <= chance_for_share(0.4, lambda _: 0.0) <= 1


def test_pilots_come_from_all_over_the_set() -> None:
    chosen = pilot_of(problems(240))
    assert len(chosen) == PILOT_PROBLEMS
    assert chosen[-1].id == "p230"
    assert [problem.id for problem in pilot_of(problems(2))] == ["p0", "p1"]
