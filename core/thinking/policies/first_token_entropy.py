"""Takeover where the small model is unsure how to begin a step (GlimpRouter, arXiv 2601.05110).

Entropy of its first token after a boundary, over the renormalised 20 likeliest, in nats. At τ or more the large
model writes that step (at most 512 tokens); it also writes the final answer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from core.thinking.policy import (
    WITHOUT_END,
    Move,
    Needs,
    Policy,
    PolicyArm,
    PolicySettings,
    Until,
    View,
    keep,
    look_on,
    take_over,
)
from core.thinking.reasons import ANSWER, TakeoverReason

ENTROPY = TakeoverReason("first-token entropy", "First-token entropy")


def entropy(logprobs: Iterable[float]) -> float:
    """Entropy in nats of these log-probabilities, renormalised to sum to 1."""
    weights = [math.exp(logprob) for logprob in logprobs]
    total = sum(weights)
    return -sum(w / total * math.log(w / total) for w in weights if w > 0) if total else 0.0


class FirstTokenEntropy(Policy):
    name = "first-token-entropy"
    title = "First-token entropy"
    summary = "The large model writes a step if the small one is unsure of its first token."
    needs = Needs(alternatives=20)
    reasons = (ENTROPY,)

    class Settings(PolicySettings):
        policy: Literal["first-token-entropy"] = "first-token-entropy"
        tau: float = Field(0.95, ge=0, title="τ", description="First-token entropy for a takeover, in nats.")
        step_cap: int = Field(512, ge=1, title="Step cap", description="Tokens of a step by the large model.")

    arms = (PolicyArm("entropy", "first-token entropy", Settings()),)
    settings: Settings

    def at_boundary(self, view: View) -> Move:
        return look_on() if view.thinking else keep()

    def on_lookahead(self, view: View) -> Move:
        first = next((token for token in view.tokens if not token.text.isspace()), None)
        if first is None and not view.text_ended:
            return look_on()
        if first and entropy(choice.logprob for choice in first.alternatives) >= self.settings.tau:
            return take_over(self.settings.step_cap, ENTROPY, until=Until.STEP)
        return keep()

    def on_thinking_closed(self, view: View) -> Move:
        return take_over(WITHOUT_END, ANSWER)
