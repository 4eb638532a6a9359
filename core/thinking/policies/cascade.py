"""Lets the large model solve afresh what the small one was unsure of: the control that a finer method must beat.

The small model answers alone. If its confidence, the mean margin p1 - p2 of its tokens, is below τ, its whole text is
discarded and the large model writes it again (as in arXiv 2605.18796; the bound is ours, fitted to the demo pair). So
is a text that came to no end within its tokens. Nothing is decided before, so that the small model's text cannot be
streamed while it is written.
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from baton_reasoning.core.thinking.events import Finish, TokenWritten
from baton_reasoning.core.thinking.policy import (
    WITHOUT_END,
    Move,
    Needs,
    Policy,
    PolicyArm,
    PolicyContext,
    PolicySettings,
    View,
    look_on,
    take_over,
)
from baton_reasoning.core.thinking.reasons import TakeoverReason

UNSURE_ANSWER = TakeoverReason("unsure answer", "Solved afresh by the large model", capped=False)


class Cascade(Policy):
    name = "cascade"
    title = "Cascade"
    summary = "The small model answers alone; if it was unsure, the large one solves the problem afresh."
    needs = Needs(alternatives=2)
    is_control = True
    rewrites = False
    answers_again = True
    stops_repetition = False
    reasons = (UNSURE_ANSWER,)
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
    settings: Settings

    def __init__(self, settings: PolicySettings | None = None, context: PolicyContext | None = None) -> None:
        super().__init__(settings, context)
        self._margins: list[float] = []
        """p1 - p2 of each token of the small model."""
        self._asked = False
        """Whether the large model was asked."""

    def opening(self, view: View) -> Move:
        return look_on(settles=True)

    def at_boundary(self, view: View) -> Move:
        self._margins += map(margin, view.tokens)
        return look_on(settles=True)

    def on_lookahead(self, view: View) -> Move:
        """Count each token at once: a limit may end the write before the next boundary."""
        if not view.text_ended:  # else `at_end` counts what is left
            self._margins += map(margin, view.tokens)
        return look_on(settles=True)

    def on_takeover_end(self, view: View) -> Move:
        return look_on(settles=True)

    def at_end(self, view: View, finish: Finish) -> Move | None:
        if self._asked:
            return None
        self._margins += map(margin, view.tokens)
        confidence = sum(self._margins) / max(1, len(self._margins))
        if finish is Finish.END_OF_TEXT and confidence >= self.settings.tau:
            return None
        self._asked = True
        return take_over(WITHOUT_END, UNSURE_ANSWER, rewrite_from=0)

    def on_thinking_closed(self, view: View) -> Move:
        """Go on in one unbroken write, unless a closing tag was inserted for the large model."""
        is_inserted = self._asked and not view.author.is_model
        return take_over(WITHOUT_END, UNSURE_ANSWER) if is_inserted else look_on(settles=True)


def margin(token: TokenWritten) -> float:
    """Return p1 - p2 of the two likeliest tokens at its place, 0 to 1; 0 if they are not known."""
    first, *others = [math.exp(other.logprob) for other in token.alternatives] or [0.0]
    return first - (others[0] if others else 0.0)
