"""The schedules of the other published methods, executable: written from docs/method.md alone.

GlimpRouter (first-token entropy), SpecReason (step score), TrigReason (triggers), ConfSpec (self-check) and agreement,
all of which decide about steps; compared with the program in test_others.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from baton_reasoning.core.engines.body import Author
from tests.core.thinking.oracles.authors import BOUNDARY, NEGATIVE, POSITIVE, Decision, boundaries, words_in
from tests.core.thinking.oracles.worlds import World
from tests.fakes.scripted import THINK, words


@dataclass
class Steps:
    """What all of them share: a text of steps, by two writers."""

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

    @property
    def repeats_step(self) -> bool:
        return self.repeats_one_of(2)

    def repeats_one_of(self, least: int) -> bool:
        steps = [step.strip() for step in BOUNDARY.split(self.text) if step.strip()]
        return len(steps) >= least and steps[-1] == steps[-2]

    def write_step(self, author: Author, limit: int = 0, tag_ends_step: bool = True) -> list[str]:
        """To a boundary, the end of the thinking, the end of the text, or `limit` tokens; returns the tokens."""
        start, was_thinking, self.writer = len(self.text), self.thinking, author
        written: list[str] = []
        for token in islice(self.world.tokens(author, self.text), limit or None):
            self.text += token
            written.append(token)
            if boundaries(self.text[start:]) and (was_thinking or not tag_ends_step):
                return written
            if tag_ends_step and self.thinking is not was_thinking:
                return written
        self.over = not limit or len(written) < limit
        return written

    def finish(self, author: Author) -> None:
        """The answer, or whatever is left of the text."""
        self.text += "".join(self.world.tokens(author, self.text))
        self.over = True

    def take_over(self, reason: str, tag_ends_step: bool = True) -> None:
        self.decisions.append(Decision(reason, len(self.text)))
        self.write_step(Author.LARGE, self.cap, tag_ends_step)

    def rewrite(self, reason: str, start: int, tag_ends_step: bool = True) -> None:
        self.text, self.over = self.text[:start], False
        self.take_over(reason, tag_ends_step)

    def answer(self, author: Author) -> None:
        if author is Author.LARGE:
            self.decisions.append(Decision("answer", len(self.text)))
        self.finish(author)


class Glimpse(Steps):
    """The entropy of the first token of each step decides who writes it."""

    def run(self, tau: float, as_published: bool = False) -> Glimpse:
        while not self.over and self.thinking:
            unsure = self.first_token_entropy(even_white_space=as_published) >= tau
            if unsure:
                self.take_over("first-token entropy")
            else:
                self.write_step(Author.SMALL, self.cap)
            if as_published and not self.over and self.thinking and self.repeats_one_of(3):
                if not self.world.tagged:
                    return self
                self.text += f"\n{THINK.closing}\n\n"
        if not self.over:
            self.answer(Author.LARGE)
        return self

    def first_token_entropy(self, even_white_space: bool) -> float:
        """0 where the small model writes no such token before a boundary."""
        body = self.text
        for token in self.world.tokens(Author.SMALL, self.text):
            if token.strip() or even_white_space:
                chances = self.world.chances(body)
                return -sum(p / sum(chances) * math.log(p / sum(chances)) for p in chances)
            body += token
            if boundaries(body[len(self.text) :]):
                return 0.0
        return 0.0


class Scoring(Steps):
    """The large model scores each step of the small one, and rewrites what scores below the threshold."""

    scores: list[int]

    def run(self, threshold: int) -> Scoring:
        self.scores = []
        while not self.over:
            if not self.thinking:
                self.answer(self.writer)
                return self
            start = len(self.text)
            self.write_step(Author.SMALL, self.cap)
            if self.over:
                return self
            self.scores.append(self.world.digit(self.text))
            if self.scores[-1] < threshold:
                self.rewrite("low step score", start)
            if not self.over and self.thinking and self.repeats_step:
                if not self.world.tagged:
                    return self
                self.text += f"\n{THINK.closing}\n\n"
                self.writer = Author.SMALL
        return self


class PublishedScoring(Steps):
    """As SpecReason's code: the whole text is judged, and the tag belongs to the paragraph that it begins."""

    def run(self, threshold: int) -> PublishedScoring:
        while True:
            start = len(self.text)
            self.write_step(Author.SMALL, self.cap, tag_ends_step=False)
            if self.over and not self.text[start:].strip():
                return self
            score = self.world.digit(self.text) if self.world.has_digit(self.text) else 0
            if score < threshold:
                self.rewrite("low step score", start, tag_ends_step=False)
                if self.over:
                    return self
            is_answer = any(mark in self.text[start:] for mark in ("boxed", "Answer:", "ANSWER:"))
            if is_answer or self.repeats_one_of(3):
                return self


