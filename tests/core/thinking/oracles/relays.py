"""RelayGen's schedule, executable, in Baton's form and as its code has it: written from docs/method.md alone.

The large model writes; after a cue the small one does, to the end of the sentence. Compared in test_relays.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import islice

from baton_reasoning.core.engines.body import Author
from tests.core.thinking.oracles.authors import NEGATIVE, POSITIVE, Decision, boundaries, words_in
from tests.core.thinking.oracles.worlds import World
from tests.fakes.scripted import THINK

PUBLISHED_CUES = (
    *("Wait", "Thus", "thus", "similarly", "Again,", "Now", "Therefore", "hence", "Hence,", "Now,", "Thus,", "Oh,"),
    *("Similarly,", "Any", "Therefore,", "Alternatively,", "now,", "So,", "now", "verify", "Specifically,"),
    *("Alternatively", "Ah,", "wait", "So "),
)
LEAST = 5
"""Tokens of the large model before a cue counts."""


@dataclass
class Relayed:
    """One run in a world whose models end their text in the answer only."""

    world: World
    cap: int
    text: str = ""
    decisions: list[Decision] = field(default_factory=list)

    def run(self) -> Relayed:
        while THINK.closing not in self.text:
            if self.large_writes_to_a_cue():
                self.decisions.append(Decision("easy sentence", len(self.text)))
                self.small_ends_the_sentence()
        self.decisions.append(Decision("answer", len(self.text)))
        self.text += "".join(self.world.tokens(Author.SMALL, self.text))
        return self

    def large_writes_to_a_cue(self) -> bool:
        """Tell whether there was one before the end of the thinking. A word at the very end may still grow."""
        start = len(self.text)
        for token in self.world.tokens(Author.LARGE, self.text):
            before, self.text = self.text, self.text + token
            if THINK.closing in self.text:
                return False
            sentence = self.text[start:]
            if ends_sentence(sentence) or boundaries(self.text) > boundaries(before):
                start = len(self.text)
            elif words_in(sentence + "x", NEGATIVE + POSITIVE):
                return True
        raise AssertionError("the large model ended its text in the thinking")

    def small_ends_the_sentence(self) -> None:
        start = len(self.text)
        for token in islice(self.world.tokens(Author.SMALL, self.text), self.cap):
            before, self.text = self.text, self.text + token
            if THINK.closing in token:
                return
            if self.text[start:].strip() and (ends_sentence(self.text) or boundaries(self.text) > boundaries(before)):
                return


class PublishedRelay(Relayed):
    """As RelayGen's code, except that a token stays whole."""

    def large_writes_to_a_cue(self) -> bool:
        start = len(self.text)
        for count, token in enumerate(self.world.tokens(Author.LARGE, self.text), 1):
            before, self.text = self.text, self.text + token
            if THINK.closing in self.text:
                return False
            if count > LEAST and (cut := end_of_cue(self.text[start:], len(before) - start)):
                if not self.text[len(before) : start + cut].strip() and start + cut < len(self.text):
                    self.text = before
                return True
        raise AssertionError("the large model ended its text in the thinking")

    def small_ends_the_sentence(self) -> None:
        start = len(self.text)
        for token in islice(self.world.tokens(Author.SMALL, self.text), self.cap):
            before, self.text = self.text, self.text + token
            if THINK.closing in token or any(mark in token for mark in ".!?"):
                return
            if boundaries(self.text[start - 1 :]) > boundaries(before[start - 1 :]):
                return


def end_of_cue(text: str, known: int) -> int:
    """Return where the first cue ends of those that end after `known` characters; 0 if there is none."""
    ends = [text.find(cue, max(0, known - len(cue) + 1)) + len(cue) for cue in PUBLISHED_CUES]
    found = [end for end, cue in zip(ends, PUBLISHED_CUES, strict=True) if end >= len(cue) and end > known]
    return min(found, default=0)


def ends_sentence(text: str) -> bool:
    """At a line's end, or at a full stop. After a digit it may be a decimal point, unless white space follows."""
    return bool(text.strip() and re.search(r"\n\s*$|[^\s\d]\.$|\.\s+$", text))
