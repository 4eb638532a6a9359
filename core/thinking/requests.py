"""Defines what the program of a policy can request of the two models, and what each request returns.

    step = yield from Step()                     the default writer's, to the end of a step
    look = yield from LookAhead()                its next token, which may be replaced
    took = yield from TakeOver(20, REFLECTION)   the other model's
    judged = yield from Judge(QUESTION, DIGITS)

What the default writer wrote for a lookahead, a draft or to the end waits to be accepted. Questions leave it waiting,
`TakeOver` replaces it, `Discard` discards it, and any other request accepts it.
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
"""Tokens by which a takeover may be longer, to end with its sentence."""

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
    """Whether it closes the thinking, and so ends the program of a policy that does not decide in the answer. The
    program is asked once more where the text may still be replaced."""
    text_ended: bool = False
    """Whether the writer has ended its text. So has the run if the program now asks the writer to go on."""
    skipped: bool = False
    """Whether a takeover did not happen: a limit refused it, and what waits is still there; or its model had nothing to
    write."""

    @property
    def sentence_ended(self) -> bool:
        return self.text_ended or (bool(self.text.strip()) and (self.at_boundary or ends_sentence(self.text)))


# The default writer --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Step(Request[Written]):
    """Lets the default writer write to the end of its step; what waits as a lookahead is the beginning of the step.

    Where a text is taken up at a boundary, nothing is written: that is the end of a step.
    """

    cap: int = 0
    """Tokens at which a step ends without a boundary; 0: none."""
    draft: bool = False
    """The step waits: the next request may replace it."""
    here: bool = False
    """If a takeover has just ended at a boundary, nothing is written: that is the end of the step. Else the default
    writer first writes a step of its own."""


@dataclass(frozen=True, slots=True)
class LookAhead(Request[Written]):
    """Lets the default writer write its next token, which waits; earlier lookaheads are accepted.

    If the token that ended a step has the first word of the next one, the lookahead is that word, without a token.
    """


@dataclass(frozen=True, slots=True)
class More(Request[Written]):
    """Lets the default writer write another token of its lookahead, all of which waits."""


@dataclass(frozen=True, slots=True)
class ToEnd(Request[Written]):
    """Lets the default writer write to its end of text, or of its tokens or context; all of it waits."""


@dataclass(frozen=True, slots=True)
class Discard(Request[None]):
    """Discards what waits, so that the default writer writes it again."""


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
    keep: bool = False
    """Whether what waits is accepted, so that the takeover follows it."""
    ends: Callable[[Written], bool] | None = None
    """Tells after each token whether the takeover ends there."""
    measure: Measure | None = None
    """What decided: the views of a step say it beside the reason."""

    @property
    def limit(self) -> int:
        return self.tokens + (SLACK if self.until is Until.SENTENCE else 0)

    def is_over(self, took: Written, body: str) -> bool:
        """Tell whether the takeover ends here. White space alone is neither a sentence nor a step: a model that begins
        with an indented line is not at the end of anything."""
        written = len(took.tokens)
        if written >= self.limit or (self.ends is not None and self.ends(took)):
            return True
        if self.until is Until.TOKENS or not took.text.strip():
            return False
        if self.until is Until.STEP:
            return took.at_boundary
        is_long_enough = self.until is Until.FIRST_SENTENCE or written >= self.tokens
        return is_long_enough and (took.at_boundary or ends_sentence(body))


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
