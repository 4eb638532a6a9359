"""What happens while two models write one text, as data. The trace, every view and every export read only these.

`at` is seconds since the run began. Positions are characters in the body (the text after the opening of thinking).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from core.engines.base import Alternative, Conversation, Passing
from core.engines.body import Author as Author
from core.engines.model_card import ModelCard
from core.engines.usage import Usage
from core.thinking.cues import Cue

SCHEMA = 2
"""Version of the events as JSON (docs/trace.md); grows when a field changes its meaning or goes."""


class Finish(Enum):
    """How a run ended."""

    END_OF_TEXT = "end of text"
    MAX_TOKENS = "max tokens"
    TIME = "time limit"
    CONTEXT_FULL = "context full"
    REPETITION = "repetition"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RunStarted:
    at: float
    conversation: Conversation
    policy: str
    settings: dict[str, Any]
    """All parameters of the run as JSON values, enough to repeat it."""
    seed: int
    small: ModelCard | None
    large: ModelCard | None
    prompt_tokens: int
    """Of the first model that has a prompt; each model renders its own."""
    thinking: bool
    """Whether the body begins inside thinking."""


@dataclass(frozen=True, slots=True)
class WriteStarted:
    at: float
    author: Author
    reason: str | None
    """Id of a TakeoverReason; None for the usual writer."""
    position: int


@dataclass(frozen=True, slots=True)
class HandedOver:
    """A model's KV cache now holds the text: the cost of a handoff. `seconds` end at `at`."""

    at: float
    author: Author
    reused: int
    prefilled: int
    seconds: float
    passing: Passing


@dataclass(frozen=True, slots=True)
class TokenWritten:
    at: float
    author: Author
    id: int | None
    text: str
    logprob: float | None = None
    alternatives: tuple[Alternative, ...] = ()
    ends_step: bool = False
    """True if this token completed a step boundary."""


@dataclass(frozen=True, slots=True)
class TextDiscarded:
    """Text from `position` on went: a lookahead that a policy replaced, or a step that is written again."""

    at: float
    position: int
    text: str
    tokens: int


@dataclass(frozen=True, slots=True)
class TakeoverStarted:
    at: float
    reason: str
    """Id of a TakeoverReason."""
    cue: Cue | None
    tokens: int
    """Planned length (n1, n2, n3 …)."""
    position: int
    author: Author = Author.LARGE


@dataclass(frozen=True, slots=True)
class TakeoverEnded:
    at: float
    tokens: int


@dataclass(frozen=True, slots=True)
class TextInserted:
    at: float
    text: str
    reason: str
    """Id of a TakeoverReason."""


@dataclass(frozen=True, slots=True)
class ThinkingClosed:
    at: float
    author: Author
    position: int
    """Where the answer begins: just after the closing tag."""
    tag: str


@dataclass(frozen=True, slots=True)
class Judged:
    """A model answered a question about the text: the probabilities of the choices."""

    at: float
    choices: tuple[str, ...]
    probabilities: tuple[float, ...]
    seconds: float
    reused: int = 0
    prefilled: int = 0
    """Tokens that the judge read for it: what was new of the body, and the question."""
    author: Author = Author.LARGE


@dataclass(frozen=True, slots=True)
class CountersChanged:
    """What the policy counts, by name, after a change; each policy has its own names."""

    at: float
    counters: dict[str, float]


@dataclass(frozen=True, slots=True)
class ReadAlong:
    """A model's server read in the background while the other model wrote: one request, complete or cut.

    It is told when that model is next used, or when the run ends, so `at` may be long after it.
    """

    at: float
    author: Author
    began: float
    """Seconds since the run began."""
    seconds: float
    tokens: int


@dataclass(frozen=True, slots=True)
class Billed:
    """What one model's server has cost since the run began; the last one of a run is complete."""

    at: float
    author: Author
    bill: Usage


@dataclass(frozen=True, slots=True)
class Noticed:
    at: float
    text: str


@dataclass(frozen=True, slots=True)
class RunEnded:
    at: float
    finish: Finish
    reason: str = ""
    """One sentence if the run failed or stopped early."""


Event = (
    RunStarted
    | WriteStarted
    | HandedOver
    | TokenWritten
    | TextDiscarded
    | TakeoverStarted
    | TakeoverEnded
    | TextInserted
    | ThinkingClosed
    | Judged
    | CountersChanged
    | ReadAlong
    | Billed
    | Noticed
    | RunEnded
)
