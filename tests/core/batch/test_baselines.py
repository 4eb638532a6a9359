"""What an arm achieves is said in terms of its small and its large model alone."""

from __future__ import annotations

import pytest

from baton_reasoning.core.batch.reporting.baselines import against_baselines
from baton_reasoning.core.batch.running.arms import Arm
from baton_reasoning.core.batch.running.recipes import arms_of
from baton_reasoning.core.grading.verdict import How, Verdict
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.store.batch_rows import JobState, ResultRow
from baton_reasoning.core.store.run_metrics import RunMetrics
from baton_reasoning.core.thinking.events import Finish

ARMS = arms_of(["small", "large", "drafted", "baton"], RunSettings())
SMALL, LARGE, DRAFTED, BATON = ARMS


def row(arm: Arm, problem: int, right: bool | None, seconds: float, large: int = 0) -> ResultRow:
    """`large`: percent of the tokens."""
    verdict = Verdict.of(right, How.AUTO, "")
    metrics = RunMetrics(seconds=seconds, small_tokens=100 - large, large_tokens=large)
    return ResultRow(0, "", arm.name, problem, 0, JobState.DONE, "", verdict, "", Finish.END_OF_TEXT, metrics)


def rows(arm: Arm, right: str, seconds: float = 1, large: int = 0) -> list[ResultRow]:
    """`right`: a sign for each problem, + or -, and ? for an answer without a verdict."""
    signs = {"+": True, "-": False, "?": None}
    return [row(arm, problem, signs[sign], seconds, large) for problem, sign in enumerate(right)]


RESULTS = {
    SMALL.name: rows(SMALL, "++--------", 1),
    LARGE.name: rows(LARGE, "++++++++--", 8),
    DRAFTED.name: rows(DRAFTED, "++++++++--", 4),
    BATON.name: rows(BATON, "+++++-----", 2),
}


def test_an_arm_recovers_a_part_of_the_gap_in_a_part_of_the_time() -> None:
    found = against_baselines(BATON, ARMS, RESULTS)
    assert found.gap_recovered
    assert found.time_ratio
    assert found.gap_recovered.value == pytest.approx(3 / 6)
    assert found.gap_recovered.low < 0.5 < found.gap_recovered.high
    assert (found.time_ratio.value, *found.time_ratio.interval) == (0.25, 0.25, 0.25)


def test_the_baselines_recover_nothing_and_all_of_it() -> None:
    gaps = [against_baselines(arm, ARMS, RESULTS).gap_recovered for arm in (SMALL, LARGE, DRAFTED)]
    assert [gap and gap.value for gap in gaps] == [0, 1, 1]


def test_problems_that_are_not_scored_everywhere_are_left_out() -> None:
    unscored = RESULTS | {LARGE.name: rows(LARGE, "????++++--", 8)}
    found = against_baselines(BATON, ARMS, unscored).gap_recovered
    assert found
    assert found.value == pytest.approx(1 / 4)


def test_there_is_no_gap_where_the_large_model_is_not_better_or_not_there() -> None:
    worse = RESULTS | {LARGE.name: rows(LARGE, "----------", 8)}
    assert against_baselines(BATON, ARMS, worse).gap_recovered is None
    alone = against_baselines(BATON, [SMALL, BATON], RESULTS)
    assert alone == (None, None, None)


def test_votes_of_the_small_model_are_not_the_small_model_alone() -> None:
    (vote,) = arms_of(["vote"], RunSettings())
    with_votes = RESULTS | {vote.name: rows(vote, "+++++-----", 5)}
    found = against_baselines(BATON, [vote, *ARMS], with_votes).gap_recovered
    assert found
    assert found.value == pytest.approx(3 / 6)


def test_another_pair_is_compared_with_its_own_models() -> None:
    other = [arm.model_copy(update={"large_model": "B.gguf"}) for arm in (LARGE, BATON)]
    assert against_baselines(other[1], ARMS, RESULTS) == (None, None, None)
    named = [arm.model_copy(update={"name": f"{arm.name}, B"}) for arm in other]
    results = RESULTS | {
        named[0].name: rows(named[0], "++++++++++", 20),
        named[1].name: rows(named[1], "++++++++++", 5),
    }
    found = against_baselines(named[1], [*ARMS, *named], results)
    assert found.time_ratio
    assert found.time_ratio.value == pytest.approx(0.25)
    assert found.gap_recovered
    assert found.gap_recovered.value == 1


CHANCE = arms_of(["random"], RunSettings())[-1].model_copy(update={"equal_share_of": BATON.name})
MATCHED = (*ARMS, CHANCE)


@pytest.mark.parametrize(
    ("arm", "chance", "share"),
    [
        ("+++++-----", "+++-------", 0.2 + 0.8 * 2 / 5),  # between chance at 20% and the large model
        ("+++-------", "+++++-----", 0.2 * 1 / 3),  # between the small model and chance
        ("++--------", "+++-------", 0.0),
        ("++++++++++", "+++-------", 1.0),
        ("+++-------", "----------", 0.2 + 0.8 * 3 / 8),  # the small model is better than chance
    ],
)
def test_the_share_that_chance_would_need_lies_on_the_line_from_small_over_chance_to_large(
    arm: str, chance: str, share: float
) -> None:
    results = RESULTS | {BATON.name: rows(BATON, arm, large=50), CHANCE.name: rows(CHANCE, chance, large=20)}
    found = against_baselines(BATON, MATCHED, results).chance_share
    assert found
    assert found.value == pytest.approx(share)
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_there_is_no_such_share_without_chance_or_both_models_alone() -> None:
    results = RESULTS | {CHANCE.name: rows(CHANCE, "+++-------", large=20)}
    for arms in (ARMS, [SMALL, BATON, CHANCE], [LARGE, BATON, CHANCE]):
        assert against_baselines(BATON, arms, results).chance_share is None
