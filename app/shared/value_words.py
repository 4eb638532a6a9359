"""Words about what the steps of an answer are worth."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from app.shared.format import count
from app.shared.labels import SIGNS
from core.engines.body import Author
from core.intervals import Estimate
from core.thinking.events import ValuesEstimated
from core.thinking.trace import Piece, Trace
from core.thinking.values import StepValues, TakeoverSpan, ValuedPlace, corrected

MOST_NAMED = 5
"""Changes that are named besides the turn or the loss."""
LONGEST = 60
"""Characters of a step where it is named."""
WRITER_WORDS = {
    "small": f"{SIGNS[Author.SMALL]} Small model alone",
    "large": f"{SIGNS[Author.LARGE]} Large model alone",
    "policy": "Policy of the run",
}


class NotableChange(NamedTuple):
    """What a step or a takeover did to the value, beyond chance."""

    before: ValuedPlace
    after: ValuedPlace
    difference: Estimate
    first_step: int
    """Index of the step in which it began: that of `after`, unless values between the two are not known."""
    span: TakeoverSpan | None = None
    """The takeover, if it is compared with what it replaced; else the step is with the place before it."""

    @property
    def is_one_step(self) -> bool:
        return self.first_step == self.after.step

    @property
    def where(self) -> str:
        """Return “step 8”, or “steps 4 to 8”."""
        last = self.after.step + 1
        return f"step {last}" if self.is_one_step else f"steps {self.first_step + 1} to {last}"

    @property
    def sign(self) -> str:
        return "▲" if self.difference.value > 0 else "▼"

    @property
    def mark(self) -> str:
        """Return what stands beside the step: “▲ .94”."""
        return f"{self.sign} {value_text(self.after.value.value)}"

    @property
    def figures(self) -> str:
        """Return “.06 → 1.00”."""
        return f"{value_text(self.before.value.value)} → {value_text(self.after.value.value)}"


def value_text(value: float) -> str:
    """Format a value: .94, 1.00."""
    return f"{value:.2f}".removeprefix("0")


def notable_changes(trace: Trace, values: StepValues) -> list[NotableChange]:
    """Return what changed the value beyond chance, in order: a takeover by its worth, if that is."""
    positions = [piece.position for piece in trace.pieces]

    def step_after(place: ValuedPlace) -> int:
        return trace.pieces[bisect_right(positions, place.position) - 1].step

    found = {each.after.position: NotableChange(*each, step_after(each.before)) for each in values.certain}
    for each in values.takeovers:
        if each.is_certain:
            step = each.span.piece.step
            found[each.after.position] = NotableChange(each.before, each.after, each.worth, step, each.span)
    return [found[position] for position in sorted(found)]


def value_marks(trace: Trace, pieces: Sequence[Piece]) -> dict[int, NotableChange]:
    """Return what stands beside these pieces of a text, by their positions: the changes beyond chance."""
    values = StepValues.of(trace)
    shown, all_of_it = ([piece.position for piece in each] for each in (pieces, trace.pieces))
    marks: dict[int, NotableChange] = {}
    for change in notable_changes(trace, values) if values else ():
        index = bisect_left(shown, change.after.position) - 1 if change.is_one_step else -1
        piece = trace.pieces[bisect_left(all_of_it, change.after.position) - 1]
        if index >= 0 and (pieces[index] is piece or not piece.in_answer):
            marks[shown[index]] = change
    return marks


def noun_of(estimated: ValuesEstimated) -> str:
    return "value" if estimated.is_expected else "agreement"


def values_in_words(trace: Trace, values: StepValues) -> list[str]:
    """Return what the values say, a sentence each: the turn or the loss, what else is beyond chance, and the gain."""
    noun, notable = noun_of(values.estimated), notable_changes(trace, values)
    lead = _lead(values, notable)
    lines = []
    if lead:
        title = "The turn:" if lead.difference.value > 0 else "Lost at"
        lines.append(f"{title} {lead.where}{_what(trace, lead)} ({noun} {lead.figures}).")
    others = [each for each in notable if each is not lead]
    if others:
        named = [f"{each.sign} {each.where} ({each.figures})" for each in others[:MOST_NAMED]]
        more = [f"and {len(others) - MOST_NAMED} more"] if len(others) > MOST_NAMED else []
        lines.append(f"{'Also beyond' if lead else 'Beyond'} chance: {', '.join([*named, *more])}.")
    if not notable:
        lines.append(f"No step changed the {noun} beyond chance.")
    if not values.estimated.is_whole:
        lines.append("Not all places are valued yet.")
    if trace.totals[Author.LARGE].kept and (brought := gain_text(values)):
        lines.append(f"The large model wrote {trace.large_share:.0%} and {brought}.")
    return lines


def gain_text(values: StepValues) -> str:
    """Return “brought 64% of the gain”; "" where nothing rose beyond chance, or not all places are valued."""
    share, of_what = values.gain_of_large, "" if values.estimated.is_expected else " in agreement"
    return "" if share is None or not values.estimated.is_whole else f"brought {share:.0%} of the gain{of_what}"


def compared_with(estimated: ValuesEstimated) -> str:
    """Say in a sentence what the continuations were compared with."""
    if estimated.is_expected:
        return f"Share of continuations that end in {estimated.target}."
    return f"Agreement with this answer's own {estimated.target}, which is no proof that it is right."


def written_by(estimated: ValuesEstimated) -> str:
    """Return who wrote how many continuations: “● R1-1.5B alone, 16 to 32 continuations from each of 18 places”."""
    numbers = [len(place.outcomes) for place in estimated.places]
    few, many = min(numbers, default=0), max(numbers, default=0)
    if estimated.writer == "policy":
        who = f"{estimated.model} by the run’s policy"
    else:
        who = f"{SIGNS[Author(estimated.writer)]} {estimated.model} alone"
    continuations = f"{few} to {count(many, 'continuation')}" if few < many else count(many, "continuation")
    return f"{who}, {continuations} from each of {count(len(numbers), 'place')}"


def place_in_words(place: ValuedPlace, piece: Piece, values: StepValues) -> str:
    """Return “◆ Step 8: value 1.00 (.81–1.00), 16 continuations”. `piece`: its text, or what replaced that."""
    who = f"{SIGNS[place.author]} " if place.author in SIGNS else ""
    if place.place.replaced:
        where = f"○ What step {piece.step + 1} replaced"
    elif place.step < 0:
        where = "Before the first step"
    else:
        where = f"{who}Step {place.step + 1}"
    low, high = value_text(place.value.low), value_text(place.value.high)
    if not place.continuations:
        verdict = ("✓ right" if place.value.value else "✗ wrong") if values.estimated.is_expected else "the end"
        return f"{where}: {verdict}"
    return (
        f"{where}: {noun_of(values.estimated)} {value_text(place.value.value)} ({low}–{high}), "
        f"{count(place.continuations, 'continuation')}"
    )


def _lead(values: StepValues, notable: list[NotableChange]) -> NotableChange | None:
    """Return the loss of an answer that ended wrong, the turn of one that did not."""
    ended_wrong = values.estimated.ends_right is False
    found = values.loss if ended_wrong else values.turn
    same_place = (each for each in notable if found and each.after == found.after)
    return next((each for each in same_place if (each.difference.value < 0) == ended_wrong), None)


def _what(trace: Trace, change: NotableChange) -> str:
    """Return what a change consists of: “, 06680 → 96680” for a takeover that put one for the other, else its text."""
    if not change.is_one_step:
        return ""
    if change.span and all(words := corrected(trace, change.span)):
        return f", {words[0].rstrip('.')} → {words[1].rstrip('.')}"
    text = " ".join(trace.steps[change.after.step].text.split())
    return f": {text if len(text) <= LONGEST else text[: LONGEST - 1] + '…'}" if text else ""
