"""Verdicts, titles, and the sentence that says where answers part."""

from __future__ import annotations

import pytest

from baton_reasoning.app.compare.view import parting_text, standing_text, titles_of
from baton_reasoning.app.session.conversation import Exchange
from baton_reasoning.core.grading.grader import Standing
from baton_reasoning.core.grading.verdict import Outcome
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.thinking.differences import align

UNSCORED = Outcome.UNSCORED
TITLES = ["Small only", "Keywords", "Large only"]
START = "First we add 400 and 449."


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (([START, "That is 849."], [START, "That is 149."]), "Columns 1 and 2 part at “That is 849.”: 849 ≠ 149."),
        (([START, "That is it."], [START]), "All answers have the same steps."),
        (
            ([START, "So.", "849 it is."], [START, "849 it is."]),
            "Columns 1 and 2 part at “So.”, which column 2 does not have.",
        ),
        (
            ([START, f"That is {'12345678' * 30}."], [START, "That is 149."]),
            "Columns 1 and 2 part at “That is…”: 123456781234… ≠ 149.",
        ),
        (([START], [START], [START]), "All answers have the same steps."),
        ((["We add.", "That is 849."], ["Now add.", "That is 149."]), "Columns 1 and 2 part at “We add.”."),
        (
            ([START, "That is 849."], [START, "That is 149."], ["We add.", "That is 149."]),
            "Columns 1 and 2 part at “That is 849.”: 849 ≠ 149. Columns 2 and 3 part at “First we add 400 and 449.”.",
        ),
        (([], []), ""),
    ],
)
def test_it_says_where_columns_part(columns, said):
    assert parting_text(align(columns), columns) == said


def test_attempts_of_one_policy_are_told_apart_by_their_seeds():
    one, other = (Exchange("2 + 2?", RunSettings(seed=seed)) for seed in (3, 4))
    assert titles_of([one, one]) == ["Keywords", "Keywords"]
    assert titles_of([one, other]) == ["Keywords, seed 3", "Keywords, seed 4"]


@pytest.mark.parametrize(
    ("standing", "words"),
    [
        (Standing("4", Outcome.CORRECT, ()), ""),
        (Standing("5", Outcome.WRONG, (1,)), ""),
        (Standing(None, Outcome.WRONG, ()), "✗ no answer"),
        (Standing(None, UNSCORED, ()), "no answer"),
        (Standing("4", UNSCORED, (1, 2)), "= all agree"),
        (Standing("4", UNSCORED, (2,)), "= as Large only"),
        (Standing("4", UNSCORED, ()), "≠ differs"),
    ],
)
def test_a_verdict_beyond_right_and_wrong_has_a_sign_and_a_word(standing, words):
    assert standing_text(standing, TITLES) == words


def test_two_that_agree_are_not_called_all():
    assert standing_text(Standing("4", UNSCORED, (1,)), TITLES[:2]) == "= they agree"
