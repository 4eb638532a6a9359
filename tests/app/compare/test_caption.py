"""The caption of a comparison says where columns part, from facts alone."""

from __future__ import annotations

import pytest

from baton_reasoning.app.compare.caption import caption
from baton_reasoning.core.thinking.differences import align, thinking_steps
from baton_reasoning.core.thinking.trace import Trace
from tests.core.thinking.running import keywords, run

START = "First we add 400 and 449."


def of(*columns: list[str], are_over: bool = True) -> str:
    return caption(align(columns), columns, [Trace()] * len(columns), are_over=are_over)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (([START, "That is 849."], [START, "That is 149."]), "Columns 1 and 2 diverge at step 2: 849 ≠ 149."),
        (([START, "That is it."], [START]), "Both columns have the same steps, up to step 1."),
        (
            ([START, "So.", "849 it is."], [START, "849 it is."]),
            "Columns 1 and 2 diverge at step 2, which column 2 does not",
        ),
        (
            ([START, f"That is {'12345678' * 30}."], [START, "That is 149."]),
            "Columns 1 and 2 diverge at step 2: 123456781234… ≠ 149.",
        ),
        (([START], [START]), "Both columns have the same steps."),
        (([START], [START], [START]), "All 3 columns have the same steps."),
        (
            (["We add.", "That is 849."], ["Now add.", "That is 149."]),
            "Columns 1 and 2 diverge at step 1 in their words; their numbers differ first at step 2: 849 ≠ 149.",
        ),
        ((["We add."], ["Now add."]), "Columns 1 and 2 diverge at step 1 in their words; no number differs."),
        (
            ([START, "That is 849."], [START, "That is 149."], ["We add.", "That is 149."]),
            "Columns 1 and 2 diverge at step 2: 849 ≠ 149. Columns 2 and 3 diverge at step 1 in their words; no number",
        ),
    ],
)
def test_it_says_where_columns_part(columns: tuple[list[str], ...], said: str) -> None:
    assert of(*columns).startswith(said)


def test_it_says_nothing_while_texts_that_are_the_same_are_written() -> None:
    assert of([START], [START], are_over=False) == ""
    assert of([], []) == ""


def test_it_says_in_which_column_the_large_model_wrote() -> None:
    small = "One is first.\n\nWait, it is 849."
    alone = run(keywords(), [f"{small}</think>"], ["It is 149."]).trace
    plain = run(keywords(), ["One is first.\n\nIt is then 849.</think>"]).trace
    columns = [thinking_steps(trace) for trace in (plain, alone)]
    said = caption(align(columns), columns, [plain, alone], are_over=True)
    assert said == "Columns 1 and 2 diverge at step 2: 849 ≠ 149; the large model wrote there in column 2."
