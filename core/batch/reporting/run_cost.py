"""Counts what a run cost beyond its kept tokens (prefilled, discarded, drafted), and why the large model took over."""

from __future__ import annotations

from typing import NamedTuple

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.store.outline import ModelWork, Outline


class RunCost(NamedTuple):
    """What one run cost; all counts are tokens."""

    discarded_tokens: int
    """Written and replaced: lookaheads, and steps that were written again."""
    takeovers: tuple[str, ...]
    """The id of the TakeoverReason of each."""
    small: ModelWork = ModelWork()
    large: ModelWork = ModelWork()
    large_steps: int = 0
    """Steps in which the large model wrote."""
    answer_began: float | None = None
    """Seconds to the first token of the answer; None without an answer."""
    drafted: int = 0
    """Written by a server's draft model (speculative decoding), which accepted `accepted` of them."""
    accepted: int = 0

    @classmethod
    def of(cls, outline: Outline) -> RunCost:
        return cls(
            sum(piece.replaced_tokens for piece in outline.pieces),
            tuple(piece.reason or "" for piece in outline.takeovers),
            outline.small,
            outline.large,
            len({piece.step for piece in outline.pieces if piece.author is Author.LARGE}),
            outline.answer_began,
            outline.usage.cost.drafted,
            outline.usage.cost.accepted,
        )
