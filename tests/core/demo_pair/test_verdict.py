"""The line that says who solved a demo problem."""

import pytest

from baton_reasoning.core.demo_pair.verdict import DemoAnswer, verdict_on
from baton_reasoning.core.grading.verdict import Outcome

WRONG_ALONE = DemoAnswer("301", Outcome.WRONG, large_share=0)


@pytest.mark.parametrize(
    ("answers", "line"),
    [
        (
            [WRONG_ALONE, DemoAnswer("701", Outcome.CORRECT, large_share=0.384)],
            "Small alone: 301 ✗. With 38% from the large model: 701 ✓.",
        ),
        (
            [WRONG_ALONE, DemoAnswer(None, Outcome.WRONG, large_share=0.02)],
            "Small alone: 301 ✗. With 2% from the large model: no answer ✗. The answer is 701.",
        ),
        ([WRONG_ALONE], "Small alone: 301 ✗. The answer is 701."),
        (
            [WRONG_ALONE, DemoAnswer("701", Outcome.CORRECT, large_share=1)],
            "Small alone: 301 ✗. Large alone: 701 ✓.",
        ),
        (
            [WRONG_ALONE, DemoAnswer("x + 1", Outcome.UNSCORED, large_share=0.5)],
            "Small alone: 301 ✗. With 50% from the large model: x + 1 –. The answer is 701.",
        ),
    ],
)
def test_the_line_says_who_is_right_and_the_answer_if_nobody_is(answers: list[DemoAnswer], line: str) -> None:
    assert verdict_on(answers, expected="701") == line
