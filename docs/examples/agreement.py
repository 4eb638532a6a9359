"""Lets the large model read each step and rewrite those that it finds unlikely: needs a model that scores a text."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from baton_reasoning.core.engines.base import Scores
from baton_reasoning.core.thinking.policy import (
    LAST_STEP,
    Move,
    Needs,
    Policy,
    PolicyArm,
    PolicySettings,
    Score,
    Until,
    View,
    keep,
    take_over,
)
from baton_reasoning.core.thinking.reasons import TakeoverReason

DISAGREEMENT = TakeoverReason("disagreement", "Unlikely to the large model")


class Agreement(Policy):
    name = "agreement"
    title = "Agreement"
    summary = "The large model reads each step and rewrites those that it finds unlikely."
    needs = Needs(scores=True)
    reasons = (DISAGREEMENT,)

    class Settings(PolicySettings):
        policy: Literal["agreement"] = "agreement"
        bound: float = Field(
            -0.8,
            ge=-100,
            le=0,
            title="Minimum agreement",
            description="Mean log-probability per token of a kept step, in nats: 0 is expected, −2 surprising.",
        )
        step_cap: int = Field(512, ge=1, title="Step cap", description="Tokens of a rewritten step.")

    arms = (PolicyArm("agreement", Settings()),)
    settings: Settings

    def at_boundary(self, view: View) -> Move:
        return Score() if view.thinking else keep()

    def on_score(self, view: View, scores: Scores) -> Move:
        if scores.mean_logprob < self.settings.bound:
            return take_over(self.settings.step_cap, DISAGREEMENT, until=Until.STEP, rewrite_from=LAST_STEP)
        return keep()

    def on_takeover_end(self, view: View) -> Move:
        """Do not score what the large model wrote."""
        return keep()
