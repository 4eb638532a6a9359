"""Defines what the program of a policy can request of the two models, and what each request returns.

step = yield from Write()                              the default writer's, to the end of a step
look = yield from Write(Until.TOKENS, 20, waits=True)  its next tokens, which may be replaced
took = yield from TakeOver(20, REFLECTION)             the other model's, in place of what waits
yield from Accept()                                    what waits stands
judged = yield from Judge(QUESTION, DIGITS)
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from baton_reasoning.core.engines.base import Judgement, Scores
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.cues import Cue
from baton_reasoning.core.thinking.events import Measure as Measure
from baton_reasoning.core.thinking.events import TokenWritten, Tried
from baton_reasoning.core.thinking.events import Until as Until
from baton_reasoning.core.thinking.reasons import TakeoverReason
from baton_reasoning.core.thinking.steps import ends_sentence

WITHOUT_END = 1 << 30
"""Tokens of a takeover that only the end of the text (or a person) ends."""
SLACK = 32
"""Tokens by which a text may be longer, to end with its sentence."""

Result = TypeVar("Result")


class Request(Generic[Result]):
    """What a program asks for. `result = yield from request` gives the result its type."""

    __slots__ = ()

    def __iter__(self) -> Generator[Request[Any], Any, Result]:
        result: Result = yield self
        return result


Program: TypeAlias = Generator[Request[Any], Any, None]
"""What a policy writes: requests, in the order in which they are carried out."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a model has written for a request. Of a step that another model began, it is only the rest."""

    text: str
    tokens: Sequence[TokenWritten]
    start: int
    """Characters of the body before it."""
    at_boundary: bool = False
    """Whether a step boundary is at its end."""
    has_boundary: bool = False
    """Whether a step boundary is anywhere in it: the token that completes one may hold the first word of the next step,
    too."""
    closed: bool = False
    """Whether it closes the thinking, and waits. Accepting that ends a program that does not decide in the answer."""
    text_ended: bool = False
    """Whether the writer has ended its text, which waits. Accepting that ends the run."""
    skipped: bool = False
    """Whether a takeover did not happen: a limit refused it, and what waits is still there; or its model had nothing to
    write."""

    @property
    def sentence_ended(self) -> bool:
        return self.text_ended or (bool(self.text.strip()) and (self.at_boundary or ends_sentence(self.text)))


# The default writer --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Write(Request[Written]):
    """Lets the default writer go on. What waits is the beginning of what is returned, and counts.

    A token that ends a step may hold the first word of the next one, which then waits. Where a text is taken up, or a
    takeover has ended, at a boundary, a step that does not wait is over at once, so that the program decides there.
    """

    until: Until = Until.STEP
    tokens: int = WITHOUT_END
    """As `until` says. WITHOUT_END with Until.TOKENS: all of the text, the answer included."""
    waits: bool = False
    """Whether all of it may still be replaced or discarded; else it stands."""
    ends: Callable[[Written], bool] | None = None
    """Tells whether it ends there: after each token, and before the first one if something waits."""


@dataclass(frozen=True, slots=True)
class Accept(Request[None]):
    """Accepts what waits. It ends the thinking if that closes it, and the run if the writer has ended its text."""


@dataclass(frozen=True, slots=True)
class Discard(Request[None]):
    """Discards what waits, so that the default writer writes it again."""


NEXT_TOKEN = Write(Until.TOKENS, 1, waits=True, ends=lambda begun: bool(begun.text.strip()))
"""The next token, which waits; if the token that ended a step has the first word of this one, that word."""


# Takeovers -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TakeOver(Request[Written]):
    """Lets a model write in place of what waits, or at the end of the text. Inside it nothing is decided."""

    tokens: int
    """As `until` says: exactly so many, at least so many, or at most."""
    reason: TakeoverReason
    cue: Cue | None = None
    until: Until = Until.TOKENS
    author: Author = Author.LARGE
    ends: Callable[[Written], bool] | None = None
    """Tells after each token whether the takeover ends there."""
    measure: Measure | None = None
    """What decided: the views of a step say it beside the reason."""


# Questions, which leave the text alone -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Judge(Request[Judgement]):
    """Asks a model a question about the text, to be answered with one of `choices`; neither enters the text."""

    question: str
    choices: tuple[str, ...]
    author: Author = Author.LARGE


@dataclass(frozen=True, slots=True)
class Score(Request[Scores]):
    """Lets a model read what waits, or else the last step, and give the log-probability of each of its tokens."""

    author: Author = Author.LARGE


@dataclass(frozen=True, slots=True)
class Trial(Request[Tried]):
    """Lets a model try how it would continue; none of it enters the text.

    The tokens are those that the model would write there, drawn by the same random numbers.
    """

    tokens: int
    author: Author
    start: int | None = None
    """The position of the body after which it begins; None: the end."""


@dataclass(frozen=True, slots=True)
class May(Request[bool]):
    """Asks whether a takeover may begin: a limit refuses some."""

    takeover: TakeOver


Question: TypeAlias = Judge | Score | Trial | May


# What no model writes ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Insert(Request[None]):
    """Inserts a text that neither model wrote (paper §3, rule 3)."""

    text: str
    reason: TakeoverReason


@dataclass(frozen=True, slots=True)
class Close(Request[None]):
    """Closes the thinking, so that the answer follows. If neither model has thinking tags, the text ends.

    The program gets no answer: it is over.
    """

    reason: TakeoverReason
