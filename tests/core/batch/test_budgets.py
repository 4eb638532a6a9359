"""Accuracy at equal cost: an answer counts if it is right and within the budget."""

from __future__ import annotations

import pytest

from baton_reasoning.core.batch.reporting.budgets import BUDGETS, Cost, ScoredAnswer, accuracies_within, budgets_of
from baton_reasoning.core.intervals import wilson


def answers(*costs: tuple[bool, float], cost: Cost = Cost.SECONDS) -> list[ScoredAnswer]:
    return [ScoredAnswer(problem, right, {cost: each}) for problem, (right, each) in enumerate(costs)]


FAST = answers((True, 1), (False, 1), (True, 2), (False, 2))
SLOW = answers((True, 8), (True, 10), (True, 4), (False, 30))


def test_budgets_reach_from_the_cheapest_right_answer_to_the_dearest_by_equal_ratios() -> None:
    (budgets,) = budgets_of([FAST, SLOW]).values()
    assert (len(budgets), budgets[0], budgets[-1]) == (BUDGETS, 1, 10)
    assert budgets[1] / budgets[0] == pytest.approx(budgets[-1] / budgets[-2])


def test_a_right_answer_counts_from_the_budget_that_is_enough_for_it() -> None:
    budgets = {Cost.SECONDS: (1.0, 1.9, 2.0, 7.9, 8.0, 10.0)}
    fast, slow = (accuracies_within(each, budgets)[Cost.SECONDS] for each in (FAST, SLOW))
    assert [each.value for each in fast] == [0.25, 0.25, 0.5, 0.5, 0.5, 0.5]
    assert [each.value for each in slow] == [0, 0, 0, 0.25, 0.5, 0.75]
    assert [each.interval for each in slow[-2:]] == [wilson(2, 4), wilson(3, 4)]


def test_a_cost_that_is_not_known_of_every_answer_is_left_out() -> None:
    partly = [*answers((True, 1.0), cost=Cost.COMPUTE), ScoredAnswer(1, True, {})]
    assert accuracies_within(partly, {Cost.COMPUTE: (1.0,)}) == {}


def test_what_costs_nothing_has_no_budget_and_is_within_any() -> None:
    free, paid = answers((True, 0.0), cost=Cost.MONEY), answers((True, 0.5), cost=Cost.MONEY)
    assert budgets_of([free]) == {}
    budgets = budgets_of([free, paid])
    assert budgets == {Cost.MONEY: (0.5,)}
    assert [each.value for each in accuracies_within(free, budgets)[Cost.MONEY]] == [1.0]


def test_without_a_right_answer_there_is_no_budget() -> None:
    assert budgets_of([answers((False, 1.0)), []]) == {}
    assert accuracies_within([], {Cost.SECONDS: (1.0,)}) == {}
