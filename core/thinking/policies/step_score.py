"""Lets the large model score each step of the small one and rewrite poor ones (SpecReason, arXiv 2504.07891).

The score is one token, 0 to 9, on a forked sequence, so the question never enters the large model's text. It asks about
correctness only. Below the threshold (7) the step is discarded and the large model writes it. The step that closes the
thinking is judged, too, and so is the last one of a text without thinking. Two identical steps in a row, looked at
after a rewrite, end the thinking.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from baton_reasoning.core.engines.abilities import Ability
from baton_reasoning.core.thinking.policy import Needs, Policy, PolicyArm, PolicySettings
from baton_reasoning.core.thinking.reasons import OPENING, REPETITION, TakeoverReason
from baton_reasoning.core.thinking.requests import Accept, Close, Judge, Measure, Program, TakeOver, Until, Write
from baton_reasoning.core.thinking.text import Text

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
    needs = Needs(of_large=frozenset({Ability.JUDGEMENTS}))
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
    settings: Settings

    def think(self, text: Text) -> Program:
        settings = self.settings
        for _ in range(text.steps_ended, settings.first_steps_large):
            first = yield from TakeOver(settings.step_cap, OPENING, until=Until.STEP)
            if first.skipped:
                break
        while True:
            yield from Write(tokens=settings.step_cap, waits=True)
            judgement = yield from Judge(settings.question, DIGITS)
            score = Measure("score", score_of(judgement.probabilities, settings.weighted), settings.threshold)
            if score.value < score.limit:
                yield from TakeOver(settings.step_cap, SCORE, until=Until.STEP, measure=score)
            if text.thinking and text.repeats_step:
                yield from Close(REPETITION)
            yield from Accept()
