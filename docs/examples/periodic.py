"""Gives every n-th step to the large model: the simplest policy, as a plug-in."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from baton_reasoning.core.thinking.policy import Move, Policy, PolicyArm, PolicySettings, Until, View, keep, take_over
from baton_reasoning.core.thinking.reasons import TakeoverReason

PERIODIC = TakeoverReason("periodic", "Every n-th step")


class Periodic(Policy):
    name = "periodic"
    title = "Every n-th step"
    summary = "The large model writes every n-th step, wherever that falls."
    is_control = True
    rewrites = False
    reasons = (PERIODIC,)

    class Settings(PolicySettings):
        policy: Literal["periodic"] = "periodic"
        every: int = Field(5, ge=1, title="Every n-th step", description="1: all steps but the first.")
        step_cap: int = Field(512, ge=1, title="Step cap", description="Tokens of a step by the large model.")

    arms = (PolicyArm("periodic", Settings()),)
    counts = ("steps",)  # that have ended
    settings: Settings

    def at_boundary(self, view: View) -> Move:
        if not view.thinking:
            return keep()
        self.counters["steps"] += 1
        if (self.counters["steps"] + 1) % self.settings.every:
            return keep()
        return take_over(self.settings.step_cap, PERIODIC, until=Until.STEP)
