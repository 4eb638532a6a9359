"""Steps of texts side by side, each in one row, in order, with what is like it; and what a takeover corrected."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking import differences
from baton_reasoning.core.thinking.differences import (
    Change,
    Effect,
    Likeness,
    Row,
    align,
    change,
    change_of,
    differing_numbers,
    parting,
    thinking_steps,
)
from baton_reasoning.core.thinking.events import ThinkingClosed
from baton_reasoning.core.thinking.policies.keywords import Keywords
from baton_reasoning.core.thinking.trace import Piece, Trace
from tests.core.thinking.running import keywords, run

ONE = "First we add the two numbers."
TWO = "Then the sum is halved again."
THREE = "The half of it is seven."
WRONG = "The half of it is eight."
WAIT = "Wait, did I carry the digit over?"
END = "So that is what was asked for."
REPEATED = Change(Effect.REPEATED)
SAME, ALIKE, OTHER = Likeness.SAME, Likeness.ALIKE, Likeness.OTHER

steps = st.sampled_from([ONE, TWO, THREE, WRONG, WAIT, END, "So.", ""])
texts = st.lists(st.lists(steps, max_size=9), min_size=1, max_size=3)


def places(rows: list[Row]) -> list[tuple[int | None, ...]]:
    return [row.steps for row in rows]


@given(texts)
def test_every_step_stands_in_one_row_in_its_order(columns):
    rows = align(columns)
    for place, column in enumerate(columns):
        assert [row.steps[place] for row in rows if row.steps[place] is not None] == list(range(len(column)))
    assert all(any(step is not None for step in row.steps) for row in rows)


@given(texts)
def test_a_likeness_says_what_the_texts_are(columns):
    for row in align(columns):
        for place, found in enumerate(row.likeness):
            one, other = row.steps[place], row.steps[place + 1]
            pair = ("" if one is None else columns[place][one], "" if other is None else columns[place + 1][other])
            assert (found is None) == ("" in pair)
            assert (found is SAME) == (pair[0] == pair[1] != "")


@given(st.lists(steps.filter(bool), max_size=9), st.lists(steps, max_size=4), st.lists(steps, max_size=4))
def test_a_shared_beginning_stands_row_by_row(shared, one, other):
    rows = align([shared + one, shared + other])
    assert places(rows)[: len(shared)] == [(number, number) for number in range(len(shared))]
    assert parting(rows) >= len(shared)


@given(texts)
def test_a_text_beside_itself_never_parts(columns):
    known = [step for step in columns[0] if step]
    rows = align([known, known, known])
    assert len(rows) == parting(rows) == len(known)


def test_a_step_more_stands_alone_and_the_rest_lines_up_again():
    rows = align([[ONE, TWO, THREE, END], [ONE, TWO, WAIT, THREE, END]])
    assert places(rows) == [(0, 0), (1, 1), (None, 2), (2, 3), (3, 4)]
    assert parting(rows) == 2


def test_steps_that_are_alike_share_a_row():
    rows = align([[ONE, THREE, END], [ONE, WAIT, WRONG, END]])
    assert places(rows) == [(0, 0), (None, 1), (1, 2), (2, 3)]
    assert [row.likeness[0] for row in rows] == [SAME, None, ALIKE, SAME]


def test_steps_that_have_nothing_in_common_stand_by_their_number():
    rows = align([[ONE, THREE, END], [ONE, WAIT]])
    assert places(rows) == [(0, 0), (1, 1), (2, None)]
    assert rows[1].likeness == (OTHER,)
    assert parting(rows) == 1


def test_a_third_text_is_lined_up_with_the_first_two():
    rows = align([[ONE, THREE, END], [ONE, WAIT, THREE, END], [ONE, WAIT, WRONG, END]])
    assert places(rows) == [(0, 0, 0), (None, 1, 1), (1, 2, 2), (2, 3, 3)]
    assert rows[1].likeness == (None, SAME)
    assert rows[2].likeness == (SAME, ALIKE)


def test_too_many_steps_to_compare_stand_by_number(monkeypatch):
    monkeypatch.setattr(differences, "MOST_PAIRS", 1)
    rows = align([[ONE, THREE, END], [ONE, WAIT, WRONG, END]])
    assert places(rows)[:3] == [(0, 0), (1, 1), (None, 2)]


def test_a_text_that_is_not_as_long_has_not_parted_and_no_texts_have_no_rows():
    assert align([]) == []
    assert parting([]) == 0
    rows = align([[ONE, TWO, END], [ONE], []])
    assert parting(rows) == len(rows) == 3


def test_white_space_makes_no_difference():
    assert align([["Two  and\ntwo."], ["Two and two."]])[0].likeness == (SAME,)


def test_the_steps_of_a_trace_are_those_of_its_thinking():
    policy: Keywords = keywords(Keywords.Settings())
    trace = run(policy, [f"{ONE}\n\n{TWO}</think>\n\n{END}"]).trace
    assert thinking_steps(trace) == [ONE, TWO]


def test_what_a_live_step_is_like_is_not_known_yet():
    whole = run(keywords(Keywords.Settings()), [f"{ONE}\n\n{TWO}</think>\n\n{END}"]).trace.events
    closed = next(index for index, event in enumerate(whole) if isinstance(event, ThinkingClosed))
    trace = Trace.of(whole[: closed - 2])
    assert thinking_steps(trace, live=True) == [ONE, ""]
    rows = align([[ONE, THREE], thinking_steps(trace, live=True)])
    assert places(rows) == [(0, 0), (1, 1)]
    assert parting(rows) == 2


@pytest.mark.parametrize(
    ("one", "other", "likeness"),
    [
        ("Step 5: half of it is 849.", "Step 5: half of it is 149.", OTHER),
        ("Step 5: half of it is 849.", "So, step 5: half of it is 849.", ALIKE),
        ("Twelve times 3 is 36 here.", "Twelve times 3 is here.", ALIKE),
        ("We have 2 + 2 = 4 of them.", "We have 4 = 2 + 2 of them.", ALIKE),
        ("So 900 + 87 make 987 in all.", "So 900 + 87 make 87 in all.", OTHER),
        ("There are 1,000 of these now.", "There are 1,001 of these now.", OTHER),
    ],
)
def test_numbers_decide_whether_steps_are_alike(one, other, likeness):
    assert [row.likeness for row in align([[one], [other]])] == [(likeness,)]


def test_the_first_number_that_the_other_step_has_not_is_named():
    assert differing_numbers("21 + 7 = 849", "21 + 7 = 149") == ("849", "149")
    assert differing_numbers("21 + 7 = 28", "21 + 7") is None


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
def test_a_step_is_compared_with_the_one_before(text, earlier, expected):
    if isinstance(expected, tuple) and not isinstance(expected, Change):
        expected = Change(Effect.CORRECTED, *expected)
    assert change(text, "", [earlier]) == expected


def test_a_lookahead_that_was_replaced_counts_before_the_steps():
    found = change("Wait, that makes 12 apples for 3 people.", "Wait, that makes 15 apples for 3 people.", ["Hm."])
    assert found == Change(Effect.CORRECTED, "15", "12")


def test_the_newest_value_of_an_equation_is_what_is_compared():
    assert change("So 2 + 2 = 4.", "", ["2 + 2 = 5.", "No, 2 + 2 = 4."]) == REPEATED


def test_only_a_takeover_of_the_large_model_changes_anything():
    small = Piece(Author.SMALL, 0, 0, 0.0)
    small.insert("2 + 2 = 5.")
    again = Piece(Author.SMALL, 1, 10, 0.0)
    again.insert("2 + 2 = 4.")
    assert change_of([small, again], 1) is None
