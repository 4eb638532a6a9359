"""Compares both models' next words now and then, and lets the small one choose (MentorCollab-free, arXiv 2602.05307).

At 4% of the words, drawn by chance, the large model's next word is compared with the small one's. If they differ, each
model tries 16 tokens, and the small model is asked which of both could lead to the correct answer. If it chooses the
large model's, that stands. Words are compared by their first tokens here.
"""

from __future__ import annotations

import random
from typing import Literal

from pydantic import Field

from baton_reasoning.core.engines.abilities import Ability
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.policy import Needs, Policy, PolicyArm, PolicySettings
from baton_reasoning.core.thinking.reasons import TakeoverReason
from baton_reasoning.core.thinking.requests import NEXT_TOKEN, Accept, Judge, Measure, Program, TakeOver, Trial, Written
from baton_reasoning.core.thinking.text import Text

MENTOR = TakeoverReason("mentor", "Chosen by the small model")
QUESTION = (
    "\n\nTwo continuations of the reasoning above:\nA:{small}\nB:{large}\n"
    "Which of them could lead to the correct answer? Reply with A or B: "
)


class Mentor(Policy):
    name = "mentor"
    title = "Mentor"
    summary = "Now and then both models try to go on, and the small one chooses the better attempt."
    needs = Needs(of_small=frozenset({Ability.JUDGEMENTS}))
    reasons = (MENTOR,)

    class Settings(PolicySettings):
        policy: Literal["mentor"] = "mentor"
        chance: float = Field(0.04, ge=0, le=1, title="Chance", description="Of a comparison at a word.")
        tokens: int = Field(16, ge=1, title="Tokens", description="Of each attempt.")

    arms = (PolicyArm("mentor", Settings()),)
    settings: Settings

    def think(self, text: Text) -> Program:
        while True:
            word = yield from NEXT_TOKEN
            if self.is_compared(word):
                yield from self.compare(word)
            yield from Accept()

    def compare(self, word: Written) -> Program:
        """Let both models go on, and the small one choose, if the large one would have begun with another word."""
        tokens = self.settings.tokens
        large = yield from Trial(tokens, Author.LARGE, start=word.start)
        if not large.text.strip().startswith(word.text.strip()):
            small = yield from Trial(max(1, tokens - 1), Author.SMALL)
            question = QUESTION.format(small=word.text + small.text, large=large.text)
            judged = yield from Judge(question, ("A", "B"), Author.SMALL)
            by_small, by_large = judged.probabilities
            if by_large > by_small:
                yield from TakeOver(tokens, MENTOR, measure=Measure("preference", by_large, by_small))

    def is_compared(self, word: Written) -> bool:
        """Draw for the beginning of a word: each place of the text has its own draw, wherever a run began."""
        begins = word.text[:1].isspace() and not word.text.isspace() and not word.closed
        return begins and random.Random(f"{self.context.seed} {word.start}").random() < self.settings.chance
