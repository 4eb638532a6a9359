"""A text without a mark has the answer that a reader takes from its end."""

import pytest

from baton_reasoning.core.grading.answer_span import answer_at_start
from baton_reasoning.core.grading.conclusion import answer_in_conclusion


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("18, because 9 eggs at $2 make $18.", "18"),
        ("$18, because 9 eggs at $2 make $18.", "$18"),
        (r"$x = 5$, since $2x = 10$.", "x = 5"),
        ("$1$ and $-2$.", "$1$ and $-2$"),
        ("$36$ square units.", "$36$ square units"),
        ("only 18.", "18"),
        ("3 - 13x.", "3 - 13x"),
        ("0.333...", "0.333..."),
        ("18 🎉", "18"),
        ("   ", None),
    ],
)
def test_an_answer_ends_where_the_sentence_explains_it(text: str, answer: str | None) -> None:
    assert answer_at_start(text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("She sells nine.\n\n**$18**\n\nLet me know if anything is unclear!", "$18"),
        ("**Total:** 12 apples", "12 apples"),
        ("We subtract and divide.\n$$x = 5$$", "x = 5"),
        ("The probability is 5/12.", "5/12"),
        (r"Since $2x = 8$, we have $x = 4$.", "x = 4"),
        (r"So $m + n = 200 + 4 = 204$.", "204"),
        ("The primes are 2, 3, and 5.", "2, 3, and 5"),
        ("The trip takes 2 hours and 30 minutes.", "2 hours and 30 minutes"),
        ("There are ten of them.", "ten"),
        ("It arrives at 4:45 p.m.", "4:45 p.m"),
        ("Tom ends up with 42 marbles, which is 8 more than before.", "42 marbles"),
        ("The curve is a hyperbola.", "The curve is a hyperbola"),
        ("I am sorry, but I cannot say.", None),
        ("", None),
    ],
)
def test_the_conclusion_holds_the_answer(text: str, answer: str | None) -> None:
    assert answer_in_conclusion(text) == answer
