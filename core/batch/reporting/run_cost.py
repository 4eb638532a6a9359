"""Counts what a run cost beyond its kept tokens: prefilled, discarded and drafted ones; and where takeovers began."""

from __future__ import annotations

import re
from typing import NamedTuple

from core.engines.body import Author
from core.store.outline import Outline
from core.thinking.cues import NEGATIVE, english

_WORDS = {word for category in NEGATIVE for word in english().cues[category]}
_REFLECTION = re.compile(rf"\b(?:{'|'.join(sorted(_WORDS))})\b", re.IGNORECASE)


class TakeoverPlace(NamedTuple):
    reason: str
    """Id of a TakeoverReason."""
    place: float
    """Relative place of the step in which it began: 0 is the first step, 1 the last."""


class RunCost(NamedTuple):
    """What one run cost; all counts are tokens, except for reflections."""

    discarded_tokens: int
    """Written and replaced: lookaheads, and steps that were written again."""
    small_read: int
    """Prefilled, as `large_read`."""
    large_read: int
    takeovers: tuple[TakeoverPlace, ...]
    drafted: int = 0
    """Written by a server's draft model (speculative decoding), which accepted `accepted` of them."""
    accepted: int = 0
    small_reflections: int = 0
    """The paper's cues of reflection and verification in the small model's part of the thinking."""
    large_reflections: int = 0

    @classmethod
    def of(cls, outline: Outline) -> RunCost:
        discarded, takeovers = 0, []
        reflections = dict.fromkeys(Author, 0)
        last_step = max(1, outline.steps - 1)
        for piece in outline.pieces:
            discarded += piece.replaced_tokens
            if not piece.in_answer:
                reflections[piece.author] += len(_REFLECTION.findall(piece.text))
            # A takeover over several steps has several pieces; only the first has a handoff.
            if piece.author is Author.LARGE and piece.reason and piece.handoff_seconds is not None:
                takeovers.append(TakeoverPlace(piece.reason, piece.step / last_step))
        cost = outline.usage.cost
        read = (outline.small_read, outline.large_read)
        by_author = (reflections[Author.SMALL], reflections[Author.LARGE])
        return cls(discarded, *read, tuple(takeovers), cost.drafted, cost.accepted, *by_author)
