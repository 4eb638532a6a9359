"""Takeover where the small model is unsure how to begin a step (GlimpRouter, arXiv 2601.05110).

Entropy of its first token after a boundary, over the renormalised 20 likeliest, in nats. At τ or more the large
model writes that step (at most 512 tokens); it also writes the final answer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from core.thinking.events import Rule
from core.thinking.policy import WITHOUT_END, Keep, LookOn, Move, Policy, TakeOver, Until, View


def entropy(logprobs: Iterable[float]) -> float:
    """Entropy in nats of these log-probabilities, renormalised to sum to 1."""
    weights = [math.exp(logprob) for logprob in logprobs]
    total = sum(weights)
    return -sum(w / total * math.log(w / total) for w in weights if w > 0) if total else 0.0


class FirstTokenEntropy(Policy):
    name = "first-token-entropy"
    alternatives = 20

    def __init__(self, threshold: float, step_cap: int) -> None:
        """`threshold`: τ in nats (0.9–1.0 published); `step_cap`: tokens of a step by the large model (512)."""
        self.threshold = threshold
        self.step_cap = step_cap

    def at_boundary(self, view: View) -> Move:
        return LookOn() if view.thinking else Keep()

    def on_lookahead(self, view: View) -> Move:
        first = next((token for token in view.tokens if not token.text.isspace()), None)
        if first is None and not view.text_ended:
            return LookOn()
        if first and entropy(choice.logprob for choice in first.alternatives) >= self.threshold:
            return TakeOver(self.step_cap, Rule.ENTROPY, until=Until.STEP)
        return Keep()

    def on_thinking_closed(self, view: View) -> Move:
        return TakeOver(WITHOUT_END, Rule.ANSWER)