class Bounds(NamedTuple):
    """The settings of TrigReason."""

    plan_steps: int = 2
    confidence: float = -0.3
    hesitations: int = 2


class Triggered(Steps):
    """The large model writes the plan, and where the small one is too sure or goes in circles."""

    def run(self, bounds: Bounds) -> Triggered:
        hesitating = 0
        planned = 0
        while planned < bounds.plan_steps and self.thinking and not self.over and self.helped("opening"):
            planned += 1
        while not self.over:
            if not self.thinking:
                self.answer(self.writer)
                return self
            start = len(self.text)
            tokens = self.write_step(Author.SMALL)
            if self.over or not self.thinking:
                continue
            hesitating = hesitating + 1 if hesitates(self.text[start:]) else 0
            if hesitating >= bounds.hesitations or self.repeats_step:
                hesitating = 0
                self.helped("unproductive loop")
            elif self.mean_logprob(start, tokens) > bounds.confidence:
                self.rewrite("overconfidence", start)
        return self

    def helped(self, reason: str) -> bool:
        """Tell whether the large model had anything to write. If not, the small one goes on."""
        start = len(self.text)
        self.take_over(reason)
        is_empty = len(self.text) == start
        self.over = self.over and not is_empty
        return not is_empty

    def mean_logprob(self, start: int, tokens: Iterable[str]) -> float:
        """Of the small model, which writes these tokens."""
        body, logprobs = self.text[:start], []
        for token in tokens:
            logprobs.append(math.log(self.world.chances(body)[0]))
            body += token
        return sum(logprobs) / len(logprobs)


class Checked(Steps):
    """Each step of the small model in the thinking is examined, and rewritten if it fails."""

    reason: str

    def run(self) -> Checked:
        while not self.over:
            if not self.thinking:
                self.answer(self.writer)
                return self
            start = len(self.text)
            self.write_step(Author.SMALL)
            if not self.over and self.thinking and not self.stands(start):
                self.rewrite(self.reason, start)
        return self

    def stands(self, start: int) -> bool:
        """Tell whether the step that begins there stays."""
        raise NotImplementedError


@dataclass
class SelfChecked(Checked):
    """The small model checks its own step; where it does not say yes, the large one scores it."""

    threshold: int = 7
    reason = "rejected"

    def stands(self, start: int) -> bool:
        small_says_yes = self.world.digit(self.text) % 6 < 3  # of six spellings, the first three
        return small_says_yes or self.world.digit(self.text) >= self.threshold


@dataclass
class Agreed(Checked):
    """The large model reads the step, and rewrites what it finds unlikely."""

    bound: float = -0.8
    reason = "disagreement"

    def stands(self, start: int) -> bool:
        body, logprobs = self.text[:start], []
        for token in words(self.text[start:]):
            logprobs.append(self.world.logprob(body, token.decode()))
            body += token.decode()
        return sum(logprobs) / len(logprobs) >= self.bound


def hesitates(step: str) -> bool:
    """By the majority of cues, which are words; a tie is a hesitation."""
    negative, positive = len(words_in(step, NEGATIVE)), len(words_in(step, POSITIVE))
    return negative > 0 and negative >= positive
