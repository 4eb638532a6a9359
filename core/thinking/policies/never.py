"""Lets the small model write everything: the control at large share 0."""

from __future__ import annotations

from typing import Literal

from baton_reasoning.core.thinking.policy import Needs, Policy, PolicyArm, PolicySettings


class Never(Policy):
    name = "never"
    title = "Small only"
    summary = "The small model writes everything."
    needs = Needs(large=False)
    is_control = True
    stops_repetition = False

    class Settings(PolicySettings):
        policy: Literal["never"] = "never"

    arms = (PolicyArm("small", Settings()),)
