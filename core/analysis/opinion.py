"""Gives a second opinion: the large model reads a finished text once, to see where it would have written otherwise.

`SecondOpinion` reads, and yields an `OpinionGiven` for the trace. `Opinion` draws conclusions from that event: places
where the large model would have written something else, and missed takeovers. What a takeover was worth is another
question (core/analysis/values.py).
"""

from __future__ import annotations

import math
import time
from bisect import bisect_right
from collections.abc import Generator, Iterator
from typing import NamedTuple

from baton_reasoning.core.analysis.text_reading import TextReading, spans
from baton_reasoning.core.engines.abilities import Ability
from baton_reasoning.core.engines.base import Alternative, Engine, Handoff, ModelCard, ScoredToken
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import BatonError, EngineRefused, SettingsError
from baton_reasoning.core.thinking.events import OpinionGiven
from baton_reasoning.core.thinking.trace import Piece, Trace

STRONG = math.log(10)
"""Disagreement in nats: the large model finds its first choice ten times as likely as the token in the text."""
MILD = math.log(3)
ALTERNATIVES = 4
"""Number of likeliest tokens that are kept at each disagreement; elsewhere none are kept."""


class OpinionProgress(NamedTuple):
    """Reports how many tokens of the answer the large model has read, of so many."""

    tokens: int
    total: int


def opinion_error(large: Engine | None, trace: Trace) -> BatonError | None:
    """Return why there can be no second opinion: no model, one that gives no scores, or a text that allows none."""
    return text_error(trace) or reader_error(large)


def text_error(trace: Trace) -> SettingsError | None:
    """Return why no model can give a second opinion of this text."""
    if not trace.pieces or trace.started is None:
        return SettingsError("There is no text to read.", "Ask something first.")
    return several_models_error(trace) or own_text_error(trace)


def own_text_error(trace: Trace) -> SettingsError | None:
    """Return why a second opinion can say nothing: the large model wrote the whole text."""
    if any(piece.author is not Author.LARGE for piece in trace.pieces if piece.text) or not trace.pieces:
        return None
    return SettingsError(
        "The large model wrote this text itself, and has no second opinion of it.",
        "Choose an answer in which the small model wrote.",
    )


def cards_of(trace: Trace) -> dict[Author, ModelCard]:
    """Return the models of an answer: those that wrote it, else those that were there.

    Raises SettingsError if several wrote in one place.
    """
    if error := several_models_error(trace):
        raise error
    there = trace.started.cards if trace.started else {}
    return {**there, **{writer.author: writer.card for writer in trace.writers if writer.card}}


def several_models_error(trace: Trace) -> SettingsError | None:
    """Return why a text cannot be reviewed: several models wrote as its small or its large one, so that what is found
    would be true of none of them."""
    for author in (Author.SMALL, Author.LARGE):
        models = [model.card for model in trace.writers if model.author is author]
        if len(models) > 1:
            names = ", ".join(card.label if card else "an unknown one" for card in models)
            return SettingsError(
                f"Several models wrote as the {author.value} model ({names}), so this answer cannot be reviewed.",
                "Choose an answer that one pair wrote.",
            )
    return None


def reader_error(large: Engine | None) -> BatonError | None:
    """Return why this model cannot read any text for a second opinion."""
    if large is None:
        return SettingsError("A second opinion needs a large model.", "Choose one first.")
    if Ability.SCORES not in large.card.abilities:
        return EngineRefused(
            f"{large.card.name} on {large.card.location} {Ability.SCORES.lack}, so it cannot give a second opinion.",
            "Choose a large model on this machine, or serve it with vLLM.",
        )
    return None


