"""Lets the large model write everything: the control at large share 1."""

from __future__ import annotations

from typing import Literal

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.policy import (
    WITHOUT_END,
    Move,
    Needs,
    Policy,
    PolicyArm,
    PolicySettings,
    View,
    keep,
    take_over,
)
from baton_reasoning.core.thinking.reasons import LARGE_ONLY


class Always(Policy):
    name = "always"
    title = "Large only"
    summary = "The large model writes everything."
    needs = Needs(small=False)
    is_control = True
    rewrites = False
    stops_repetition = False

    class Settings(PolicySettings):
        policy: Literal["always"] = "always"

    arms = (PolicyArm("large", Settings()),)

    def opening(self, view: View) -> Move:
        return take_over(WITHOUT_END, LARGE_ONLY)

    def on_takeover_end(self, view: View) -> Move:
        return take_over(WITHOUT_END, LARGE_ONLY)

    def on_thinking_closed(self, view: View) -> Move:
        """Go on in one unbroken write, unless the closing tag was inserted."""
        return keep() if view.author is Author.LARGE else take_over(WITHOUT_END, LARGE_ONLY)
