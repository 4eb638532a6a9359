"""Hands over on three triggers: a plan, overconfidence, an unproductive loop (TrigReason, arXiv 2604.14847).

1. The large model writes the first steps (the plan).
2. A step of which the small model was extraordinarily sure (mean log-probability per token above a bound) is rewritten.
3. After hesitation in several steps running, or a repeated step, the large model writes the next step.
The bounds are not published; ours suit no pair in particular.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from baton_reasoning.core.thinking.cues import Category
from baton_reasoning.core.thinking.policy import (
    LAST_STEP,
    Move,
    Needs,
    Policy,
    PolicyArm,
    PolicySettings,
    Until,
    View,
    keep,
    take_over,
)
from baton_reasoning.core.thinking.reasons import OPENING, TakeoverReason

OVERCONFIDENCE = TakeoverReason("overconfidence", "Extraordinary confidence")
UNPRODUCTIVE = TakeoverReason("unproductive loop", "Unproductive loop")


class Triggers(Policy):
    name = "triggers"
    title = "Triggers"
    summary = "The large model writes the plan, and steps where the small one is too sure or goes in circles."
    needs = Needs(alternatives=1)
    reasons = (OVERCONFIDENCE, UNPRODUCTIVE)

    class Settings(PolicySettings):
        policy: Literal["triggers"] = "triggers"
        plan_steps: int = Field(1, ge=0, title="Plan", description="First steps, written by the large model.")
        confidence: float = Field(
            -0.005,
            ge=-100,
            le=0,
            title="Maximum confidence",
            description="A step is rewritten above it: mean log-probability per token, in nats, where 0 is certain.",
            json_schema_extra={"decimals": 5},
        )
        hesitations: int = Field(
            3, ge=1, title="Hesitating steps", description="In a row, before the large model helps."
        )
        step_cap: int = Field(512, ge=1, title="Step cap", description="Tokens of a step by the large model.")

    arms = (PolicyArm("triggers", Settings()),)
    counts = ("planned", "hesitating")  # steps of the plan; steps in a row with a reflection
    settings: Settings

    def opening(self, view: View) -> Move:
        if self.counters["planned"] >= self.settings.plan_steps:
            return keep()
        self.counters["planned"] += 1
        return take_over(self.settings.step_cap, OPENING, until=Until.STEP)

    def at_boundary(self, view: View) -> Move:
        if not view.thinking:
            return keep()
        hesitates = self.lexicon.sign(view.text) is Category.REFLECTION
        self.counters["hesitating"] = self.counters["hesitating"] + 1 if hesitates else 0
        if self.counters["hesitating"] >= self.settings.hesitations or view.repeats_step:
            self.counters["hesitating"] = 0
            return take_over(self.settings.step_cap, UNPRODUCTIVE, until=Until.STEP)
        logprobs = [token.logprob for token in view.tokens if token.logprob is not None]
        is_own = sum(len(token.text) for token in view.tokens) == len(view.text)  # not begun by the large model
        if is_own and logprobs and sum(logprobs) / len(logprobs) > self.settings.confidence:
            return take_over(self.settings.step_cap, OVERCONFIDENCE, until=Until.STEP, rewrite_from=LAST_STEP)
        return keep()

    def on_takeover_end(self, view: View) -> Move:
        if view.takeover and view.takeover.reason is OPENING and view.thinking:
            return self.opening(view)
        return keep()
