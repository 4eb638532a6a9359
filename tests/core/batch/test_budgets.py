"""Accuracy at equal time: an answer counts if it is right and within the budget."""

from __future__ import annotations

import pytest
from baton_reasoning.core.batch.reporting.budgets import BUDGETS, ScoredAnswer, accuracies_within, budgets_of

from baton_reasoning.core.intervals import wilson


def answers(*times: tuple[bool, float]) -> list[ScoredAnswer]:
    return [ScoredAnswer(problem, right, seconds) for problem, (right, seconds) in enumerate(times)]


FAST = answers((True, 1), (False, 1), (True, 2), (False, 2))
SLOW = answers((True, 8), (True, 10), (True, 4), (False, 30))


def test_budgets_reach_from_the_fastest_right_answer_to_the_slowest_by_equal_ratios() -> None:
    budgets = budgets_of([FAST, SLOW])
    assert (len(budgets), budgets[0], budgets[-1]) == (BUDGETS, 1, 10)
    assert budgets[1] / budgets[0] == pytest.approx(budgets[-1] / budgets[-2])


def test_a_right_answer_counts_from_the_budget_that_is_enough_for_it() -> None:
    budgets = (1.0, 1.9, 2.0, 7.9, 8.0, 10.0)
    fast, slow = (accuracies_within(each, budgets) for each in (FAST, SLOW))
    assert [each.value for each in fast] == [0.25, 0.25, 0.5, 0.5, 0.5, 0.5]
    assert [each.value for each in slow] == [0, 0, 0, 0.25, 0.5, 0.75]
    assert [each.interval for each in slow[-2:]] == [wilson(2, 4), wilson(3, 4)]


def test_without_a_right_answer_there_is_no_budget() -> None:
    assert budgets_of([answers((False, 1.0)), []]) == ()
    assert accuracies_within([], (1.0,)) == ()
