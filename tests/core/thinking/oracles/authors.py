"""The paper's schedule, executable: written from docs/method.md alone, with none of the program's loop or policies.

One function, straight down, over models that give their next token. What it returns is compared with the presets
`reference` and `paper` (test_authors.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import accumulate, islice
from typing import NamedTuple

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.cues import Category
from tests.core.thinking.oracles.worlds import ENGLISH, World

NEGATIVE = ENGLISH[Category.REFLECTION] + ENGLISH[Category.VERIFICATION]
POSITIVE = ENGLISH[Category.AFFIRMATION]
VERIFYING = ENGLISH[Category.VERIFICATION]
BOUNDARY = re.compile(r"(?<=\S)[ \t\r]*\n[ \t\r]*\n")


class Settings(NamedTuple):
    """The authors' configuration; lengths in tokens."""

    n1: int = 20
    n2: int = 125
    n3: int = 125
    n3_step: int = 25
    n3_most: int = 200
    c: int = 15
    c_step: int = 5
    c_most: int = 30
    opening: int = 0
    not_reasoning: bool = False
    """§4.2: after every boundary the large model writes the next sentence, without classification."""
    auxiliary_prompt: str = "Let me check whether there are some wrong steps:"
    as_in_paper: bool = False
    """Cues are words, and count once where they overlap; a lookahead without a cue stays."""


class Decision(NamedTuple):
    reason: str
    position: int
    """Characters of the text before the takeover."""


@dataclass
class Schedule:
    """One run."""

    world: World
    settings: Settings
    text: str = ""
    decisions: list[Decision] = field(default_factory=list)
    negative_sentences: list[int] = field(default_factory=list)
    """The counter after each sentence that was counted, and after each firing of rule 3."""
    spans: list[tuple[Author, str]] = field(default_factory=list)
    count: int = 0
    c: int = 0
    n3: int = 0
    over: bool = False

    def run(self) -> Schedule:
        settings = self.settings
        self.c, self.n3 = settings.c, settings.n3
        if settings.opening:
            self.take_over("opening", settings.opening)
        while not self.over:
            self.write_step()
            if not self.over:
                self.decide()
        return self

    def decide(self) -> None:
        settings = self.settings
        if self.count >= self.c:
            self.append(Author.INSERTED, settings.auxiliary_prompt)
            self.take_over("excessive reflection", self.n3)
            self.set_count(0)
            self.c = min(self.c + settings.c_step, settings.c_most)
            self.n3 = min(self.n3 + settings.n3_step, settings.n3_most)
        elif settings.not_reasoning:
            self.sentence_stands(self.take_over("every step", settings.n1))
        else:
            tokens = list(islice(self.world.tokens(Author.SMALL, self.text), settings.n1))
            lookahead = "".join(tokens)
            if (sign := self.sign_of(lookahead)) != "statement":
                self.sentence_stands(self.take_over(sign, settings.n1))
            elif settings.as_in_paper:
                self.keep(tokens)

    def keep(self, lookahead: list[str]) -> None:
        """Let the small model go on from its lookahead; the last boundary in it is decided after it."""
        found = [boundaries(text) for text in accumulate([self.text, *lookahead])]
        if found[-1] == found[0]:
            self.append(Author.SMALL, "".join(lookahead))
        else:
            self.append(Author.SMALL, "".join(lookahead[: found.index(found[-1])]))
            self.decide()

    def sentence_stands(self, sentence: str) -> None:
        """After a takeover at a cue, or of a step: count the sentence by its own sign, then rule 2."""
        if self.over:
            return
        if self.sign_of(sentence) == "reflection":
            self.set_count(self.count + 1)
        if self.count_of(VERIFYING, sentence):
            self.take_over("verification", self.settings.n2)

    def write_step(self) -> None:
        """The small model writes until it has completed a boundary, or to its end."""
        for token in self.world.tokens(Author.SMALL, self.text):
            before = boundaries(self.text)
            self.append(Author.SMALL, token)
            if boundaries(self.text) > before:
                return
        self.over = True

    def take_over(self, reason: str, tokens: int) -> str:
        self.decisions.append(Decision(reason, len(self.text)))
        start, written = len(self.text), 0
        for token in islice(self.world.tokens(Author.LARGE, self.text), tokens):
            self.append(Author.LARGE, token)
            written += 1
        self.over = written < tokens
        return self.text[start:]

    def append(self, author: Author, text: str) -> None:
        self.text += text
        self.spans.append((author, text))

    def set_count(self, count: int) -> None:
        self.count = count
        self.negative_sentences.append(count)

    def sign_of(self, text: str) -> str:
        """By the majority of cues; a tie is a reflection."""
        negative, positive = self.count_of(NEGATIVE, text), self.count_of(POSITIVE, text)
        if not negative and not positive:
            return "statement"
        return "affirmation" if positive > negative else "reflection"

    def count_of(self, cues: tuple[str, ...], text: str) -> int:
        return len(words_in(text, cues)) if self.settings.as_in_paper else substrings_in(text, cues)


def boundaries(text: str) -> int:
    return len(BOUNDARY.findall(text))


def words_in(text: str, words: tuple[str, ...]) -> list[str]:
    return re.findall(rf"\b(?:{'|'.join(map(re.escape, words))})\b", text, re.IGNORECASE)


def substrings_in(text: str, words: tuple[str, ...]) -> int:
    return sum(text.lower().count(word) for word in set(words))
