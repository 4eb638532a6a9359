"""Takes over by chance: the control that every claim about *where* the large model writes needs.

With p set so that the large share equals another run's, the difference between the two is the merit of its policy. It
draws where that policy decides: at the end of each step or, also in the answer, for each token of the small model.
"""

from __future__ import annotations

import random
from enum import Enum
from typing import Literal

from pydantic import Field

from baton_reasoning.core.thinking.policy import Policy, PolicyArm, PolicyContext, PolicySettings
from baton_reasoning.core.thinking.reasons import TakeoverReason
from baton_reasoning.core.thinking.requests import NEXT_TOKEN, Accept, Measure, Program, TakeOver, Until, Write
from baton_reasoning.core.thinking.text import Text

RANDOM = TakeoverReason("random", "Drawn by chance")


class Place(Enum):
    """Where it is drawn whether the large model takes over."""

    STEP = "step"
    TOKEN = "token"


class RandomTakeover(Policy):
    name = "random"
    title = "Random"
    summary = "The large model writes at places drawn by chance: the control for every other policy."
    is_control = True
    reasons = (RANDOM,)

    class Settings(PolicySettings):
        policy: Literal["random"] = "random"
        at: Place = Field(Place.STEP, title="Drawn at", description="The end of each step, or each token.")
        p: float = Field(0.2, ge=0, le=1, title="Chance", description="Of a takeover, at each draw.")
        n1: int = Field(20, ge=1, title="Takeover", description="Tokens of a takeover (n1).")
        until: Until = Field(Until.SENTENCE, title="Takeover ends", description="Where, once it has its tokens.")

        def with_chance(self, chance: float) -> PolicySettings:
            return self.model_copy(update={"p": chance})

    arms = (
        PolicyArm("random", Settings(), equal_share_of="baton"),
        PolicyArm("random-as-relay", Settings(n1=512, until=Until.STEP), equal_share_of="relay"),
        PolicyArm("random-as-every-step", Settings(), equal_share_of="every-step"),
        PolicyArm(
            "random-as-token-entropy",
            Settings(at=Place.TOKEN, n1=1, until=Until.TOKENS),
            equal_share_of="token-entropy",
        ),
        PolicyArm(
            "random-spans-as-token-entropy",
            Settings(at=Place.TOKEN, n1=20, until=Until.TOKENS),
            equal_share_of="token-entropy",
        ),
    )
    settings: Settings

    def __init__(self, settings: PolicySettings | None = None, context: PolicyContext | None = None) -> None:
        super().__init__(settings, context)
        self.in_answer = self.settings.at is Place.TOKEN
        self.hands_back_empty = not self.in_answer

    def think(self, text: Text) -> Program:
        settings = self.settings
        while True:
            written = yield from NEXT_TOKEN if self.in_answer else Write()
            # Each place of the text has its own draw, wherever a run began.
            drawn = random.Random(f"{self.context.seed} {text.position}").random()
            draw = Measure("draw", drawn, settings.p)
            if draw.value < draw.limit and not written.text_ended:
                yield from TakeOver(settings.n1, RANDOM, until=settings.until, measure=draw)
            if self.in_answer:
                yield from Accept()
