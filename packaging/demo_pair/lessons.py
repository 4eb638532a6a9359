"""What is taught when: mostly drills until sums begin to work, then mostly whole traces; both from first to last."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from demo_pair.tokenizer import END_ID, encode
from demo_pair.traces import Span, drill, trace

DRILLED = 0.75
"""Part of the drilled sums that must be right before drills become few: nearly all halves."""
DRILLS_FIRST, DRILLS_KEPT = 0.7, 0.15
"""Of all batches. Traces are there from the start, so that heads learn copies and sums together."""
DRILL_LINES = 14
DRILL_ZEROS = 0.4
MEMORY = 0.9


@dataclass(frozen=True)
class Batch:
    """Texts as tensors [rows, time]: ids, the ids that follow them, and how much each of those counts."""

    ids: Tensor
    targets: Tensor
    weights: Tensor
    is_drill: bool = False

    @property
    def counted(self) -> Tensor:
        return self.weights > 0


class Lessons:
    """Batches of about so many tokens, from one random source."""

    def __init__(self, seed: int, tokens: int) -> None:
        self.rng = random.Random(seed)
        self.tokens = tokens
        self.accuracy = 0.0
        """Of drilled sums, all five digits right; a running mean."""
        self.drilled = False

    def next(self) -> Batch:
        if self.rng.random() < (DRILLS_KEPT if self.drilled else DRILLS_FIRST):
            return self._batch(lambda: drill(self.rng, DRILL_LINES, DRILL_ZEROS), is_drill=True)
        return self._batch(lambda: trace(self.rng))

    def note(self, batch: Batch, right: Tensor) -> None:
        """Take in which of the counted targets were guessed right, [counted]."""
        if batch.is_drill:
            sums = right.view(-1, 5).all(1).float().mean().item()
            self.accuracy = MEMORY * self.accuracy + (1 - MEMORY) * sums
            self.drilled = self.drilled or self.accuracy >= DRILLED

    def _batch(self, make: Callable[[], list[Span]], is_drill: bool = False) -> Batch:
        rows = [_weighted_ids(make())]
        rows += [_weighted_ids(make()) for _ in range(self.tokens // len(rows[0]))]
        longest = max(map(len, rows))
        padded = [row + [(END_ID, 0.0)] * (longest - len(row)) for row in rows]
        ids = torch.tensor([[id for id, _ in row] for row in padded])
        weights = torch.tensor([[weight for _, weight in row] for row in padded])
        return Batch(ids[:, :-1], ids[:, 1:], weights[:, 1:], is_drill)


def _weighted_ids(spans: list[Span]) -> list[tuple[int, float]]:
    return [(id, float(span.weight)) for span in spans for id in encode(span.text)]
