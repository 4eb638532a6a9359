"""Concludes from graded continuations what each step of a text was worth, and each takeover.

The value of a place is the chance that a writer gets the answer right from there (Monte Carlo, as in Math-Shepherd,
arXiv 2312.08935, and Thought Anchors, arXiv 2506.19143), with Wilson's interval. The worth of a takeover is the value
after it less that after the text which it replaced; where it replaced none, less that before it (Newcombe's interval).

A change is beyond chance if the p of Fisher's exact test, adjusted by Holm's method for all places of the text that are
compared, is below `LEVEL`; both places need `FEWEST_CONTINUATIONS`. The verdict at the end of a graded text is no
estimate: the value there is known to be 0 or 1, so a single continuation from before that ended otherwise shows that
the value changed.

The large model's share of the gain is its part of all rises beyond chance: of takeovers their worth, of other steps
the difference of the values after and before them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, pairwise
from typing import NamedTuple

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.intervals import Estimate, fisher_exact, holm, newcombe, wilson
from baton_reasoning.core.thinking.events import PlaceOutcomes, ValuesEstimated
from baton_reasoning.core.thinking.reasons import ALONE
from baton_reasoning.core.thinking.trace import Piece, Trace, piece_before

RIGHT, WRONG, UNGRADED, UNFINISHED = "10?-"
"""Outcomes of a continuation, as events record them."""
FEWEST_ROLLOUTS = 8
"""Graded continuations that a place needs to be compared. With 8, a change from none to all of them is beyond chance in
a text of up to 300 places; with 4, only if nothing else is compared."""
LEVEL = 0.05
"""The chance that any change of a text where nothing changed is called beyond chance, at most."""
WON = 0.5
"""The value from which on an answer counts as won, and below which as lost."""


class TextPlace(NamedTuple):
    """A place of a text from which continuations are written; at one position the replaced text comes first."""

    position: int
    """Characters of the body before it."""
    replaced: bool = False
    """After the text that was replaced there, instead of the text that stands."""

    @property
    def order(self) -> tuple[int, bool]:
        return self.position, not self.replaced


class TakeoverSpan(NamedTuple):
    """The large model's text in one takeover, in characters of the body."""

    start: int
    end: int
    piece: Piece
    """The first piece of the takeover."""
    tokens: int

    @property
    def baseline(self) -> TextPlace:
        """Return the place with which the end of the takeover is compared."""
        return TextPlace(self.start, replaced=bool(self.piece.replaced.strip()))


class ValuedPlace(NamedTuple):
    """A place with its value."""

    place: TextPlace
    value: Estimate
    """With Wilson's interval. The end of a graded text has its verdict as its value, with an interval of no width."""
    rollouts: int
    """How many were graded; 0 at the end of a graded text."""
    step: int
    """Index of the step that the text before it ends with; −1 before the first."""
    author: Author | None
    """Of the text just before it; None at the beginning."""

    @property
    def position(self) -> int:
        return self.place.position

    @property
    def right(self) -> int:
        return round(self.value.value * self.rollouts)

    @property
    def is_verdict(self) -> bool:
        """Tell whether it is the end of a graded text."""
        return not self.rollouts

    @property
    def has_enough(self) -> bool:
        """Tell whether the place can be compared with another."""
        return self.is_verdict or self.rollouts >= FEWEST_ROLLOUTS


@dataclass(frozen=True)
class ValueChange:
    """What happened to the value between two neighbouring places of the text that stands."""

    before: ValuedPlace
    after: ValuedPlace
    adjusted_p: float
    """By Holm's method, over all places of the text that are compared; see `p_of_change`."""

    @cached_property
    def difference(self) -> Estimate:
        return newcombe(self.before.value, self.after.value)

    @property
    def is_rise(self) -> bool:
        """Tell whether the value rose beyond chance."""
        return self.is_certain and self.difference.value > 0

    @property
    def is_fall(self) -> bool:
        """Tell whether the value fell beyond chance."""
        return self.is_certain and self.difference.value < 0

    @property
    def is_certain(self) -> bool:
        """Tell whether the difference is beyond chance."""
        return self.adjusted_p < LEVEL


@dataclass(frozen=True)
class TakeoverWorth(ValueChange):
    """What one takeover was worth: the difference to the place where the text that it replaced ends; if it replaced
    none, to where it begins."""

    span: TakeoverSpan


