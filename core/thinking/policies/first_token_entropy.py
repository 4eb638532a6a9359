"""Hands over where the small model is unsure how to begin a step (GlimpRouter, arXiv 2601.05110).

It takes the entropy of the first token of each step, in nats, over its 20 likeliest tokens, renormalised. At τ or more
the large model writes that step. At the cap of 512 tokens a new step begins, for either writer, and is probed. A
closing tag that the small model is unsure of hands over like any other token. The large model writes the final answer.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from baton_reasoning.core.thinking.policy import Ablation, Needs, Policy, PolicyArm, PolicySettings
from baton_reasoning.core.thinking.reasons import ANSWER, TakeoverReason
from baton_reasoning.core.thinking.requests import WITHOUT_END, Measure, Program, TakeOver, Until, Write, Written
from baton_reasoning.core.thinking.text import Text

ENTROPY = TakeoverReason("first-token entropy", "Unsure how to begin")


class FirstTokenEntropy(Policy):
    name = "first-token-entropy"
    title = "First-token entropy"
    summary = "The large model writes a step if the small one is unsure how to begin it."
    needs = Needs(alternatives=20)
    reasons = (ENTROPY,)
    hands_back_empty = False

    class Settings(PolicySettings):
        policy: Literal["first-token-entropy"] = "first-token-entropy"
        tau: float = Field(
            1.0,
            ge=0,
            title="Unsure from (τ)",
            description="Entropy of a step's first token, in nats: 0 is sure, 1 is open (0.9 for AIME25).",
        )
        step_cap: int = Field(
            512, ge=1, title="Step cap", description="Tokens after which a new step begins, by either model."
        )

    arms = (PolicyArm("first-token-entropy", Settings()),)
    ablations = (
        Ablation(
            "first-token-entropy-tau",
            "First-token entropy above 0.5, 0.95, 1.5",  # 0.95 is GlimpRouter's
            lambda _: {f"first-token-entropy tau = {tau:g}": {"tau": tau} for tau in (0.5, 0.95, 1.5)},
        ),
    )
    main_parameters = ("tau",)
    settings: Settings

    def think(self, text: Text) -> Program:
        cap = self.settings.step_cap
        if text.within_step:
            yield from Write(tokens=cap)
        while True:
            first = yield from Write(Until.TOKENS, cap, waits=True, ends=self.has_begun)
            entropy, tau = self.entropy_of(first), self.settings.tau
            if entropy is not None and entropy >= tau:
                unsure = Measure("entropy", entropy, tau)
                took = yield from TakeOver(cap, ENTROPY, until=Until.STEP, measure=unsure)
                if not took.skipped:
                    continue
            yield from Write(tokens=cap)

    def answer(self, text: Text) -> Program:
        yield from TakeOver(WITHOUT_END, ANSWER)

    def has_begun(self, look: Written) -> bool:
        """Tell whether the step has its first token, white space aside."""
        return look.has_boundary or any(token.text and not token.text.isspace() for token in look.tokens)

    def entropy_of(self, first: Written) -> float | None:
        """Return the entropy of the step's first token, or of its first part if it is half a character; None if there
        is no such token."""
        begun = [token for token in first.tokens if not token.text.isspace()]
        return begun[0].entropy_of_alternatives if begun and not first.text_ended else None
