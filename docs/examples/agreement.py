"""Lets the large model read each step and rewrite those that it finds unlikely: needs a model that scores a text."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from baton_reasoning.core.engines.abilities import Ability
from baton_reasoning.core.thinking.policy import Needs, Policy, PolicyArm, PolicySettings
from baton_reasoning.core.thinking.reasons import TakeoverReason
from baton_reasoning.core.thinking.requests import Accept, Measure, Program, Score, TakeOver, Until, Write
from baton_reasoning.core.thinking.text import Text

DISAGREEMENT = TakeoverReason("disagreement", "Unlikely to the large model")


class Agreement(Policy):
    name = "agreement"
    title = "Agreement"
    summary = "The large model reads each step and rewrites those that it finds unlikely."
    needs = Needs(of_large=frozenset({Ability.SCORES}))
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

    def think(self, text: Text) -> Program:
        while True:
            yield from Write(waits=True)
            scores = yield from Score()
            agreement = Measure("agreement", scores.mean_logprob, self.settings.bound)
            if agreement.value < agreement.limit:
                yield from TakeOver(self.settings.step_cap, DISAGREEMENT, until=Until.STEP, measure=agreement)
            yield from Accept()
