"""The schedules of two other published methods, executable: written from docs/method.md alone.

GlimpRouter (first-token entropy) and SpecReason (step score); compared with the program in test_others.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import islice

from core.engines.body import Author
from tests.core.thinking.oracles.authors import Decision, boundaries
from tests.core.thinking.oracles.worlds import World
from tests.fakes.scripted import THINK


@dataclass
class Steps:
    """What both schedules share: a text of steps, by two writers."""

    world: World
    cap: int
    text: str = ""
    decisions: list[Decision] = field(default_factory=list)
    over: bool = False
    writer: Author = Author.SMALL
    """Of the last step: the model that closes the thinking writes the answer."""

    @property
    def thinking(self) -> bool:
        return not (self.world.tagged and THINK.closing in self.text)

    def write_step(self, author: Author, limit: int) -> None:
        """To a boundary, the end of the thinking, the end of the text, or `limit` tokens."""
        was_thinking, self.writer = self.thinking, author
        for token in islice(self.world.tokens(author, self.text), limit):
            before = boundaries(self.text)
            self.text += token
            if (boundaries(self.text) > before and was_thinking) or self.thinking is not was_thinking:
                return
        self.over = self.world.next_token(author, self.text) is None

    def finish(self, author: Author) -> None:
        """The answer, or whatever is left of the text."""
        self.text += "".join(self.world.tokens(author, self.text))
        self.over = True

    def take_over(self, reason: str, limit: int) -> None:
        self.decisions.append(Decision(reason, len(self.text)))
        self.write_step(Author.LARGE, limit)


class Glimpse(Steps):
    """The entropy of the first token of each step decides who writes it."""

    def run(self, tau: float) -> Glimpse:
        while not self.over:
            if not self.thinking:
                self.decisions.append(Decision("answer", len(self.text)))
                self.finish(Author.LARGE)
                return self
            if self.first_token_entropy() >= tau:
                self.take_over("first-token entropy", self.cap)
            else:
                self.write_step(Author.SMALL, self.cap)
        return self

    def first_token_entropy(self) -> float:
        """Of the first token that is not white space; 0 where the small model writes none before a boundary."""
        body = self.text
        for token in self.world.tokens(Author.SMALL, self.text):
            if token.strip():
                chances = self.world.chances(body)
                return -sum(p / sum(chances) * math.log(p / sum(chances)) for p in chances)
            before, body = boundaries(body), body + token
            if boundaries(body) > before:
                return 0.0
        return 0.0


class Scoring(Steps):
    """The large model scores each step of the small one, and rewrites what scores below the threshold."""

    scores: list[int]

    def run(self, threshold: int) -> Scoring:
        self.scores = []
        while not self.over:
            if not self.thinking:
                if self.writer is Author.LARGE:
                    self.decisions.append(Decision("answer", len(self.text)))
                self.finish(self.writer)
                return self
            start = len(self.text)
            self.write_step(Author.SMALL, self.cap)
            if self.over:
                return self
            self.scores.append(self.world.digit(self.text))
            if self.scores[-1] < threshold:
                self.text = self.text[:start]
                self.take_over("low step score", self.cap)
        return self
