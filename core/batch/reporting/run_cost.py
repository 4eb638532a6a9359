"""Counts what a run cost beyond its kept tokens: prefilled, discarded and drafted ones; and where takeovers began."""

from __future__ import annotations

from typing import NamedTuple

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.store.outline import ModelWork, Outline


class TakeoverPlace(NamedTuple):
    reason: str
    """Id of a TakeoverReason."""
    place: float
    """Relative place of the step in which it began: 0 is the first step, 1 the last."""


class RunCost(NamedTuple):
    """What one run cost; all counts are tokens."""

    discarded_tokens: int
    """Written and replaced: lookaheads, and steps that were written again."""
    takeovers: tuple[TakeoverPlace, ...]
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
        last_step = max(1, outline.steps - 1)
        return cls(
            sum(piece.replaced_tokens for piece in outline.pieces),
            tuple(TakeoverPlace(piece.reason or "", piece.step / last_step) for piece in outline.takeovers),
            outline.small,
            outline.large,
            len({piece.step for piece in outline.pieces if piece.author is Author.LARGE}),
            outline.answer_began,
            outline.usage.cost.drafted,
            outline.usage.cost.accepted,
        )
