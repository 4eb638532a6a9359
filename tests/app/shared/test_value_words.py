"""What values say in words, for answers whose values are known exactly."""

from __future__ import annotations

import pytest

from app.shared.value_words import (
    compared_with,
    gain_text,
    notable_changes,
    place_in_words,
    value_marks,
    value_text,
    values_in_words,
    written_by,
)
from core.engines.body import Author
from core.thinking.events import PlaceOutcomes, ValuesEstimated
from core.thinking.policies.never import Never
from core.thinking.trace import Trace
from core.thinking.values import StepValues, places_of
from tests.core.thinking.running import keywords, run

STEPS = 9
RIGHT, WRONG = "1" * 16, "0" * 16


def steps_alone() -> Trace:
    """Nine steps of the small model: “1 + 1 = 2.” and so on."""
    return run(Never(), small=["\n\n".join(f"{n} + {n} = {2 * n}." for n in range(1, STEPS + 1))]).trace


def with_values(trace: Trace, outcomes: list[str], ends_right: bool | None = None, **fields: object) -> StepValues:
    """The values of the text's places in order; an empty string for a place that was not valued."""
    places = tuple(
        PlaceOutcomes(place.position, found, place.replaced)
        for place, found in zip(places_of(trace), outcomes, strict=False)
        if found
    )
    arguments: dict[str, object] = {"writer": "small", "model": "Small", "target": "12", "is_expected": True} | fields
    trace.apply(
        ValuesEstimated(0.0, length=trace.length, limit=99, places=places, ends_right=ends_right, **arguments)  # type: ignore[arg-type]
    )
    values = StepValues.of(trace)
    assert values
    return values


@pytest.mark.parametrize(("value", "text"), [(0.0, ".00"), (0.944, ".94"), (0.999, "1.00"), (1.0, "1.00")])
def test_a_value_has_no_leading_zero(value: float, text: str) -> None:
    assert value_text(value) == text


def test_a_wrong_answer_names_its_loss_and_what_else_is_beyond_chance() -> None:
    trace = steps_alone()
    values = with_values(trace, [RIGHT, RIGHT, WRONG, RIGHT, WRONG], ends_right=False)
    assert values_in_words(trace, values) == [
        "Lost at step 2: 2 + 2 = 4. (value 1.00 → .00).",
        "Also beyond chance: ▲ step 3 (.00 → 1.00), ▼ step 4 (1.00 → .00).",
    ]


def test_many_changes_are_counted() -> None:
    trace = steps_alone()
    values = with_values(trace, [RIGHT, WRONG] * 4 + [RIGHT], ends_right=True)
    assert values_in_words(trace, values)[1].endswith(", and 2 more.")


def test_between_places_without_values_the_steps_are_named_and_none_is_marked() -> None:
    trace = steps_alone()
    values = with_values(trace, [RIGHT, "", "", WRONG], ends_right=False, is_whole=False)
    assert values_in_words(trace, values) == [
        "Lost at steps 1 to 3 (value 1.00 → .00).",
        "Not all places are valued yet.",
    ]
    assert value_marks(trace, trace.pieces) == {}


def test_a_rise_in_a_wrong_answer_is_no_turn() -> None:
    trace = steps_alone()
    values = with_values(trace, [WRONG, WRONG, RIGHT], ends_right=None)
    assert values_in_words(trace, values) == ["The turn: step 2: 2 + 2 = 4. (value .00 → 1.00)."]
    values = with_values(trace, [WRONG, WRONG, RIGHT], ends_right=False)
    assert values_in_words(trace, values)[0] == "Lost at steps 3 to 9 (value 1.00 → .00)."
    assert "▲ step 2 (.00 → 1.00)" in values_in_words(trace, values)[1]


def takeover() -> Trace:
    """Places: the beginning, the first step, the replaced text, the takeover, the end of its step, the answer."""
    small = ["First: 1 + 1 = 3.\n\nWait, so that is 13 in all,", " then.\n\nDone.</think>\n\n12"]
    return run(keywords(), small=small, large=["Wait, so that is 12 in all."]).trace


def test_a_takeover_is_compared_with_what_it_replaced() -> None:
    trace = takeover()
    replaced = next(index for index, place in enumerate(places_of(trace)) if place.replaced)
    outcomes = [RIGHT] * len(places_of(trace))
    outcomes[replaced] = WRONG
    values = with_values(trace, outcomes, ends_right=True)
    (change,) = notable_changes(trace, values)
    assert (change.span is not None, change.mark, change.figures) == (True, "▲ 1.00", ".00 → 1.00")
    first, share = values_in_words(trace, values)
    assert first.startswith("The turn: step 2")
    assert share.startswith("The large model wrote ")
    assert share.endswith(" and brought 100% of the gain.")
    assert gain_text(values) == "brought 100% of the gain"
    (position,) = value_marks(trace, trace.pieces)
    assert next(piece for piece in trace.pieces if piece.position == position).author is Author.LARGE


def test_what_changed_in_an_answer_that_is_not_shown_is_not_marked() -> None:
    trace = takeover()
    values = with_values(trace, [RIGHT] * (len(places_of(trace)) - 1), ends_right=False)
    assert [change.after.position for change in notable_changes(trace, values)] == [trace.length]
    thinking = [piece for piece in trace.pieces if not piece.in_answer]
    assert value_marks(trace, thinking) == {}
    assert list(value_marks(trace, trace.pieces)) == [trace.pieces[-1].position]


def test_agreement_is_called_so_everywhere() -> None:
    trace = takeover()
    values = with_values(trace, [WRONG] * 3 + [RIGHT], ends_right=True, is_expected=False)
    assert "(agreement .00 → 1.00)" in values_in_words(trace, values)[0]
    assert gain_text(values).endswith("% of the gain in agreement")
    assert compared_with(values.estimated) == "Agreement with this answer's own 12, which is no proof that it is right."
    last = values.places[-1]
    assert place_in_words(last, trace.pieces[-1], values).endswith(": the end")


@pytest.mark.parametrize(
    ("writer", "text"),
    [
        ("small", "● Small alone, 16 to 32 continuations from each of 2 places"),
        ("large", "◆ Small alone, 16 to 32 continuations from each of 2 places"),
        ("policy", "Small by the run’s policy, 16 to 32 continuations from each of 2 places"),
    ],
)
def test_who_wrote_how_many_continuations(writer: str, text: str) -> None:
    trace = steps_alone()
    assert written_by(with_values(trace, [RIGHT, 2 * WRONG], writer=writer).estimated) == text
