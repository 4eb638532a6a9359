"""One training run from start to end.

The matrices inside the blocks learn by Muon; embedding, head and norms by Adam. The learning rate stands for a
third of the run and then falls in a line; most of the accuracy arrives while it falls.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from demo_pair.lessons import Batch, Lessons
from demo_pair.model import Llama, Shape
from demo_pair.tokenizer import TOKENS

MUON_RATE, ADAM_RATE = 0.01, 3e-3
CONSTANT_PART = 0.35
LEAST_RATE = 0.01
REPORTS = 50


@dataclass(frozen=True)
class Recipe:
    """All that sets one model of the pair apart from the other."""

    name: str
    shape: Shape
    tokens: int
    batch_tokens: int


SMALL = Recipe("small", Shape(width=30, layers=2, heads=3, feed_forward=12), tokens=4_000_000, batch_tokens=1536)
LARGE = Recipe("large", Shape(width=64, layers=3, heads=4, feed_forward=176), tokens=6_000_000, batch_tokens=2048)


def train(recipe: Recipe, seed: int, report: Callable[[str], None]) -> Llama:
    """A fresh model, taught by this recipe; the seed decides weights and lessons."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    model = Llama(recipe.shape, len(TOKENS))
    lessons = Lessons(seed, recipe.batch_tokens)
    optimizers = _optimizers(model)
    seen, reports = 0, 0
    while seen < recipe.tokens:
        _set_rate(optimizers, done=seen / recipe.tokens)
        batch = lessons.next()
        loss, right = _loss(model, batch)
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        lessons.note(batch, right)
        seen += batch.ids.numel()
        if seen * REPORTS >= reports * recipe.tokens:
            reports += 1
            report(f"{recipe.name}, seed {seed}: {seen:,} tokens, loss {loss:.3f}, drills {lessons.accuracy:.1%}")
    return model


def _loss(model: Llama, batch: Batch) -> tuple[Tensor, Tensor]:
    """Weighted mean cross-entropy over what counts, and which of it was guessed right, [counted]."""
    logits = model.head(model.hidden(batch.ids)[batch.counted])
    targets, weights = batch.targets[batch.counted], batch.weights[batch.counted]
    each = functional.cross_entropy(logits, targets, reduction="none")
    return (each * weights).sum() / weights.sum(), logits.argmax(-1) == targets


def _optimizers(model: Llama) -> list[torch.optim.Optimizer]:
    matrices = [weight for weight in model.blocks.parameters() if weight.dim() == 2]
    norms = [weight for weight in model.blocks.parameters() if weight.dim() == 1]
    around = [*model.embedding.parameters(), *model.norm.parameters(), *model.head.parameters()]
    return [
        torch.optim.Muon([{"params": matrices, "full_rate": MUON_RATE}], weight_decay=0.0),
        torch.optim.Adam([{"params": norms + around, "full_rate": ADAM_RATE}], betas=(0.9, 0.99)),
    ]


def _set_rate(optimizers: list[torch.optim.Optimizer], done: float) -> None:
    """`done`: the part of the run, 0 to 1, that lies behind."""
    factor = min(1.0, max(LEAST_RATE, (1 - done) / (1 - CONSTANT_PART)))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["full_rate"] * factor
