"""Gives every n-th step to the large model: the simplest policy, as a plug-in."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from baton_reasoning.core.thinking.policy import Policy, PolicyArm, PolicySettings
from baton_reasoning.core.thinking.reasons import TakeoverReason
from baton_reasoning.core.thinking.requests import Program, TakeOver, Until, Write
from baton_reasoning.core.thinking.text import Text

PERIODIC = TakeoverReason("periodic", "Every n-th step")


class Periodic(Policy):
    name = "periodic"
    title = "Every n-th step"
    summary = "The large model writes every n-th step, wherever that falls."
    is_control = True
    reasons = (PERIODIC,)

    class Settings(PolicySettings):
        policy: Literal["periodic"] = "periodic"
        every: int = Field(5, ge=1, title="Every n-th step", description="1: all steps but the first.")
        step_cap: int = Field(512, ge=1, title="Step cap", description="Tokens of a step by the large model.")

    arms = (PolicyArm("periodic", Settings()),)
    settings: Settings

    def think(self, text: Text) -> Program:
        while True:
            yield from Write()
            if (text.steps_ended + 1) % self.settings.every == 0:
                yield from TakeOver(self.settings.step_cap, PERIODIC, until=Until.STEP)
