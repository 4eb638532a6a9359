"""Updates a ribbon from a growing trace."""

from __future__ import annotations

from baton_reasoning.app.toolkit.ribbon import Ribbon, RibbonSegment
from baton_reasoning.core.thinking.trace import Piece, Trace
from baton_reasoning.core.words.labels import why

CHARACTERS_A_TOKEN = 4
"""An inserted text has no tokens; it is drawn as wide as if it had."""


class RibbonFollower:
    def __init__(self, ribbon: Ribbon) -> None:
        self._ribbon = ribbon
        self._pieces: list[Piece] = []
        self._tokens = 0
        """How many of the last piece are drawn."""

    def follow(self, trace: Trace) -> None:
        """Update the ribbon. Only the end of a trace changes, so only the end is compared."""
        pieces, known = trace.pieces, self._pieces
        same = len(known) <= len(pieces) and (not known or pieces[len(known) - 1] is known[-1])
        if not same or (known and _width(known[-1]) < self._tokens):
            self._pieces = known = []
            self._ribbon.set_segments([])
        if not known:
            if pieces:
                self._ribbon.set_segments([_segment(piece) for piece in pieces])
        else:
            if (more := _width(known[-1]) - self._tokens) > 0:
                self._ribbon.grow(more)
            for piece in pieces[len(known) :]:
                self._ribbon.append(_segment(piece))
        self._pieces = list(pieces) if len(pieces) != len(known) else known
        self._tokens = _width(pieces[-1]) if pieces else 0

    def piece_at(self, index: int) -> Piece | None:
        return self._pieces[index] if 0 <= index < len(self._pieces) else None

    def index_of(self, piece: Piece) -> int:
        return next((i for i, known in enumerate(self._pieces) if known is piece), -1)


def _width(piece: Piece) -> int:
    return len(piece.tokens) or max(1, piece.length // CHARACTERS_A_TOKEN)


def _segment(piece: Piece) -> RibbonSegment:
    return RibbonSegment(piece.author, _width(piece), why(piece))
