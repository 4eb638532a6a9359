"""Answers side by side: which say the same, and which are right."""

from __future__ import annotations

from baton_reasoning.core.grading.grader import Grader, standings
from baton_reasoning.core.grading.verdict import Outcome


def test_the_same_number_is_the_same_however_it_is_written() -> None:
    with Grader() as grader:
        found = standings(["0.5", "\\frac{1}{2}", "2"], "", grader)
    assert [standing.same for standing in found] == [(1,), (0,), ()]
    assert {standing.outcome for standing in found} == {Outcome.UNSCORED}


def test_what_is_expected_decides_which_is_right() -> None:
    with Grader() as grader:
        found = standings(["050", "51", "50"], "050", grader)
    assert [standing.outcome for standing in found] == [Outcome.CORRECT, Outcome.WRONG, Outcome.CORRECT]


def test_no_answer_agrees_with_none_and_is_wrong_where_one_is_expected() -> None:
    with Grader() as grader:
        found = standings([None, None, "4"], "4", grader)
    assert [standing.same for standing in found] == [(), (), ()]
    assert [standing.outcome for standing in found] == [Outcome.WRONG, Outcome.WRONG, Outcome.CORRECT]
