"""Hands over where the small model is unsure how to begin a step (GlimpRouter, arXiv 2601.05110).

It takes the entropy of the first token of each step, in nats, over its 20 likeliest tokens, renormalised. At τ or more
the large model writes that step. At the cap of 512 tokens a new step begins, for either writer, and is probed. A
closing tag that the small model is unsure of hands over like any other token. The large model writes the final answer.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from baton_reasoning.core.thinking.policy import (
    LAST_STEP,
    WITHOUT_END,
    Ablation,
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
from baton_reasoning.core.thinking.reasons import ANSWER, TakeoverReason

ENTROPY = TakeoverReason("first-token entropy", "First-token entropy")


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
            lambda _: {f"τ = {tau:g}": {"tau": tau} for tau in (0.5, 0.95, 1.5)},
            is_sweep=True,
        ),
    )
    main_parameters = ("tau",)
    settings: Settings

    def opening(self, view: View) -> Move:
        return look_on(within_step=True)

    def at_boundary(self, view: View) -> Move:
        """Decide after a step, which may have been the one token that is probed."""
        if not view.thinking:
            return keep()
        if view.author is self.default_writer and self._is_unsure_how_to_begin(view):
            return take_over(self.settings.step_cap, ENTROPY, until=Until.STEP, rewrite_from=LAST_STEP)
        return look_on(within_step=True, ends_step=True)

    def on_lookahead(self, view: View) -> Move:
        if view.text_ended:
            return keep()
        if self._is_unsure_how_to_begin(view):
            return take_over(self.settings.step_cap, ENTROPY, until=Until.STEP)
        return look_on(within_step=True, ends_step=len(view.tokens) >= self.settings.step_cap)

    def on_takeover_end(self, view: View) -> Move:
        """Begin a new step, at a boundary or at the cap."""
        return self.at_boundary(view)

    def on_thinking_closed(self, view: View) -> Move:
        if view.in_lookahead and self._is_unsure_how_to_begin(view):
            return take_over(self.settings.step_cap, ENTROPY, until=Until.STEP)
        return take_over(WITHOUT_END, ANSWER, keep_lookahead=True)

    def _is_unsure_how_to_begin(self, view: View) -> bool:
        """Tell whether the newest token is the first of the step, and the small model was unsure of it."""
        begun = [token for token in view.tokens if not token.text.isspace()]
        if not begun or any(token.text for token in begun[:-1]):  # the tokens of half a character have no text
            return False
        return begun[0].entropy_of_alternatives >= self.settings.tau
