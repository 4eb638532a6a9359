"""Stands for the policy that follows the pair of models: `core/thinking/automatic.py` says which one that is.

No run has it: it is replaced before the first token, once the pair is open (`with_policy` there).
"""

from __future__ import annotations

from typing import Literal

from baton_reasoning.core.thinking.policy import Policy, PolicySettings


class Automatic(Policy):
    name = "automatic"
    title = "Automatic"
    summary = "The policy follows the pair: keywords if the small model was trained to reason, else where it is unsure."

    class Settings(PolicySettings):
        policy: Literal["automatic"] = "automatic"
