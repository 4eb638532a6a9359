"""What an arm achieves is said in terms of its small and its large model alone."""

from __future__ import annotations

import pytest

from baton_reasoning.core.batch.reporting.baselines import against_baselines, change_by_pair
from baton_reasoning.core.batch.running.arms import Arm, arms_of
from baton_reasoning.core.grading.verdict import How, Verdict
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.store.batches import JobState, ResultRow
from baton_reasoning.core.store.run_cost import RunCost
from baton_reasoning.core.thinking.events import Finish

ARMS = arms_of(["small", "large", "drafted", "baton"], RunSettings())
SMALL, LARGE, DRAFTED, BATON = ARMS


def row(arm: Arm, problem: int, right: bool | None, seconds: float) -> ResultRow:
    verdict = Verdict.of(right, How.AUTO, "")
    metrics = RunCost(seconds=seconds)
    return ResultRow(0, "", arm.name, problem, 0, JobState.DONE, "", verdict, "", Finish.END_OF_TEXT, metrics)


def rows(arm: Arm, right: str, seconds: float = 1) -> list[ResultRow]:
    """`right`: a sign for each problem, + or -, and ? for an answer without a verdict."""
    signs = {"+": True, "-": False, "?": None}
    return [row(arm, problem, signs[sign], seconds) for problem, sign in enumerate(right)]


@pytest.mark.parametrize(
    ("small", "baton", "large", "advice"),
    [
        (0, 4, 30, "its small model alone gets next to nothing right; use the large model alone for such problems"),
        (8, 8, 30, "it recovers nothing of the gap between its models; use the large model alone for such problems"),
        (8, 6, 30, "it recovers nothing of the gap between its models; use the large model alone for such problems"),
        (8, 9, 30, ""),
        (0, 22, 30, ""),
        (8, 6, 12, ""),
    ],
    ids=["nothing right", "as small", "below small", "a little recovered", "most recovered", "no clear gap"],
)
def test_it_is_said_where_the_large_model_alone_is_better_than_a_pair(small, baton, large, advice):
    right = {SMALL: small, LARGE: large, DRAFTED: large, BATON: baton}
    results = {arm.name: rows(arm, count * "+" + (40 - count) * "-") for arm, count in right.items()}
    assert against_baselines(ARMS, results)[BATON.name].advice == advice
    assert {against_baselines(ARMS, results)[arm.name].advice for arm in (SMALL, LARGE, DRAFTED)} == {""}
    control = BATON.model_copy(update={"equal_share_of": "other"})
    assert against_baselines([SMALL, LARGE, control], results)[BATON.name].advice == "", "nobody means to use a control"


def test_ten_problems_show_nothing_clearly():
    few = {arm.name: rows(arm, right) for arm, right in ((SMALL, "-" * 10), (LARGE, "+++++-----"), (BATON, "-" * 10))}
    assert against_baselines([SMALL, LARGE, BATON], few)[BATON.name].advice == ""


@pytest.mark.parametrize(
    ("alone", "together", "change"),
    [("-", "+", "rescued"), ("+", "-", "spoiled"), ("+", "+", ""), ("-", "-", ""), ("?", "+", ""), ("-", "?", "")],
)
def test_a_pair_rescues_or_spoils_an_answer_of_its_small_model(alone, together, change):
    (small,), (pair,) = rows(SMALL, alone), rows(BATON, together)
    assert change_by_pair(small, pair) == change
