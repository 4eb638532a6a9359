"""Lets the large model rewrite each step of the small one that lowers the value of the text: for analysis only.

The value is the chance that a model alone gets the answer right from there, estimated by continuations; so the policy
needs the expected answer. By default the large model writes them: where the small one alone has no chance from the
start, none of its steps can lower it. It is the upper bound of what the placement of takeovers can achieve (a greedy
one: a step at a time), as `random` at an equal share is the lower one. A rewritten step stands even if it is no better.
The step that closes the thinking is judged, too. The continuations count neither as tokens of the answer nor as a cost
of it, but the run waits for them.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.policy import (
    LAST_STEP,
    Move,
    Needs,
    Policy,
    PolicyArm,
    PolicySettings,
    Until,
    Value,
    View,
    keep,
    take_over,
)
from baton_reasoning.core.thinking.reasons import TakeoverReason

LOST_VALUE = TakeoverReason("lost value", "Lowered the value")


class Oracle(Policy):
    name = "oracle"
    title = "Oracle (analysis only)"
    summary = "The large model rewrites steps that lower the chance of the expected answer: an upper bound."
    needs = Needs(expected_answer=True)
    is_control = True
    reasons = (LOST_VALUE,)

    class Settings(PolicySettings):
        policy: Literal["oracle"] = "oracle"
        delta: float = Field(
            0.2, ge=0, le=1, title="Least loss (δ)", description="A step that lowers the value by more is rewritten."
        )
        continuations: int = Field(16, ge=1, title="Continuations (K)", description="Written to estimate a value.")
        by_small: bool = Field(
            False, title="Values of the small model", description="It writes the continuations, not the large one."
        )
        step_cap: int = Field(512, ge=1, title="Step cap", description="Tokens of a rewritten step.")

    arms = (PolicyArm("oracle", Settings()),)
    settings: Settings

    _value: float | None = None
    """Of the text that stands; None if it is not known."""
    _may_rewrite = False
    """Whether the value under way follows a step of the small model."""

    def opening(self, view: View) -> Move:
        return self._estimate(may_rewrite=False)

    def at_boundary(self, view: View) -> Move:
        return self._estimate(may_rewrite=True) if view.thinking else keep()

    def on_thinking_closed(self, view: View) -> Move:
        if view.author is self.default_writer:
            return self._estimate(may_rewrite=True)
        return super().on_thinking_closed(view)

    def on_takeover_end(self, view: View) -> Move:
        return self._estimate(may_rewrite=False) if view.thinking else keep()

    def on_value(self, view: View, right: int, total: int) -> Move:
        before, self._value = self._value, right / total if total else None
        if not self._may_rewrite or before is None or self._value is None:
            return keep()
        if before - self._value <= self.settings.delta:
            return keep()
        return take_over(self.settings.step_cap, LOST_VALUE, until=Until.STEP, rewrite_from=LAST_STEP)

    def _estimate(self, *, may_rewrite: bool) -> Move:
        self._may_rewrite = may_rewrite
        return Value(self.settings.continuations, Author.SMALL if self.settings.by_small else Author.LARGE)
