"""How far the large model is involved: in steps, in answers, and by handoffs."""

from __future__ import annotations

import pytest
from baton_reasoning.core.batch.reporting.involvement import Involvement

from baton_reasoning.core.intervals import wilson
from baton_reasoning.core.store.batches import JobState, ResultRow
from baton_reasoning.core.store.run_cost import RunCost


def row(
    problem: int, steps: int, handoffs: int = 0, large: int = 0, large_steps: int = 0, large_read: int = 0
) -> ResultRow:
    cost = RunCost(
        small_tokens=10,
        large_tokens=large,
        handoffs=handoffs,
        steps=steps,
        large_steps=large_steps,
        large_read=large_read,
    )
    return ResultRow(0, "", "arm", problem, 0, JobState.DONE, "", None, "", None, cost)


def test_shares_are_over_all_steps_and_all_answers() -> None:
    found = Involvement.of(
        [
            row(0, steps=10, handoffs=4, large=5, large_steps=3, large_read=20),
            row(1, steps=2),
            row(2, steps=4, handoffs=2, large_steps=1, large_read=9),
            row(3, steps=4),
        ]
    )
    assert found.steps
    assert found.problems
    assert found.handoffs
    assert found.steps.value == pytest.approx(4 / 20)
    assert (found.problems.value, found.problems.interval) == (0.5, wilson(2, 4))
    assert found.handoffs.value == 6 / 4


def test_a_large_model_that_only_judged_was_involved() -> None:
    found = Involvement.of([row(0, steps=1, large_read=40)])
    assert found.steps
    assert found.problems
    assert (found.steps.value, found.problems.value) == (0, 1)


def test_without_an_answer_there_is_nothing_to_say() -> None:
    assert Involvement.of([]) == Involvement()
