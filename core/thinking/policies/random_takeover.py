"""Takes over by chance: the control that every claim about *where* the large model writes needs.

With p set so that the large share equals another run's, the difference between the two is the merit of its policy.
"""

from __future__ import annotations

import random
from enum import Enum
from typing import Literal

from pydantic import Field

from baton_reasoning.core.thinking.cue_rules import Scope
from baton_reasoning.core.thinking.policy import Policy, PolicyArm, PolicyContext, PolicySettings
from baton_reasoning.core.thinking.reasons import TakeoverReason
from baton_reasoning.core.thinking.requests import NEXT_TOKEN, Accept, Measure, Program, TakeOver, Until, Write
from baton_reasoning.core.thinking.text import Text

RANDOM = TakeoverReason("random", "Drawn by chance")


class DrawnAt(Enum):
    """Where it draws."""

    STEP = "step"
    TOKEN = "token"
    """At each token of the small model; the one that is drawn is replaced, as in `token-entropy`."""


class RandomTakeover(Policy):
    name = "random"
    title = "Random"
    summary = "The large model writes at places drawn by chance: the control for every other policy."
    is_control = True
    reasons = (RANDOM,)

    class Settings(PolicySettings):
        policy: Literal["random"] = "random"
        p: float = Field(0.2, ge=0, le=1, title="Chance", description="Of a takeover at each place.")
        places: DrawnAt = Field(
            DrawnAt.STEP, title="DrawnAt", description="The ends of steps, or all tokens of the small model."
        )
        n1: int = Field(20, ge=1, title="Takeover", description="Tokens of a takeover (n1).")
        until: Until = Field(Until.SENTENCE, title="Takeover ends", description="Where, once it has its tokens.")
        scope: Scope = Field(Scope.THINKING, title="Scope", description="Thinking only, or the answer as well.")

        def with_chance(self, chance: float) -> PolicySettings:
            return self.model_copy(update={"p": chance})

    arms = (
        PolicyArm("random", Settings(), equal_share_of="baton"),
        PolicyArm("random-as-relay", Settings(n1=512, until=Until.STEP), equal_share_of="relay"),
        PolicyArm("random-as-every-step", Settings(), equal_share_of="every-step"),
        PolicyArm("random-as-token-entropy", Settings(), equal_share_of="token-entropy"),
        PolicyArm(
            "random-tokens-as-token-entropy",
            Settings(places=DrawnAt.TOKEN, n1=1, until=Until.TOKENS, scope=Scope.ALL),
            equal_share_of="token-entropy",
        ),
        PolicyArm(
            "random-spans-as-token-entropy",
            Settings(places=DrawnAt.TOKEN, until=Until.TOKENS, scope=Scope.ALL),
            equal_share_of="token-entropy",
        ),
    )
    main_parameters = ("p", "places", "n1")
    settings: Settings

    def __init__(self, settings: PolicySettings | None = None, context: PolicyContext | None = None) -> None:
        super().__init__(settings, context)
        self.in_answer = self.settings.scope is Scope.ALL
        self.hands_back_empty = self.settings.places is DrawnAt.STEP

    def think(self, text: Text) -> Program:
        at_tokens = self.settings.places is DrawnAt.TOKEN
        while True:
            written = yield from NEXT_TOKEN if at_tokens else Write()
            # Each place of the text has its own draw, wherever a run began.
            place = written.start if at_tokens else text.position
            draw = Measure("draw", random.Random(f"{self.context.seed} {place}").random(), self.settings.p)
            if draw.value < draw.limit and not written.text_ended:
                yield from TakeOver(self.settings.n1, RANDOM, until=self.settings.until, measure=draw)
            if at_tokens:
                yield from Accept()
