"""Counts what a run cost beyond its kept tokens: prefilled, discarded and drafted ones; and where takeovers began.

`compute_of` adds up the tokens of an answer as FLOP.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from baton_reasoning.core.batch.running.batch_settings import ModelSummary
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.store.outline import ModelWork, Outline
from baton_reasoning.core.thinking.cues import NEGATIVE, english

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
    small_reflections: int = 0
    """The paper's cues of reflection and verification in the small model's part of the thinking."""
    large_reflections: int = 0

    @classmethod
    def of(cls, outline: Outline) -> RunCost:
        reflections = dict.fromkeys(Author, 0)
        for piece in outline.pieces:
            if not piece.in_answer:
                reflections[piece.author] += len(_REFLECTION.findall(piece.text))
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
            reflections[Author.SMALL],
            reflections[Author.LARGE],
        )


def compute_of(cost: RunCost, small: ModelSummary | None, large: ModelSummary | None) -> float:
    """Return the FLOP of an answer: 2 · parameters · tokens of both models, read and decoded.

    0 if the parameters of a model that took part are not known.
    """
    total = 0
    for model, work in ((small, cost.small), (large, cost.large)):
        parameters, tokens = model.parameters if model else 0, work.read + work.decoded
        if tokens and not parameters:
            return 0.0
        total += parameters * tokens
    return 2.0 * total
