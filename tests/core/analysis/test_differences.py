"""Texts side by side: where their steps part, and what a takeover corrected."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton_reasoning.core.analysis.differences import (
    correction_by,
    correction_in,
    differing_numbers,
    parting,
    thinking_steps,
)
from baton_reasoning.core.thinking.events import TakeoverStarted
from baton_reasoning.core.thinking.trace import Piece
from tests.core.thinking.running import LARGE, SMALL, keywords, run

ONE = "First we add the two numbers."
TWO = "Then the sum is halved again."
END = "So that is what was asked for."

steps = st.sampled_from([ONE, TWO, "So.", "Two  and\ntwo."])


@given(st.lists(steps, max_size=9), st.lists(steps, max_size=4), st.lists(steps, max_size=4))
def test_texts_part_at_their_first_step_that_differs(shared, one, other):
    place = parting([[*shared, *one], shared, [" ".join(step.split()) for step in (*shared, *other)]])
    differs = [index for index, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]]
    assert place == (len(shared) + differs[0] if differs else None)
    assert parting([]) is None


def test_the_steps_of_a_trace_are_those_of_its_thinking():
    whole = run(keywords(), [f"{ONE}\n\n{TWO}</think>\n\n{END}"]).trace
    assert thinking_steps(whole) == [ONE, TWO]
    assert thinking_steps(run(keywords(), [f"{ONE}\n\n</think>\n\n{END}"]).trace) == [ONE], "a tag alone is no step"


def test_the_first_number_that_the_other_step_has_not_is_named():
    assert differing_numbers("21 + 7 = 849", "21 + 7 = 149") == ("849", "149")
    assert differing_numbers("21 + 7 = 28", "21 + 7") is None


@pytest.mark.parametrize(
    ("text", "earlier", "expected"),
    [
        ("Let me check term 7: 338 + 649 = 987.", "From the last two we get term 7: 338 + 649 = 087.", ("087", "987")),
        ("Wait, term 4: 284 + 027 = 311.", "From the last two we get term 4: 284 + 027 = 311.", None),
        ("From the last two: 649 + 987 = 636.", "From the last two: 338 + 649 = 987.", None),
        ("Wait, \\(2 \\times 5 = 10\\).", "So $2 \\cdot 5 = 11$ fish.", ("11", "10")),
        ("Hmm, 2*5 = 10.", "So $2 \\times 5 = 10$ fish.", None),
        ("The train needs 45 minutes and not 30.", "Let us look at something else entirely.", None),
        ("x = 7 would do as well.", "x = 5 is a solution.", None),
        ("Term 8 of 12 is 649 and 987.", "Term 7 of 12 is 338 and 649.", None),
        pytest.param("2 + 2 = 4. " + "and so on " * 100_000, "2 + 2 = 5.", ("5", "4"), id="by its beginning"),
        # A value in a numbered step is corrected as anywhere.
        ("Step 4: that makes 12 apples for 3.", "Step 4: that makes 15 apples for 3.", ("15", "12")),
        (  # of the demo pair
            "Hold on, step 1: 96171 is odd, times 7 plus 1 is 73198.",
            "Step 1: 96171 is odd, times 7 plus 1 is 73298.",
            ("73298", "73198"),
        ),
        (
            "Wait, step 3: 36599 is odd, times 7 plus 1 is 56194.",
            "With this number we can go on to step 3: 36599 is odd, times 7 plus 1 is 55194.",
            ("55194", "56194"),
        ),
        ("4. That makes 12 apples for 3.", "4. That makes 15 apples for 3.", ("15", "12")),
        ("Step 5: 27 + 15 = 42.", "Step 4: 27 + 15 = 32.", ("32", "42")),
        ("The 4th of them has 16 legs.", "The 4th of them has 15 legs.", ("15", "16")),
    ],
)
def test_a_step_is_compared_with_the_one_before(text, earlier, expected):
    assert correction_in(text, "", [earlier]) == expected


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("Step 4: add the 2 numbers.", "Step 5: add the 2 numbers."),
        ("**Step 4: Add the 2 numbers.**", "**Step 5: Add the 2 numbers.**"),
        ("### Step 4\nNow we add 27 and 15.", "### Step 5\nNow we add 27 and 15."),
        ("In step 4 we add 27 and 15.", "In step 5 we add 27 and 15."),
        ("4. Add the 2 numbers.", "5. Add the 2 numbers."),
        ("So:\n\n  4) Add the 2 numbers.", "So:\n\n  5) Add the 2 numbers."),
        ("**4.** Add the 2 numbers.", "**5.** Add the 2 numbers."),
        ("Schritt 4: Addiere 27 und 15.", "Schritt 5: Addiere 27 und 15."),
        ("Now the 3rd of 12 digits is due.", "Now the 4th of 12 digits is due."),
    ],
)
def test_a_number_that_only_counts_steps_is_no_value_that_was_corrected(before, now):
    assert correction_in(now, "", [before]) is None
    assert correction_in(now, before, ["Hm."]) is None


def test_a_lookahead_that_was_replaced_counts_first_then_the_newest_value():
    apples = "Wait, that makes {} apples for 3 people."
    assert correction_in(apples.format(12), apples.format(15), ["Hm."]) == ("15", "12")
    assert correction_in("So 2 + 2 = 4.", "", ["2 + 2 = 5.", "No, 2 + 2 = 4."]) is None
    assert correction_in("Then term 8 is 9.", "Then term 8 is 9.", ["Then term 7 is 9."]) is None


def test_only_a_takeover_of_the_large_model_changes_anything():
    takeover = TakeoverStarted(0.0, "reflection", None, 9, 0)
    pieces: list[Piece] = []
    for author, text in (SMALL, "2 + 2 = 5."), (SMALL, "2 + 2 = 4."), (LARGE, "No, 2 + 2 = 6."), (LARGE, "2 + 2 = 6."):
        pieces.append(Piece(author, 0, 0, 0.0, takeover=takeover if author is LARGE else None))
        pieces[-1].insert(text)
    expected = [None, None, ("4", "6"), None]
    assert [correction_by(pieces, index) for index in range(len(pieces))] == expected
    pieces[1].takeover, pieces[2].takeover = takeover, None
    assert [correction_by(pieces, index) for index in (1, 2)] == [None, None], "the small one's, and none"
