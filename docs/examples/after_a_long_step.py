"""Gives the step after a long one to the large model: where the small one needs many words, it may be lost."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from baton_reasoning.core.thinking.policy import Policy, PolicyArm, PolicySettings
from baton_reasoning.core.thinking.reasons import TakeoverReason
from baton_reasoning.core.thinking.requests import Measure, Program, TakeOver, Until, Write
from baton_reasoning.core.thinking.text import Text

LONG_STEP = TakeoverReason("long step", "After a long step")


class AfterALongStep(Policy):
    name = "after-a-long-step"
    title = "After a long step"
    summary = "The large model writes the step after a long one."
    reasons = (LONG_STEP,)

    class Settings(PolicySettings):
        policy: Literal["after-a-long-step"] = "after-a-long-step"
        tokens: int = Field(60, ge=1, title="Long step", description="Tokens from which a step is long.")

    arms = (PolicyArm("after-a-long-step", Settings()),)
    settings: Settings

    def think(self, text: Text) -> Program:
        while True:
            step = yield from Write()
            length = Measure("tokens", len(step.tokens), self.settings.tokens)
            if length.value >= length.limit:
                yield from TakeOver(512, LONG_STEP, until=Until.STEP, measure=length)
