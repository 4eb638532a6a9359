"""Lets the large model write everything while the small one drafts for it: speculative decoding, as a control.

Every token is drawn from the large model's own distribution (Leviathan et al. 2023): drafts save time, and change
nothing in the text but near-ties.
"""

from __future__ import annotations

from typing import Literal

from baton_reasoning.core.thinking.policies.always import Always
from baton_reasoning.core.thinking.policy import Needs, PolicyArm, PolicySettings


class Drafted(Always):
    name = "drafted"
    title = "Large only, drafted"
    summary = "The large model writes everything; the small one drafts ahead of it, which saves time."
    needs = Needs(small=False, drafts=True)

    class Settings(PolicySettings):
        policy: Literal["drafted"] = "drafted"

    arms = (PolicyArm("drafted", Settings()),)
