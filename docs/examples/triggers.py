"""Hands over on three triggers: a plan, overconfidence, an unproductive loop (TrigReason, arXiv 2604.14847).

1. The large model writes the first steps (the plan).
2. A step of which the small model was extraordinarily sure (mean log-probability per token above a bound) is rewritten.
3. After hesitation in several steps running, or a repeated step, the large model writes the next step.
The bounds are not published; ours suit no pair in particular.
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from baton_reasoning.core.thinking.cues import Category
from baton_reasoning.core.thinking.policy import Needs, Policy, PolicyArm, PolicySettings
from baton_reasoning.core.thinking.reasons import OPENING, TakeoverReason
from baton_reasoning.core.thinking.requests import Accept, Measure, Program, TakeOver, Until, Write, Written
from baton_reasoning.core.thinking.text import Text

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
    counts = ("hesitating",)  # steps in a row with a reflection
    settings: Settings

    def think(self, text: Text) -> Program:
        cap = self.settings.step_cap
        for _ in range(text.steps_ended, self.settings.plan_steps):
            yield from TakeOver(cap, OPENING, until=Until.STEP)
        while True:
            step = yield from Write(waits=True)
            if step.closed or step.text_ended:
                return  # no step follows in which the large model could help
            hesitating = Measure("hesitating steps", self.hesitating_with(step), self.settings.hesitations)
            confidence = Measure("confidence", self.confidence_in(step), self.settings.confidence)
            goes_in_circles = hesitating.value >= hesitating.limit
            if goes_in_circles or text.repeats_step:
                self.counters["hesitating"] = 0
                why = hesitating if goes_in_circles else None
                yield from Accept()
                yield from TakeOver(cap, UNPRODUCTIVE, until=Until.STEP, measure=why)
            elif confidence.value > confidence.limit:
                yield from TakeOver(cap, OVERCONFIDENCE, until=Until.STEP, measure=confidence)
            yield from Accept()

    def hesitating_with(self, step: Written) -> int:
        """Count the step if it hesitates; return how many do in a row."""
        hesitates = self.lexicon.sign(step.text) is Category.REFLECTION
        self.counters["hesitating"] = self.counters["hesitating"] + 1 if hesitates else 0
        return self.counters["hesitating"]

    def confidence_in(self, step: Written) -> float:
        """Return the mean log-probability of its tokens; that of an impossible step if none is known."""
        logprobs = [token.logprob for token in step.tokens if token.logprob is not None]
        return sum(logprobs) / len(logprobs) if logprobs else -math.inf
