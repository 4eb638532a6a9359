"""Formulas that begin in one piece of a text and end in another: a step has ended inside, or the baton has passed.

Such a formula is set where it closes. The pieces before keep their other words and a sign that it goes on. One that
never closes stays as its source, piece by piece.
"""

from __future__ import annotations

from typing import NamedTuple

from baton_reasoning.app.shared.rendering import closed_in, left_open

GOES_ON = "⋯"
FARTHEST = 12
"""Pieces over which the end of a formula is looked for."""


class Span(NamedTuple):
    """A formula over several pieces, by their indexes."""

    first: int
    start: int
    """Where it begins in the first piece."""
    last: int


class FormulaSpans:
    """Takes the completed pieces of a text in order."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._open: tuple[int, int] | None = None
        """Piece and place of a formula that has not closed."""
        self._spans: list[Span] = []
        self._opened: dict[int, str] = {}
        """The part of a formula in earlier pieces, by the piece that closes it."""
        self._stands: dict[int, int] = {}
        """How many characters to show of a piece whose formula closes later."""

    def add(self, text: str) -> range:
        """Add the next piece; return the earlier ones to render again, since their formula closes in this one."""
        last, begins, again = len(self._texts), 0, range(0)
        self._texts.append(text)
        if self._open:
            first, start = self._open
            opened = "".join([self._texts[first][start:], *self._texts[first + 1 : last]])
            if begins := closed_in(opened, text):
                self._spans.append(Span(first, start, last))
                again = range(first, last)
                self._opened[last] = opened
                self._stands |= {first: start} | dict.fromkeys(again[1:], 0)
            elif last - first < FARTHEST:
                return again
        at = left_open(text[begins:])
        self._open = (last, begins + at) if at >= 0 else None
        return again

    def cut(self, pieces: int) -> range:
        """Keep the first so many pieces; those of them that are to be set again, since their formula is open again."""
        del self._texts[pieces:]
        if self._open and self._open[0] >= pieces:
            self._open = None
        again = range(0)
        while self._spans and self._spans[-1].last >= pieces:
            span = self._spans.pop()
            del self._opened[span.last]
            for index in range(span.first, span.last):
                del self._stands[index]
            if span.first < pieces:
                self._open, again = (span.first, span.start), range(span.first, pieces)
        return again

    def text_of(self, index: int, text: str) -> str:
        """Return the text to render for a piece: a whole formula where it closes, a sign where it began."""
        if index in self._stands:
            text = f"{text[: self._stands[index]].rstrip()} {GOES_ON}"
        return self._opened.get(index, "") + text
