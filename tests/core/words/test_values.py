"""What values say in words, for answers whose values are known exactly."""

from __future__ import annotations

from typing import Any

import pytest

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.events import (
    PlaceOutcomes,
    ValuesEstimated,
)
from baton_reasoning.core.thinking.policies.alone import Never
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.thinking.values import StepValues, TextPlace, places_of
from baton_reasoning.core.words.values import (
    gain_text,
    notable_changes,
    place_in_words,
    source_text,
    value_marks,
    value_sentences,
    value_text,
)
from tests.core.thinking.running import keywords, run
from tests.fakes.valued import RESCUED, STEP, a_valued_run

RIGHT, WRONG = "1" * 16, "0" * 16


def steps_alone() -> Trace:
    """Nine steps of the small model: “1 + 1 = 2.” and so on."""
    return run(Never(), small=["\n\n".join(f"{n} + {n} = {2 * n}." for n in range(1, 10))]).trace


def with_values(trace, outcomes, ends_right=None, **fields: Any):
    """The values of the text's places in order; an empty string for a place that was not valued."""
    places = tuple(
        PlaceOutcomes(place.position, found, place.replaced)
        for place, found in zip(places_of(trace), outcomes, strict=False)
        if found
    )
    fields = {"writer": "small", "model": "Small", "target": "12", "is_expected": True, **fields}
    trace.apply(ValuesEstimated(0.0, length=trace.length, limit=99, places=places, ends_right=ends_right, **fields))
    return StepValues.of(trace)


@pytest.mark.parametrize(("value", "text"), [(0.0, ".00"), (0.944, ".94"), (0.999, "1.00"), (1.0, "1.00")])
def test_a_value_has_no_leading_zero(value, text):
    assert value_text(value) == text


def test_a_wrong_answer_names_its_loss_and_its_turn():
    trace = steps_alone()
    values = with_values(trace, [RIGHT, RIGHT, WRONG, RIGHT, WRONG], ends_right=False)
    assert value_sentences(trace, values) == [
        "Lost at step 2: 2 + 2 = 4.",
        "The turn: step 3: 3 + 3 = 6.",
    ]


def test_between_places_without_values_the_steps_are_named_and_none_is_marked():
    trace = steps_alone()
    values = with_values(trace, [RIGHT, "", "", WRONG], ends_right=False, is_whole=False)
    assert value_sentences(trace, values) == [
        "Lost at steps 1 to 3",
        "Not all places are valued yet.",
    ]
    assert value_marks(trace, trace.pieces) == {}


def takeover() -> Trace:
    """Places: the beginning, the first step, the replaced text, the takeover, the end of its step, the answer."""
    small = ["First: 1 + 1 = 3.\n\nWait, so that is 13 in all,", " then.\n\nDone.</think>\n\n12"]
    return run(keywords(), small=small, large=["Wait, so that is 12 in all."]).trace


def test_a_takeover_is_compared_with_what_it_replaced():
    trace = takeover()
    replaced = next(index for index, place in enumerate(places_of(trace)) if place.replaced)
    outcomes = [RIGHT] * len(places_of(trace))
    outcomes[replaced] = WRONG
    values = with_values(trace, outcomes, ends_right=True)
    (change,) = notable_changes(values)
    assert change.before.place.replaced
    first, share = value_sentences(trace, values)
    assert first.startswith("The turn: step 2")
    assert share == gain_text(trace, values)
    assert share.endswith("brought 100% of the gain")
    ((position, mark),) = value_marks(trace, trace.pieces).items()
    assert mark == ("▲ 1.00", True)
    assert next(piece for piece in trace.pieces if piece.position == position).author is Author.LARGE


def test_what_changed_in_an_answer_that_is_not_shown_is_not_marked():
    trace = takeover()
    values = with_values(trace, [RIGHT] * (len(places_of(trace)) - 1), ends_right=False)
    assert [change.after.position for change in notable_changes(values)] == [trace.length]
    thinking = [piece for piece in trace.pieces if not piece.in_answer]
    assert value_marks(trace, thinking) == {}
    assert list(value_marks(trace, trace.pieces)) == [trace.pieces[-1].position]


def test_agreement_is_called_so_at_each_place():
    trace = takeover()
    values = with_values(trace, [WRONG] * 3 + [RIGHT], ends_right=True, is_expected=False)
    assert "agreement .00" in place_in_words(values.places[0], trace.pieces[0], values)
    assert place_in_words(values.places[-1], trace.pieces[-1], values).endswith(": the end")
    assert source_text(values.estimated).startswith("Share of continuations that agree with 12: ")


@pytest.mark.parametrize(
    ("writer", "text"),
    [("small", "● Small alone."), ("large", "◆ Small alone."), ("policy", "Small by the run’s policy.")],
)
def test_who_wrote_how_many_continuations(writer, text):
    trace = steps_alone()
    said = source_text(with_values(trace, [RIGHT, 2 * WRONG], writer=writer).estimated)
    assert said == f"Share of continuations that end in 12: 16 to 32 from each of 2 places, by {text}"


def said(right, is_expected=True):
    trace = a_valued_run(right, is_expected=is_expected)
    values = StepValues.of(trace)
    assert values
    return value_sentences(trace, values)


def test_the_turn_the_loss_and_the_large_models_part_are_named():
    large_wrote = "The large model wrote 43% and brought"
    assert said(RESCUED) == ["The turn: step 2: Step 1 goes on.", f"{large_wrote} 100% of the gain"]
    without_takeover = said({TextPlace(0): 0, TextPlace(STEP): 16})
    assert without_takeover == ["The turn: step 1: Step 0 goes on.", f"{large_wrote} 0% of the gain"]
    assert said({TextPlace(0): 0, TextPlace(STEP): 7})[0].startswith("Rose most at step 1")
    assert said({TextPlace(0): 16, TextPlace(STEP): 1}) == ["Lost at step 1: Step 0 goes on."]
    assert said({TextPlace(0): 16, TextPlace(STEP): 9}) == ["Fell most at step 1: Step 0 goes on."], "likely still"
    assert said({TextPlace(0): 16, TextPlace(2 * STEP): 0}) == ["Lost at steps 1 to 2"]


def test_agreement_is_said_to_be_no_proof_and_chance_to_be_chance():
    agreement, chance = said({TextPlace(0): 8, TextPlace(STEP): 9}, is_expected=False)
    assert agreement.endswith("this answer's own, 4, which is no proof that it is right.")
    assert chance == "No step changed the value beyond chance."
