"""A takeover that changed a value is told apart from one that repeated what stood there."""

import pytest

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.corrections import Change, Effect, change, change_of
from baton_reasoning.core.thinking.trace import Piece

REPEATED = Change(Effect.REPEATED)


@pytest.mark.parametrize(
    ("text", "earlier", "expected"),
    [
        ("Let me check term 7: 338 + 649 = 987.", "From the last two we get term 7: 338 + 649 = 087.", ("087", "987")),
        ("Wait, term 4: 284 + 027 = 311.", "From the last two we get term 4: 284 + 027 = 311.", REPEATED),
        ("From the last two: 649 + 987 = 636.", "From the last two: 338 + 649 = 987.", None),
        ("Wait, \\(2 \\times 5 = 10\\).", "So $2 \\cdot 5 = 11$ fish.", ("11", "10")),
        ("Hmm, 2*5 = 10.", "So $2 \\times 5 = 10$ fish.", REPEATED),
        ("The train needs 45 minutes and not 30.", "Let us look at something else entirely.", None),
        ("x = 7 would do as well.", "x = 5 is a solution.", None),
        ("Wait.", "Wait.", None),
        ("Term 8 of 12 is 649 and 987.", "Term 7 of 12 is 338 and 649.", None),
        pytest.param("2 + 2 = 4. " + "and so on " * 100_000, "2 + 2 = 5.", ("5", "4"), id="by its beginning"),
    ],
)
def test_a_step_is_compared_with_the_one_before(
    text: str, earlier: str, expected: Change | tuple[str, str] | None
) -> None:
    if isinstance(expected, tuple) and not isinstance(expected, Change):
        expected = Change(Effect.CORRECTED, *expected)
    assert change(text, "", [earlier]) == expected


def test_a_lookahead_that_was_replaced_counts_before_the_steps() -> None:
    found = change("Wait, that makes 12 apples for 3 people.", "Wait, that makes 15 apples for 3 people.", ["Hm."])
    assert found == Change(Effect.CORRECTED, "15", "12")


def test_the_newest_value_of_an_equation_is_what_is_compared() -> None:
    assert change("So 2 + 2 = 4.", "", ["2 + 2 = 5.", "No, 2 + 2 = 4."]) == REPEATED


def test_only_a_takeover_of_the_large_model_changes_anything() -> None:
    small = Piece(Author.SMALL, 0, 0, 0.0)
    small.insert("2 + 2 = 5.")
    again = Piece(Author.SMALL, 1, 10, 0.0)
    again.insert("2 + 2 = 4.")
    assert change_of([small, again], 1) is None
