"""The large model scores each step of the small one and rewrites poor ones (SpecReason, arXiv 2504.07891).

The score is one token, 0 to 9, on a forked sequence, so the question never enters the large model's text. Below the
threshold (7) the step is discarded and the large model writes it. Two identical steps in a row end the thinking.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from core.thinking.policy import (
    Close,
    Judge,
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
from core.thinking.reasons import REPETITION, TakeoverReason
from core.thinking.steps import same_step_twice

SCORE = TakeoverReason("low step score", "Low step score")

QUESTION = (
    "\n\nHow good is the last step above, as a step towards the right answer? "
    "Reply with one digit from 0 (wrong or useless) to 9 (right and useful).\nScore: "
)
DIGITS = tuple("0123456789")


class StepScore(Policy):
    name = "step-score"
    title = "Step score"
    summary = "The large model scores each step and rewrites those with a low score."
    needs = Needs(judge=True)
    reasons = (SCORE,)

    class Settings(PolicySettings):
        policy: Literal["step-score"] = "step-score"
        threshold: float = Field(7, ge=0, le=9, title="Minimum score", description="A step below is rewritten.")
        weighted: bool = Field(False, title="Weighted score", description="Mean over digits, not the likeliest.")
        step_cap: int = Field(512, ge=1, title="Step cap", description="Tokens of a rewritten step.")

    arms = (PolicyArm("score", "step score by the large model", Settings()),)
    settings: Settings

    def at_boundary(self, view: View) -> Move:
        if not view.thinking:
            return keep()
        if same_step_twice(view.body):
            return Close(REPETITION)
        return Judge(QUESTION, DIGITS)

    def on_judgement(self, view: View, probabilities: tuple[float, ...]) -> Move:
        if self.settings.weighted:
            score: float = sum(digit * chance for digit, chance in enumerate(probabilities))
        else:
            score = float(probabilities.index(max(probabilities)))
        if score < self.settings.threshold:
            return take_over(self.settings.step_cap, SCORE, until=Until.STEP, rewrite_step=True)
        return keep()

    def on_takeover_end(self, view: View) -> Move:
        """What the large model wrote is not judged."""
        return keep()