class SecondOpinion:
    """Lets the large model read a finished text once. The text does not change."""

    def __init__(self, large: Engine | None, trace: Trace) -> None:
        """Raises the error of `opinion_error`."""
        if error := opinion_error(large, trace):
            raise error
        assert large is not None
        self._large, self._trace, self._reading = large, trace, TextReading(large, trace)

    def stop(self) -> None:
        """End the reading, from any thread; the opinion covers what has been read by then."""
        self._reading.stop()

    def read(self) -> Generator[OpinionProgress | OpinionGiven, None, None]:
        """Yield progress after each part of the text, then the opinion, unless it was stopped before the first part.

        Raises ContextFull, EngineLost, EngineRefused.
        """
        began, expected = time.monotonic(), sum(step.tokens for step in self._trace.steps)
        tokens: list[ScoredToken] = []
        length, read = 0, Handoff(0, 0, 0.0)
        for stretch in self._reading.stretches(ALTERNATIVES):
            tokens += map(essential, stretch.tokens)
            length, (reused, prefilled, _, passing) = stretch.end, stretch.handoff
            read = Handoff(read.reused + reused, read.prefilled + prefilled, 0.0, passing)
            yield OpinionProgress(len(tokens), max(len(tokens), expected))
        if not length:
            return
        read = read._replace(seconds=time.monotonic() - began)
        at = self._trace.ended.at if self._trace.ended else 0.0
        yield OpinionGiven(at, self._large.card.label, length, tuple(tokens), read)


def essential(token: ScoredToken) -> ScoredToken:
    """Return the token as it is kept: with alternatives only where the large model would have written otherwise."""
    return token if disagreement(token) >= MILD else token._replace(alternatives=())


def disagreement(token: ScoredToken) -> float:
    """Return how much likelier the large model's first choice is than the token: a difference of log-probabilities.

    In nats; 0 if the token is its first choice. It is small where many tokens are possible, though each is unlikely.
    """
    return max(0.0, token.alternatives[0].logprob - token.logprob) if token.alternatives else 0.0


class Disagreement(NamedTuple):
    """A token of the small model that the large one would not have written."""

    start: int
    """Where it begins in the body, in characters."""
    end: int
    token: ScoredToken
    piece: Piece
    nats: float
    is_missed: bool
    """Whether it is strong, and the large model neither wrote the rest of the step nor began the next one."""

    @property
    def is_strong(self) -> bool:
        return self.nats >= STRONG

    @property
    def step(self) -> int:
        return self.piece.step

    @property
    def expected(self) -> Alternative:
        """Return the large model's first choice."""
        return self.token.alternatives[0]


class Opinion:
    """Draws conclusions from the second opinion on a trace."""

    def __init__(self, trace: Trace, given: OpinionGiven) -> None:
        self.given = given
        self.is_whole = given.length >= trace.length
        """False if the reading was stopped, or the text has grown since."""
        self.disagreements = list(_disagreements(trace, given))
        """All of them, in the order of the text."""

    @classmethod
    def of(cls, trace: Trace) -> Opinion | None:
        """Return the opinion on a trace; None if it has none."""
        return cls(trace, trace.opinion) if trace.opinion else None

    @property
    def ranked(self) -> list[Disagreement]:
        """Return the disagreements, the strongest first."""
        return sorted(self.disagreements, key=lambda place: -place.nats)

    @property
    def strong(self) -> list[Disagreement]:
        """Return the strong disagreements, in the order of the text."""
        return [place for place in self.disagreements if place.is_strong]

    @property
    def missed(self) -> list[Disagreement]:
        return [place for place in self.disagreements if place.is_missed]


def _disagreements(trace: Trace, given: OpinionGiven) -> Iterator[Disagreement]:
    positions = [piece.position for piece in trace.pieces]
    for token, (start, end) in zip(given.tokens, spans(trace.text, given.tokens), strict=True):
        nats = disagreement(token)
        if nats < MILD or start == end:
            continue
        index = bisect_right(positions, start) - 1
        piece = trace.pieces[index]
        if piece.author is Author.SMALL:
            is_missed = nats >= STRONG and not _takes_over(trace, index)
            yield Disagreement(start, end, token, piece, nats, is_missed)


def _takes_over(trace: Trace, index: int) -> bool:
    """Tell whether the large model wrote the rest of this piece's step, or began the next one."""
    step = trace.pieces[index].step
    for piece in trace.pieces[index + 1 :]:
        if piece.author is Author.LARGE or piece.step > step:
            return piece.author is Author.LARGE
    return False
