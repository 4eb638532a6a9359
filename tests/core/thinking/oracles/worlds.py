"""Random worlds: two models whose next token follows from the text so far or, in a drawn world, from a random number.

Whatever a schedule discards or takes over, both models continue in the same way in any implementation of it, so that
decisions and text can be compared token by token. Tokens hold cues, words that only contain one ("Bayes", "awaiting",
"checkerboard"), boundaries split in several ways, and closing tags.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from baton_reasoning.core.engines.base import Conversation, Placement
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.cues import english
from tests.fakes.scripted import THINK, ScriptedEngine

HERE = Placement((), batch=512, threads=1, kv_type="f16")
"""So that one may draft for the other."""

STATEMENTS = (
    *(" so", " it", " is", " 4", " the", " sum", " x", ",", ".", " then"),
    *(" Bayes", " awaiting", " checkerboard"),
)
CUES = (
    *(" Wait", " wait", " yes", " Yeah", " verify", " check", " another", " Now", " Nowhere", " So"),
    *(" hold on", " confident", " recap", " think again"),
)
BOUNDARIES = ("\n\n", ".\n\n", "\n", " \n", "\n \n\n")
SEWN_BOUNDARIES = (*BOUNDARIES, "\n\nWait", ".\n\n So")
HALF_A_CHARACTER = "é".encode()[:1]
PARTS_OF_BOUNDARIES = ("\n", " \n", ".\n", "\t", " ", "\r\n")
"""So that several tokens, and often both writers, share in a boundary."""
LONGEST = 1_500
"""Characters after which every model closes its thinking and ends."""


@dataclass(frozen=True)
class World:
    """One pair of models, and whether they think apart from the answer."""

    seed: int
    tagged: bool = False
    cue_rate: float = 0.12
    drawn: bool = False
    """Whether the next token follows from its random number, as with a real model."""
    end_rate: float = 0.006
    """How often a model that may end the text does so at a token."""
    split: bool = False
    """Whether no token holds a whole boundary."""
    sewn: bool = False
    """Whether a token may hold a boundary and the first word after it."""

    def next_token(self, author: Author, body: str, number: int | None = None) -> str | None:
        """The token that this model writes after the body; None is the end of text."""
        body = plain(body)
        place = f"{len(body)} {body[-60:]}" if number is None else str(number)
        dice = random.Random(f"{self.seed} {author.value} {place}")
        closed = not self.tagged or THINK.closing in body
        if not closed and (len(body) > LONGEST or (len(body) > 300 and dice.random() < 0.01)):
            return THINK.closing
        if closed and body and (len(body) > LONGEST or dice.random() < self.end_rate):
            return None
        draw = dice.random()
        if self.split and body.strip() and 0 < body[len(body.rstrip()) :].count("\n") < 2 and draw < 0.6:
            return dice.choice(PARTS_OF_BOUNDARIES)
        if draw < 0.14 and body.strip() and body[len(body.rstrip()) :].count("\n") < 2:
            whole = SEWN_BOUNDARIES if self.sewn else BOUNDARIES
            return dice.choice(PARTS_OF_BOUNDARIES if self.split else whole)
        return dice.choice(CUES if draw < 0.14 + self.cue_rate else STATEMENTS)

    def tokens(self, author: Author, body: str) -> Iterator[str]:
        """What this model writes after the body, to its end of text."""
        while (token := self.next_token(author, body)) is not None:
            yield token
            body += token

    def chances(self, body: str) -> tuple[float, ...]:
        """Probabilities of the likeliest tokens of the small model after the body, the written one first."""
        body = plain(body)
        dice = random.Random(f"{self.seed} chances {len(body)} {body[-60:]}")
        return dice.choice(((1.0,), (0.9, 0.1), (0.3, 0.3, 0.2, 0.2), (0.6, 0.2, 0.2)))

    def digit(self, body: str) -> int:
        """The score that the large model gives the last step of the body."""
        return random.Random(f"{self.seed} digit {body[-60:]}").randrange(10)

    @cached_property
    def engines(self) -> tuple[ScriptedEngine, ScriptedEngine]:
        """The small and the large model, as engines."""

        def engine(author: Author) -> ScriptedEngine:
            def continue_with(_: Conversation, body: str) -> list[str]:
                return list(self.tokens(author, body))

            def draw(body: str, number: int) -> bytes | None:
                if number % 43 == 0:
                    return HALF_A_CHARACTER
                token = self.next_token(author, body, number)
                return token.encode() if token is not None else None

            engine = ScriptedEngine(
                continue_with=continue_with,
                draw=draw if self.drawn else None,
                name=author.value,
                thinking=THINK if self.tagged else None,
                chances=self.chances,
                placement=HERE,
            )

            def judged(body: str, choices: tuple[str, ...]) -> list[float]:
                return [float(n == self.digit(body) % len(choices)) for n in range(len(choices))]

            engine.judged = judged  # type: ignore[method-assign]
            return engine

        return engine(Author.SMALL), engine(Author.LARGE)


def plain(body: str) -> str:
    """Without what stands for half a character: a model sees the bytes, and a body that is continued has none of them
    until the character is complete."""
    return body.replace("\ufffd", "")


ENGLISH = {category: tuple(words) for category, words in english().cues.items()}
"""The paper's cues by category, base forms only."""
