"""Takeover by chance: the control that every claim about *where* the large model writes needs.

With p set so that the large share equals another run's, the difference to that run is the policy's merit.
"""

from __future__ import annotations

import random

from core.thinking.events import Rule
from core.thinking.policy import Keep, Move, Policy, TakeOver, Until, View


class RandomTakeover(Policy):
    name = "random"

    def __init__(self, p: float, tokens: int, until: Until, seed: int) -> None:
        """`p`: chance of a takeover at a boundary of the thinking; `tokens`, `until`: as in the run compared.

        The dice are cast for each place of the text, so that one gone on with meets others than it met before.
        """
        self.p = p
        self.tokens = tokens
        self.until = until
        self.seed = seed

    def at_boundary(self, view: View) -> Move:
        if view.thinking and random.Random(f"{self.seed} {len(view.body)}").random() < self.p:
            return TakeOver(self.tokens, Rule.RANDOM, until=self.until)
        return Keep()
