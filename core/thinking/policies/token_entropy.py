"""Hands over single tokens of which the small model is unsure (R2R without its router, arXiv 2505.21600).

Where the entropy of the small model's next token is τ or more, in nats over the whole vocabulary, the large model
writes that token. With R-Stitch's return rule (arXiv 2507.17307) it goes on until it is sure of a token itself; they
divide the entropy by the logarithm of the vocabulary's size, so that a bound of theirs is multiplied by 11.9 for
Qwen's. A server shows the likeliest tokens only: their entropy is taken, scaled to a sum of 1. An end of the text is
not questioned.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from baton_reasoning.core.thinking.policy import Ablation, Needs, Policy, PolicyArm, PolicySettings
from baton_reasoning.core.thinking.reasons import TakeoverReason
from baton_reasoning.core.thinking.requests import NEXT_TOKEN, Accept, Measure, Program, TakeOver, Written
from baton_reasoning.core.thinking.text import Text

TOKEN_ENTROPY = TakeoverReason("token entropy", "Unsure of this token")
LONGEST = 512
"""Tokens of a takeover that the return rule does not end before."""


class TokenEntropy(Policy):
    name = "token-entropy"
    title = "Token entropy"
    summary = "The large model writes each token of which the small one is unsure."
    needs = Needs(alternatives=20, alternatives_in_takeovers=20, entropy_alone=True)
    reasons = (TOKEN_ENTROPY,)
    in_answer = True
    hands_back_empty = False
    main_parameters = ("tau", "returns_below")

    class Settings(PolicySettings):
        policy: Literal["token-entropy"] = "token-entropy"
        tau: float = Field(
            0.45, ge=0, title="Unsure from (τ)", description="Entropy of the small model's token, in nats: 0 is sure."
        )
        returns_below: float = Field(
            0,
            ge=0,
            title="Return below",
            description="The large model goes on until its own entropy is below it, in nats; 0: one token at a time.",
        )

    arms = (
        PolicyArm("token-entropy", Settings()),
        PolicyArm("stitch", Settings(returns_below=0.1)),
    )
    ablations = (
        Ablation(
            "token-entropy-tau",
            "Token entropy above 0.2, 0.45, 0.9",
            lambda _: {f"token-entropy tau = {tau:g}": {"tau": tau} for tau in (0.2, 0.45, 0.9)},
        ),
    )
    settings: Settings

    def think(self, text: Text) -> Program:
        settings = self.settings
        while True:
            look = yield from NEXT_TOKEN
            unsure = max((token.entropy_or_estimate for token in look.tokens), default=-1.0)
            entropy = Measure("entropy", unsure, settings.tau)
            if entropy.value >= entropy.limit:
                most = LONGEST if settings.returns_below else 1
                yield from TakeOver(most, TOKEN_ENTROPY, ends=self.is_sure, measure=entropy)
            yield from Accept()

    def is_sure(self, took: Written) -> bool:
        """Tell whether the large model is sure of its newest token, and returns."""
        return took.tokens[-1].entropy_or_estimate < self.settings.returns_below
