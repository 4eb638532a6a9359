"""Lets the large model score each step of the small one and rewrite poor ones (SpecReason, arXiv 2504.07891).

The score is one token, 0 to 9, on a forked sequence, so the question never enters the large model's text. It asks about
correctness only. Below the threshold (7) the step is discarded and the large model writes it. The step that closes the
thinking is judged, too, and so is the last one of a text without thinking. Two identical steps in a row, looked at
after a rewrite, end the thinking.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from baton_reasoning.core.engines.base import Judgement
from baton_reasoning.core.thinking.policy import (
    LAST_STEP,
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
    look_on,
    take_over,
)
from baton_reasoning.core.thinking.reasons import OPENING, REPETITION, TakeoverReason

SCORE = TakeoverReason("low step score", "Low step score")
QUESTION = (
    "\n\nIs the last step above correct? Do not ask whether it is useful, only whether it is right. "
    "Reply with one digit from 0 (certainly wrong) to 9 (certainly right).\nScore: "
)
DIGITS = tuple("0123456789")


def score_of(probabilities: tuple[float, ...], weighted: bool) -> float:
    """Return the score of a step from the probabilities of the digits 0 to 9: the likeliest digit, or their mean."""
    if weighted:
        return sum(digit * chance for digit, chance in enumerate(probabilities))
    return float(probabilities.index(max(probabilities)))


class StepScore(Policy):
    name = "step-score"
    title = "Step score"
    summary = "The large model scores each step and rewrites those with a low score."
    needs = Needs(judge=True)
    reasons = (SCORE,)
    hands_back_empty = False

    class Settings(PolicySettings):
        policy: Literal["step-score"] = "step-score"
        threshold: float = Field(7, ge=0, le=9, title="Minimum score", description="A step below it is rewritten.")
        weighted: bool = Field(
            False, title="Weighted score", description="The mean over the digits, not the likeliest digit."
        )
        step_cap: int = Field(512, ge=1, title="Step cap", description="Tokens of a step, by either model.")
        first_steps_large: int = Field(
            0, ge=0, title="First steps by the large model", description="So many steps before the small model begins."
        )
        question: str = Field(QUESTION, title="Question", description="Put after the text; answered with a digit.")

    arms = (PolicyArm("step-score", Settings()),)
    main_parameters = ("threshold", "step_cap")
    counts = ("first steps",)  # that the large model has written
    settings: Settings

    def opening(self, view: View) -> Move:
        if self.counters["first steps"] < self.settings.first_steps_large:
            self.counters["first steps"] += 1
            return take_over(self.settings.step_cap, OPENING, until=Until.STEP)
        return look_on(within_step=True)

    def on_lookahead(self, view: View) -> Move:
        is_last = view.text_ended and bool(view.text.strip())
        return self._judge() if is_last or len(view.tokens) >= self.settings.step_cap else look_on(within_step=True)

    def at_boundary(self, view: View) -> Move:
        return self._judge() if view.thinking else keep()

    def on_judgement(self, view: View, judgement: Judgement) -> Move:
        score = score_of(judgement.probabilities, self.settings.weighted)
        if score < self.settings.threshold:
            return take_over(self.settings.step_cap, SCORE, until=Until.STEP, rewrite_from=LAST_STEP)
        return self._after_step(view)

    def on_takeover_end(self, view: View) -> Move:
        """Do not judge what the large model wrote."""
        if view.takeover and view.takeover.reason is OPENING:
            return self.opening(view)
        return self._after_step(view)

    def on_thinking_closed(self, view: View) -> Move:
        if view.author is self.default_writer:
            return self._judge()
        return super().on_thinking_closed(view)

    def _judge(self) -> Move:
        return Judge(self.settings.question, DIGITS)

    def _after_step(self, view: View) -> Move:
        if not view.thinking:
            return keep()
        if view.repeats_step:
            return Close(REPETITION)
        return look_on(within_step=True, ends_step=True)
