"""Lets one model write everything: the controls at large share 0 and 1.

With drafts (speculative decoding) every token is still drawn from the large model's own distribution (Leviathan et al.
2023): drafts save time, and change nothing in the text but near-ties.
"""

from __future__ import annotations

from typing import Literal

from baton_reasoning.core.thinking.policy import Needs, Policy, PolicyArm, PolicySettings
from baton_reasoning.core.thinking.reasons import LARGE_ONLY
from baton_reasoning.core.thinking.requests import WITHOUT_END, Program, TakeOver
from baton_reasoning.core.thinking.text import Text


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


class Drafted(Always):
    name = "drafted"
    title = "Large only, drafted"
    summary = "The large model writes everything; the small one drafts ahead of it, which saves time."
    needs = Needs(small=False, drafts=True)

    class Settings(PolicySettings):
        policy: Literal["drafted"] = "drafted"

    arms = (PolicyArm("drafted", Settings()),)
