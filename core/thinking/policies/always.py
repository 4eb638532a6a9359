"""Lets the large model write everything: the control at large share 1."""

from __future__ import annotations

from typing import Literal

from baton_reasoning.core.thinking.policy import Needs, Policy, PolicyArm, PolicySettings
from baton_reasoning.core.thinking.reasons import LARGE_ONLY
from baton_reasoning.core.thinking.requests import WITHOUT_END, Program, TakeOver
from baton_reasoning.core.thinking.text import Text


class Always(Policy):
    name = "always"
    title = "Large only"
    summary = "The large model writes everything."
    needs = Needs(small=False)
    is_control = True
    in_answer = True
    stops_repetition = False

    class Settings(PolicySettings):
        policy: Literal["always"] = "always"

    arms = (PolicyArm("large", Settings()),)

    def think(self, text: Text) -> Program:
        while True:
            yield from TakeOver(WITHOUT_END, LARGE_ONLY)
