"""Words about what the steps of an answer are worth."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from textwrap import shorten
from typing import NamedTuple

from baton_reasoning.core.analysis.differences import correction_by
from baton_reasoning.core.analysis.values import (
    FEWEST_ROLLOUTS,
    WON,
    StepValues,
    TakeoverWorth,
    ValueChange,
    ValuedPlace,
)
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.text import counted
from baton_reasoning.core.thinking.events import ValuesEstimated
from baton_reasoning.core.thinking.trace import Piece, Trace, piece_before
from baton_reasoning.core.words.authors import SIGN

QUOTED = 80
"""Characters of a step that a sentence quotes."""
WRITER_WORDS = {
    "small": f"{SIGN[Author.SMALL]} Small model alone",
    "large": f"{SIGN[Author.LARGE]} Large model alone",
    "policy": "Policy of the run",
}


class ValueMark(NamedTuple):
    """What stands beside a step that changed the value: “▲ .94”."""

    text: str
    is_rise: bool


def value_text(value: float) -> str:
    """Format a value: .94, 1.00."""
    return f"{value:.2f}".removeprefix("0")


def notable_changes(values: StepValues) -> list[ValueChange]:
    """Return what changed the value beyond chance, in order: a takeover by its worth, if that is."""
    found = {each.after.position: each for each in (*values.changes, *values.takeovers) if each.is_certain}
    return [found[position] for position in sorted(found)]


def value_marks(trace: Trace, pieces: Sequence[Piece]) -> dict[int, ValueMark]:
    """Return what stands beside these pieces of a text, by their positions: the changes beyond chance."""
    values = StepValues.of(trace)
    marks: dict[int, ValueMark] = {}
    for change in notable_changes(values) if values else ():
        piece = piece_before(trace.pieces, change.after.position)
        shown = piece_before(pieces, change.after.position)
        is_one_step = len(_steps_between(trace, change)) == 1
        if is_one_step and shown and (shown is piece or (piece and not piece.in_answer)):
            text = f"{'▲' if change.is_rise else '▼'} {value_text(change.after.value.value)}"
            marks[shown.position] = ValueMark(text, change.is_rise)
    return marks


def value_sentences(trace: Trace, values: StepValues) -> list[str]:
    """Say where an answer was lost, what turned it, in the order of the text, and the large model's part of the gain.

    “Lost at step 3: 284 + 027 = 211”, “The turn: step 8, 087 → 987”, “The large model wrote
    38% and brought 64% of the gain”.
    """
    loss, turn, sentences = values.loss, values.turn, []
    if not values.estimated.is_expected:
        sentences.append(
            f"No expected answer is known: the values say how often continuations agree with this answer's own, "
            f"{shorten(values.estimated.target, QUOTED, placeholder=' …')}, which is no proof that it is right."
        )
    found = {loss.after.position: _loss_sentence(trace, loss)} if loss else {}
    if turn:
        found[turn.after.position] = _turn_sentence(trace, turn)
    sentences += [found[position] for position in sorted(found)]
    if values.changes and not notable_changes(values):
        sentences.append(_no_change_sentence(values))
    if not values.estimated.is_whole:
        sentences.append("Not all places are valued yet.")
    return [*sentences, *([gain] if (gain := gain_text(trace, values)) else [])]


def gain_text(trace: Trace, values: StepValues) -> str:
    """Return “The large model wrote 38% and brought 64% of the gain”; "" if nothing raised the value beyond chance,
    if the large model wrote nothing, or while not all places are valued."""
    gain = values.gain_of_large
    if gain is None or not trace.totals[Author.LARGE].kept or not values.estimated.is_whole:
        return ""
    return f"The large model wrote {trace.large_share:.0%} and brought {gain:.0%} of the gain"


def source_text(estimated: ValuesEstimated) -> str:
    """Say in a sentence what the values are: of which continuations, by whom, and how many."""
    what = f"that end in {estimated.target}" if estimated.is_expected else f"that agree with {estimated.target}"
    numbers = [len(place.outcomes) for place in estimated.places]
    few, many = min(numbers, default=0), max(numbers, default=0)
    number = f"{few} to {many}" if few < many else f"{many}"
    sign = "" if estimated.writer == "policy" else f"{SIGN[Author(estimated.writer)]} "
    how = " by the run’s policy" if estimated.writer == "policy" else " alone"
    places = "one place" if len(numbers) == 1 else f"each of {len(numbers):,} places"
    return f"Share of continuations {what}: {number} from {places}, by {sign}{estimated.model}{how}."


def place_in_words(place: ValuedPlace, piece: Piece, values: StepValues) -> str:
    """Return “◆ Step 8: value 1.00 (.81–1.00), 16 continuations”. `piece`: its text, or what replaced that."""
    who = f"{SIGN[place.author]} " if place.author in SIGN else ""
    if place.place.replaced:
        where = f"○ What step {piece.step + 1} replaced"
    elif place.step < 0:
        where = "Before the first step"
    else:
        where = f"{who}Step {place.step + 1}"
    low, high = value_text(place.value.low), value_text(place.value.high)
    if not place.rollouts:
        verdict = ("✓ right" if place.value.value else "✗ wrong") if values.estimated.is_expected else "the end"
        return f"{where}: {verdict}"
    noun = "value" if values.estimated.is_expected else "agreement"
    rollouts = counted(place.rollouts, "continuation")
    return f"{where}: {noun} {value_text(place.value.value)} ({low}–{high}), {rollouts}"


def _no_change_sentence(values: StepValues) -> str:
    few, places = sum(not place.has_enough for place in values.places), counted(len(values.places), "place")
    if not few:
        return "No step changed the value beyond chance."
    have = "has" if few == 1 else "have"
    return (
        f"No step is known to have changed the value: {few} of {places} {have} fewer than {FEWEST_ROLLOUTS} "
        "continuations."
    )


def _loss_sentence(trace: Trace, loss: ValueChange) -> str:
    is_lost = loss.after.value.value < WON <= loss.before.value.value
    return f"{'Lost' if is_lost else 'Fell most'} at {_quoted_steps(trace, loss)}"


def _turn_sentence(trace: Trace, turn: ValueChange) -> str:
    is_won = turn.before.value.value < WON <= turn.after.value.value
    opening = "The turn:" if is_won else "Rose most at"
    if not isinstance(turn, TakeoverWorth):
        return f"{opening} {_quoted_steps(trace, turn)}"
    index = next(number for number, piece in enumerate(trace.pieces) if piece is turn.span.piece)
    if change := correction_by(trace.pieces, index):
        return f"{opening} step {turn.span.piece.step + 1}, {change.before} → {change.after}"
    return f"{opening} step {turn.span.piece.step + 1}: {_quoted(trace, turn.span.start, turn.span.end)}"


def _quoted_steps(trace: Trace, change: ValueChange) -> str:
    """Name the step between two places and quote it, or name the first and the last of several."""
    steps = _steps_between(trace, change)
    quoted = f": {_quoted(trace, change.before.position, change.after.position)}" if len(steps) == 1 else ""
    return (f"step {steps.stop}" if len(steps) == 1 else f"steps {steps.start + 1} to {steps.stop}") + quoted


def _steps_between(trace: Trace, change: ValueChange) -> range:
    """Return the indexes of the steps between two places: of one, if values of all steps are known."""
    following = bisect_right(trace.pieces, change.before.position, key=lambda piece: piece.position) - 1
    return range(trace.pieces[following].step, change.after.step + 1)


def _quoted(trace: Trace, start: int, end: int) -> str:
    return shorten(trace.text_between(start, end), QUOTED, placeholder=" …")
