"""Compares both models' next words now and then, and lets the small one choose (MentorCollab-free, arXiv 2602.05307).

At 4% of the words, drawn by chance, the large model's next word is compared with the small one's. If they differ, each
model tries 16 tokens, and the small model is asked which of both could lead to the correct answer. If it chooses the
large model's, that stands. Words are compared by their first tokens here.
"""

from __future__ import annotations

import random
from typing import Literal

from pydantic import Field

from baton_reasoning.core.engines.base import Judgement
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.events import Tried
from baton_reasoning.core.thinking.policy import (
    Judge,
    Move,
    Needs,
    Policy,
    PolicyArm,
    PolicyContext,
    PolicySettings,
    Trial,
    View,
    look_on,
    take_over,
)
from baton_reasoning.core.thinking.reasons import TakeoverReason

MENTOR = TakeoverReason("mentor", "Chosen by the small model")
QUESTION = (
    "\n\nTwo continuations of the reasoning above:\nA:{small}\nB:{large}\n"
    "Which of them could lead to the correct answer? Reply with A or B: "
)


class Mentor(Policy):
    name = "mentor"
    title = "Mentor"
    summary = "Now and then both models try to go on, and the small one chooses the better attempt."
    needs = Needs(judge_small=True)
    reasons = (MENTOR,)

    class Settings(PolicySettings):
        policy: Literal["mentor"] = "mentor"
        chance: float = Field(0.04, ge=0, le=1, title="Chance", description="Of a comparison at a word.")
        tokens: int = Field(16, ge=1, title="Tokens", description="Of each attempt.")

    arms = (PolicyArm("mentor", Settings()),)
    settings: Settings

    def __init__(self, settings: PolicySettings | None = None, context: PolicyContext | None = None) -> None:
        super().__init__(settings, context)
        self._start = 0
        """Where both attempts begin."""
        self._word = self._by_large = ""
        """The small model's first token there, and the large model's attempt."""

    def opening(self, view: View) -> Move:
        return look_on(settles=True)

    def at_boundary(self, view: View) -> Move:
        return look_on(settles=True)

    def on_lookahead(self, view: View) -> Move:
        """Ask the large model at some words, each with its own draw, wherever a run began."""
        draw = random.Random(f"{self.context.seed} {view.start}").random()
        if not view.thinking or not view.text[:1].isspace() or not view.text.strip() or draw >= self.settings.chance:
            return look_on(settles=True)
        self._start, self._word = view.start, view.text
        return Trial(self.settings.tokens, Author.LARGE, start=view.start)

    def on_trial(self, view: View, tried: Tried) -> Move:
        if tried.author is Author.LARGE:
            self._by_large = tried.text
            if self._by_large.strip().startswith(self._word.strip()):
                return look_on(settles=True)
            return Trial(max(1, self.settings.tokens - 1), Author.SMALL)
        by_small = self._word + tried.text
        return Judge(QUESTION.format(small=by_small, large=self._by_large), ("A", "B"), Author.SMALL)

    def on_judgement(self, view: View, judgement: Judgement) -> Move:
        small, large = judgement.probabilities
        if large > small:
            return take_over(self.settings.tokens, MENTOR, rewrite_from=self._start)
        return look_on(settles=True)

    def on_takeover_end(self, view: View) -> Move:
        return look_on(settles=True)

    def on_thinking_closed(self, view: View) -> Move:
        return look_on(settles=True)
