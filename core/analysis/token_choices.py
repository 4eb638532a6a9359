"""What each model might have written in the place of a token: recorded with it, or found by reading the finished text.

`TokenReading` lets both models read; what they say is kept nowhere, since reading again takes seconds.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Generator, Iterator, Mapping
from typing import NamedTuple

from baton_reasoning.core.analysis.text_reading import TextReading, spans
from baton_reasoning.core.engines.abilities import Ability
from baton_reasoning.core.engines.base import Alternative, Engine, ScoredToken
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.events import TokenWritten
from baton_reasoning.core.thinking.trace import Piece, Trace

ALTERNATIVES = 5
"""Likeliest tokens of each model at each place."""
LEAST_LOGPROB = math.log(0.01)
"""A token is left out if every model finds it less likely than this."""


class PlacedToken(NamedTuple):
    """A token of a model where it stands."""

    piece: Piece
    token: TokenWritten
    start: int
    """Characters of the body, as is `end`."""
    end: int


def placed_tokens(piece: Piece) -> Iterator[PlacedToken]:
    """Iterate over the tokens of a piece that have text; there are none in what a person or the policy wrote."""
    at = piece.position
    for token in piece.tokens:
        if token.text:
            yield PlacedToken(piece, token, at, at + len(token.text))
        at += len(token.text)


class ReadTokens(NamedTuple):
    """How a model read a text, from its beginning."""

    model: str
    """Its name, for people."""
    text: str
    """What it read."""
    tokens: tuple[ScoredToken, ...]
    """With text, in their order."""
    starts: tuple[int, ...]
    """Where each begins in the text."""

    def at(self, start: int) -> ScoredToken | None:
        """Return its token that begins there; None if none does, since its vocabulary is another one."""
        index = bisect_left(self.starts, start)
        return self.tokens[index] if index < len(self.starts) and self.starts[index] == start else None


class ReadProgress(NamedTuple):
    """How many tokens a model has read, of about how many."""

    author: Author
    tokens: int
    total: int


class TokenReading:
    """Lets models read a finished text once, one after the other."""

    def __init__(self, readers: Mapping[Author, Engine], trace: Trace) -> None:
        """`trace`: has text."""
        self._trace, self._text = trace, trace.text
        self._readings = [(author, reader, TextReading(reader, trace)) for author, reader in readers.items()]

    def stop(self) -> None:
        """End the reading, from any thread; the model that reads tells nothing then."""
        for _, _, reading in self._readings:
            reading.stop()

    def read(self) -> Generator[ReadProgress | tuple[Author, ReadTokens], None, None]:
        """Yield how far each model is, then what it has read.

        Raises ContextFull, EngineLost, EngineRefused.
        """
        total = sum(step.tokens for step in self._trace.steps)
        for author, reader, reading in self._readings:
            tokens: list[ScoredToken] = []
            end = 0
            yield ReadProgress(author, 0, total)
            for stretch in reading.stretches(ALTERNATIVES):
                tokens += stretch.tokens
                end = stretch.end
                yield ReadProgress(author, len(tokens), max(total, len(tokens)))
            if end == self._trace.length:
                placed = zip(tokens, spans(self._text, tokens), strict=True)
                standing = [(token, start) for token, (start, stop) in placed if start < stop]
                starts = tuple(start for _, start in standing)
                yield author, ReadTokens(reader.card.label, self._text, tuple(each for each, _ in standing), starts)


def readers_of(small: Engine | None, large: Engine | None) -> dict[Author, Engine]:
    """Return the models that tell how likely the tokens of a text are; one that is both reads as the large one."""
    found = {Author.SMALL: small if small is not large else None, Author.LARGE: large}
    return {author: engine for author, engine in found.items() if engine and Ability.SCORES in engine.card.abilities}


class Choice(NamedTuple):
    """A token that may stand at a place."""

    text: str
    logprobs: Mapping[Author, float]
    """To each model that names it, in nats."""
    stands: bool
    """Whether it is what stands in the text: as it was written, or as a model of another vocabulary reads it."""


def choices_at(placed: PlacedToken, read: Mapping[Author, ReadTokens]) -> list[Choice]:
    """Return what may stand in the place of a token, the likeliest first.

    Where the writer has not read the text, what it recorded counts. Tokens of another vocabulary that begin elsewhere
    are left out, and so are those that end inside a character.
    """
    found: dict[str, dict[Author, float]] = {placed.token.text: {}}
    named = {author: token for author, tokens in read.items() if (token := tokens.at(placed.start))}
    told: dict[Author, ScoredToken | TokenWritten] = {placed.piece.author: placed.token, **named}
    for author, known in told.items():
        own = [] if known.logprob is None else [Alternative(known.id, known.text, known.logprob)]
        for _, each, logprob in (*known.alternatives, *own):
            found.setdefault(each, {})[author] = logprob
    standing = {placed.token.text, *(token.text for token in named.values())}
    choices = [
        Choice(each, logprobs, each in standing) for each, logprobs in found.items() if each and "\ufffd" not in each
    ]
    likely = [each for each in choices if each.stands or max(each.logprobs.values()) >= LEAST_LOGPROB]
    return sorted(likely, key=lambda each: -max(each.logprobs.values(), default=-math.inf))