class StepValues:
    """The values of one text by one writer."""

    def __init__(self, trace: Trace, estimated: ValuesEstimated) -> None:
        self.estimated = estimated
        self.length = trace.length
        self._trace = trace
        valued = [each for each in map(self._valued, estimated.places) if each]
        if estimated.ends_right is not None and estimated.length == trace.length:
            valued = [each for each in valued if each.position < trace.length]
            verdict = float(estimated.ends_right)
            valued.append(self._at(TextPlace(trace.length), Estimate(verdict, verdict, verdict), 0))
        self._by_place = {each.place: each for each in valued}
        self.places = sorted((each for each in valued if not each.place.replaced), key=lambda each: each.position)
        """The valued places of the text that stands, in order."""
        neighbours, compared = list(pairwise(self.places)), list(self._compared())
        # A takeover of one step that replaced nothing is the same comparison as that of its neighbours. Places with too
        # few continuations count as well: which of them got more was chosen by what these showed.
        pairs = list(dict.fromkeys([*neighbours, *((before, after) for before, after, _ in compared)]))
        adjusted = dict(zip(pairs, holm([p_of_change(*pair) for pair in pairs]), strict=True))
        self.changes = [ValueChange(*pair, adjusted[pair]) for pair in neighbours]
        self.takeovers = [
            TakeoverWorth(before, after, adjusted[before, after], span) for before, after, span in compared
        ]
        """The takeovers whose worth is known, in order."""

    @classmethod
    def of(cls, trace: Trace, writer: str = "") -> StepValues | None:
        """Return the values by this writer, or those that were estimated last; None if there are none."""
        estimated = trace.values.get(writer) if writer else next(reversed(trace.values.values()), None)
        return cls(trace, estimated) if estimated else None

    def at(self, place: TextPlace) -> ValuedPlace | None:
        return self._by_place.get(place)

    @cached_property
    def rises(self) -> list[tuple[Author, Estimate]]:
        """Return all rises beyond chance, with who brought them."""
        spans = [(worth.span.start, worth.span.end) for worth in self.takeovers]
        of_takeovers = [(Author.LARGE, worth.difference) for worth in self.takeovers if worth.is_rise]
        others = [
            (change.after.author or Author.SMALL, change.difference)
            for change in self.changes
            if change.is_rise and not any(start < change.after.position <= end for start, end in spans)
        ]
        return of_takeovers + others

    @property
    def gain_of_large(self) -> float | None:
        """Return the large model's share of all rises beyond chance, 0 to 1; None if there is none."""
        total = sum(rise.value for _, rise in self.rises)
        by_large = sum(rise.value for author, rise in self.rises if author is Author.LARGE)
        return by_large / total if total else None

    @property
    def turn(self) -> ValueChange | None:
        """Return what raised the value most, beyond chance: a takeover before any other step."""
        takeovers = any(worth.is_rise for worth in self.takeovers)
        changes: Sequence[ValueChange] = self.takeovers if takeovers else self.changes
        rises = (change for change in changes if change.is_rise)
        return max(rises, key=lambda change: change.difference.value, default=None)

    @property
    def loss(self) -> ValueChange | None:
        """Return what lowered the value most, beyond chance."""
        falls = (change for change in self.changes if change.is_fall)
        return min(falls, key=lambda change: change.difference.value, default=None)

    def _valued(self, place: PlaceOutcomes) -> ValuedPlace | None:
        right, wrong = place.outcomes.count(RIGHT), place.outcomes.count(WRONG)
        graded = right + wrong
        if not graded or UNFINISHED in place.outcomes:  # those that are finished first are the short ones
            return None
        return self._at(TextPlace(place.position, place.replaced), wilson(right, graded), graded)

    def _at(self, place: TextPlace, value: Estimate, rollouts: int) -> ValuedPlace:
        piece = piece_before(self._trace.pieces, place.position)
        return ValuedPlace(place, value, rollouts, piece.step if piece else -1, piece.author if piece else None)

    def _compared(self) -> Iterator[tuple[ValuedPlace, ValuedPlace, TakeoverSpan]]:
        """Yield the places before and after each takeover, as far as both are valued."""
        for span in takeover_spans(self._trace):
            after = self._by_place.get(TextPlace(span.end))
            before = self._by_place.get(span.baseline)
            if before and after:
                yield before, after, span


def p_of_change(before: ValuedPlace, after: ValuedPlace) -> float:
    """Return the p of the exact test whether the values of two places are equal; 1 if there are too few continuations.

    Where one is a verdict, all continuations from the other place would have to end like it: p is 0 if one did not.
    """
    if not (before.has_enough and after.has_enough):
        return 1.0
    if before.is_verdict or after.is_verdict:
        return float(before.value.value == after.value.value)
    return fisher_exact(before.right, before.rollouts, after.right, after.rollouts)


def takeover_spans(trace: Trace) -> Iterator[TakeoverSpan]:
    """Yield the large model's text in each takeover, in order. Takeovers that follow each other are each one."""
    written_by_large = (piece for piece in trace.pieces if piece.author is Author.LARGE)
    pieces = [piece for piece in written_by_large if piece.takeover and piece.takeover.reason not in ALONE]
    for _, group in groupby(pieces, lambda piece: id(piece.takeover)):
        written = list(group)
        tokens = sum(len(piece.tokens) for piece in written)
        yield TakeoverSpan(written[0].position, written[-1].end_position, written[0], tokens)


def places_of(trace: Trace) -> list[TextPlace]:
    """Return all places whose values can be asked for: the beginning, the end of each step, and the beginning, the end
    and the replaced text of each takeover."""
    places = {TextPlace(0), *(TextPlace(step.end_position) for step in trace.steps)}
    for span in takeover_spans(trace):
        places |= {TextPlace(span.start), TextPlace(span.end), span.baseline}
    return sorted(places, key=lambda place: place.order)
