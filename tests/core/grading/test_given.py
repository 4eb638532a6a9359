"""What is graded of a text that another one continues."""

import pytest

from baton_reasoning.core.grading.given import given_in_continuation
from baton_reasoning.core.grading.verdict import How, Regex

PATTERN = Regex("{expected}")


@pytest.mark.parametrize(
    ("before", "continuation", "answer_start", "ended", "answer", "matched"),
    [
        ("One.\n\n", "Two.</think>\\boxed{4}", None, True, "4", "\\boxed{4}"),
        ("One.\n\n", "Two. \\boxed{3}", None, True, "3", None),
        ("One.\n\n", "So it is four.", None, True, None, None),
        ("One.</think>The ", "answer is 4.", 12, True, "4", "The answer is 4."),
        ("One.</think>It is", " four", 12, False, None, "It is four"),
        ("", "\\boxed{4}", 0, True, "4", "\\boxed{4}"),
    ],
)
def test_the_answer_or_all_text_after_the_thinking(
    before: str, continuation: str, answer_start: int | None, ended: bool, answer: str | None, matched: str | None
) -> None:
    for how, expected in ((How.AUTO, answer), (PATTERN, matched)):
        given = given_in_continuation(
            before, continuation, "4", how, answer_start=answer_start, closing_tag="</think>", ended=ended
        )
        assert given == expected
