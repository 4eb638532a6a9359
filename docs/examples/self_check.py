"""Lets the small model check its own steps, and ask the large one where it is unsure (ConfSpec, arXiv 2602.18447).

One token by the small model says whether its step is right. If it is sure, the step stays; else the large model scores
the step as in `step-score`, and rewrites one with a low score.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from baton_reasoning.core.engines.abilities import Ability
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.policies.step_score import DIGITS, QUESTION, score_of
from baton_reasoning.core.thinking.policy import Needs, Policy, PolicyArm, PolicySettings
from baton_reasoning.core.thinking.reasons import TakeoverReason
from baton_reasoning.core.thinking.requests import Accept, Judge, Measure, Program, TakeOver, Until, Write
from baton_reasoning.core.thinking.text import Text

JUDGES = frozenset({Ability.JUDGEMENTS})
REJECTED = TakeoverReason("rejected", "Rejected by the large model")
CHECK = "\n\nIs the last step above correct? Answer yes or no: "
YES_OR_NO = ("yes", "Yes", "YES", "no", "No", "NO")
"""All spellings: small models answer “Yes” more often than “yes”."""


class SelfCheck(Policy):
    name = "self-check"
    title = "Self-check"
    summary = "The small model checks its own steps; where it is unsure, the large one judges and rewrites."
    needs = Needs(of_small=JUDGES, of_large=JUDGES)
    reasons = (REJECTED,)

    class Settings(PolicySettings):
        policy: Literal["self-check"] = "self-check"
        sure: float = Field(
            0.9, ge=0, le=1, title="Sure", description="Probability of “yes” from which the small model's word stands."
        )
        threshold: float = Field(7, ge=0, le=9, title="Minimum score", description="By the large model, 0 to 9.")
        step_cap: int = Field(512, ge=1, title="Step cap", description="Tokens of a rewritten step.")

    arms = (PolicyArm("self-check", Settings()),)
    settings: Settings

    def think(self, text: Text) -> Program:
        while True:
            yield from Write(waits=True)
            checked = yield from Judge(CHECK, YES_OR_NO, Author.SMALL)
            if sum(checked.probabilities[:3]) < self.settings.sure:
                judged = yield from Judge(QUESTION, DIGITS)
                score = Measure("score", score_of(judged.probabilities, weighted=False), self.settings.threshold)
                if score.value < score.limit:
                    yield from TakeOver(self.settings.step_cap, REJECTED, until=Until.STEP, measure=score)
            yield from Accept()
