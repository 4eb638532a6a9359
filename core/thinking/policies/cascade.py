"""Lets the large model solve afresh what the small one was unsure of: the control that a finer method must beat.

The small model answers alone. If its confidence, the mean margin p1 - p2 of its tokens, is below τ, its whole text is
discarded and the large model writes it again (as in arXiv 2605.18796; the bound is ours, fitted to the demo pair). So
is a text that came to no end within its tokens. Nothing is decided before, so that the small model's text cannot be
streamed while it is written. In a text that is taken up it judges, and replaces, only what follows.
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from baton_reasoning.core.thinking.events import TokenWritten
from baton_reasoning.core.thinking.policy import Needs, Policy, PolicyArm, PolicySettings
from baton_reasoning.core.thinking.reasons import TakeoverReason
from baton_reasoning.core.thinking.requests import WITHOUT_END, Measure, Program, TakeOver, Until, Write
from baton_reasoning.core.thinking.text import Text

ASKED = "asked"
"""Counts whether the large model was asked to solve the problem."""
UNSURE_ANSWER = TakeoverReason("unsure answer", "Solved afresh by the large model", capped=False)
UNSURE_REST = TakeoverReason("unsure rest", "Continued by the large model", capped=False)
"""In a text that was taken up."""


class Cascade(Policy):
    name = "cascade"
    title = "Cascade"
    summary = "The small model answers alone; if it was unsure, the large one solves the problem afresh."
    needs = Needs(alternatives=2)
    is_control = True
    in_answer = True
    stops_repetition = False
    reasons = (UNSURE_ANSWER, UNSURE_REST)
    main_parameters = ("tau",)

    class Settings(PolicySettings):
        policy: Literal["cascade"] = "cascade"
        tau: float = Field(
            0.97,
            ge=0,
            le=1,
            title="Sure from (τ)",
            description="Mean of p1 − p2 over the small model's tokens, from which its answer stands.",
        )

    arms = (PolicyArm("cascade", Settings()),)
    counts = (ASKED,)
    settings: Settings

    def think(self, text: Text) -> Program:
        reason, unsure = UNSURE_REST if text.position else UNSURE_ANSWER, None
        if not self.counters[ASKED]:
            draft = yield from Write(Until.TOKENS, waits=True)
            confidence = sum(map(margin, draft.tokens)) / max(1, len(draft.tokens))
            if confidence < self.settings.tau:
                unsure = Measure("confidence", confidence, self.settings.tau)
            elif draft.text_ended:
                return
            self.counters[ASKED] = 1
        yield from TakeOver(WITHOUT_END, reason, measure=unsure)


def margin(token: TokenWritten) -> float:
    """Return p1 - p2 of the two likeliest tokens at its place, 0 to 1; 0 if they are not known."""
    first, *others = [math.exp(other.logprob) for other in token.alternatives] or [0.0]
    return first - (others[0] if others else 0.0)
