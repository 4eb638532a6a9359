"""Takes over by chance: the control that every claim about *where* the large model writes needs.

With p set so that the large share equals another run's, the difference between the two is the merit of its policy.
"""

from __future__ import annotations

import random
from typing import Literal

from pydantic import Field

from baton_reasoning.core.thinking.policy import Policy, PolicyArm, PolicySettings
from baton_reasoning.core.thinking.reasons import TakeoverReason
from baton_reasoning.core.thinking.requests import Measure, Program, TakeOver, Until, Write
from baton_reasoning.core.thinking.text import Text

RANDOM = TakeoverReason("random", "Drawn by chance")


class RandomTakeover(Policy):
    name = "random"
    title = "Random"
    summary = "The large model writes at places drawn by chance: the control for every other policy."
    is_control = True
    reasons = (RANDOM,)

    class Settings(PolicySettings):
        policy: Literal["random"] = "random"
        p: float = Field(0.2, ge=0, le=1, title="Chance", description="Of a takeover at a boundary.")
        n1: int = Field(20, ge=1, title="Takeover", description="Tokens of a takeover (n1).")
        until: Until = Field(Until.SENTENCE, title="Takeover ends", description="Where, once it has its tokens.")

        def with_chance(self, chance: float) -> PolicySettings:
            return self.model_copy(update={"p": chance})

    arms = (
        PolicyArm("random", Settings(), equal_share_of="baton"),
        PolicyArm("random-as-relay", Settings(n1=512, until=Until.STEP), equal_share_of="relay"),
        PolicyArm("random-as-every-step", Settings(), equal_share_of="every-step"),
        PolicyArm("random-as-token-entropy", Settings(), equal_share_of="token-entropy"),
    )
    settings: Settings

    def think(self, text: Text) -> Program:
        while True:
            yield from Write()
            # Each place of the text has its own draw, wherever a run began.
            drawn = random.Random(f"{self.context.seed} {text.position}").random()
            draw = Measure("draw", drawn, self.settings.p)
            if draw.value < draw.limit:
                yield from TakeOver(self.settings.n1, RANDOM, until=self.settings.until, measure=draw)
