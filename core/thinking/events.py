"""What happens while two models write one text, as data. The trace, every view and every export read only these.

`at` is seconds since the run began. Positions are characters in the body (the text after the opening of thinking).
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import Struct

from core.engines.base import Alternative, Conversation, Passing, ScoredToken, Stop
from core.engines.body import Author as Author
from core.engines.model_card import ModelCard
from core.engines.usage import Count, Seconds, Usage
from core.thinking.cues import Cue

if TYPE_CHECKING:
    Card = ModelCard
else:
    Card = Any  # msgspec cannot tell the kinds of ModelSource apart, so trace_json reads and writes cards itself

SCHEMA = 1
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


class Until(Enum):
    """Where a takeover ends once it has its tokens."""

    TOKENS = "tokens"
    """Right there, even inside a word (authors' code)."""
    SENTENCE = "sentence"
    """At the next end of a sentence or step, at most `slack` tokens later."""
    STEP = "step"
    """At the first step boundary; the tokens are a cap."""
    FIRST_SENTENCE = "first sentence"
    """At the first end of a sentence or step; the tokens are a cap."""
    FIRST_MARK = "first mark"
    """At the first full stop, question or exclamation mark, or the end of a step; the tokens are a cap."""


class AskedBy(Enum):
    """Whose decision it was."""

    POLICY = "policy"
    PERSON = "person"
    LIMIT = "limit"


class _Event(Struct, frozen=True, omit_defaults=True, tag_field="event"):
    """JSON: the tag as `event`, then the fields; those with their default are left out."""


class RunStarted(_Event, frozen=True, tag="run_started"):
    at: Seconds
    conversation: Conversation
    policy: str
    settings: dict[str, Any]
    """All parameters of the run as JSON values, enough to repeat it."""
    seed: int
    small: Card | None
    large: Card | None
    prompt_tokens: Count
    """Of the first model that has a prompt; each model renders its own."""
    thinking: bool
    """Whether the body begins inside thinking."""
    resumed: bool = False
    """Whether the text goes on exactly where it was interrupted, so that this start is no part of how it came about
    (resume.py). Otherwise a text that stood already was taken up as it was."""


class WriteStarted(_Event, frozen=True, tag="write_started"):
    at: Seconds
    author: Author
    reason: str | None
    """Id of a TakeoverReason; None for the default writer."""
    position: Count
    asked_by: AskedBy = AskedBy.POLICY


class WriteEnded(_Event, frozen=True, tag="write_ended"):
    """A model stopped writing by itself. A write that the loop ended has no such event."""

    at: Seconds
    stop: Stop


class HandedOver(_Event, frozen=True, tag="handed_over"):
    """A model's KV cache now holds the text: the cost of a handoff. `seconds` end at `at`."""

    at: Seconds
    author: Author
    reused: Count
    prefilled: Count
    seconds: Seconds
    passing: Passing


class PrefillProgressed(_Event, frozen=True, tag="prefill_progress"):
    """How far a model has read a long text before it writes. Shown while it lasts, then replaced by `HandedOver`.

    A trace does not keep it and the database does not store it: there is one for each chunk, and `HandedOver` says
    what the whole prefill cost.
    """

    at: Seconds
    author: Author
    tokens: Count
    """Read so far, of `total`; neither counts tokens that were in the KV cache already."""
    total: Count

    @property
    def share(self) -> float:
        """Read so far, 0 to 1."""
        return self.tokens / max(1, self.total)


class TokenWritten(_Event, frozen=True, tag="token"):
    at: Seconds
    author: Author
    id: int | None
    text: str
    logprob: float | None = None
    alternatives: tuple[Alternative, ...] = ()
    ends_step: bool = False
    """True if this token completed a step boundary."""
    drafted: bool = False
    """True if the small model proposed this token and the large one, whose draw it is, accepted it."""
    rejected_drafts: int = 0
    """Drafts of the small model that this token made useless."""
    restored: bool = False
    """True if it was written before, then discarded, and stands again: it was not decoded twice."""
    data: bytes = b""
    """Its bytes, where they are not those of `text`: a token that ends inside a character has no text yet, and the one
    that completes it has all of it."""

    @property
    def encoded(self) -> bytes:
        return self.data or self.text.encode(errors="replace")


class StepEnded(_Event, frozen=True, tag="step_ended"):
    """A step ended at its cap, without a boundary; what follows is a step of its own."""

    at: Seconds
    position: Count


class TextSettled(_Event, frozen=True, tag="text_settled"):
    """No policy or limit will discard what stands before `position` any more. (A person may have it rewritten.)

    For whoever passes the text on and cannot take it back. Like `PrefillProgressed` it is not kept.
    """

    at: Seconds
    position: Count


class TextDiscarded(_Event, frozen=True, tag="text_discarded"):
    """Text from `position` on was discarded: a lookahead that a policy replaced, or a step that is rewritten."""

    at: Seconds
    position: Count
    text: str
    tokens: Count


class TakeoverStarted(_Event, frozen=True, tag="takeover_started"):
    at: Seconds
    reason: str
    """Id of a TakeoverReason."""
    cue: Cue | None
    tokens: Count
    """Planned length (n1, n2, n3 …)."""
    position: Count
    author: Author = Author.LARGE
    until: Until = Until.TOKENS
    slack: Count = 0
    """Of `Until.SENTENCE`: tokens that it may be longer."""
    rewrites: bool = False
    """Whether the step from `position` on is discarded, and written again."""
    asked_by: AskedBy = AskedBy.POLICY


class TakeoverEnded(_Event, frozen=True, tag="takeover_ended"):
    """Missing where a run was stopped, or had no room left, inside the takeover: it goes on there."""

    at: Seconds
    tokens: Count
    asked_by: AskedBy = AskedBy.POLICY
    """Who ended it: a person or a limit, or else its own length."""


class TextInserted(_Event, frozen=True, tag="text_inserted"):
    at: Seconds
    text: str
    reason: str
    """Id of a TakeoverReason."""


class ThinkingClosed(_Event, frozen=True, tag="thinking_closed"):
    at: Seconds
    author: Author
    position: Count
    """Where the answer begins: just after the closing tag."""
    tag: str


class Judged(_Event, frozen=True, tag="judged"):
    """A model answered a question about the text: the probabilities of the choices."""

    at: Seconds
    choices: tuple[str, ...]
    probabilities: tuple[float, ...]
    seconds: Seconds
    reused: Count = 0
    prefilled: Count = 0
    """Tokens that the judge read for it: what was new of the body, and the question."""
    author: Author = Author.LARGE
    mass: float | None = None
    """What all choices together had before they were made to sum to 1; little means that the judge would have said
    something else. None: not known."""


class Scored(_Event, frozen=True, tag="scored"):
    """A model read a step and gave the log-probability of each of its tokens."""

    at: Seconds
    tokens: Count
    mean_logprob: float
    """In nats a token."""
    seconds: Seconds
    reused: Count = 0
    prefilled: Count = 0
    author: Author = Author.LARGE


class CountersChanged(_Event, frozen=True, tag="counters_changed"):
    """What the policy counts, by name, after a change; each policy has its own names."""

    at: Seconds
    counters: dict[str, float]


class Prefetched(_Event, frozen=True, tag="prefetch"):
    """A prefetch: a model's server read in the background while the other model wrote. One request, complete or cut.

    Reported when that model is next used, or when the run ends, so `at` may be long after it.
    """

    at: Seconds
    author: Author
    began: Seconds
    """Seconds since the run began."""
    seconds: Seconds
    tokens: Count


class UsageReported(_Event, frozen=True, tag="usage"):
    """What one model's server has cost since the run began; the last one of a run is complete."""

    at: Seconds
    author: Author
    usage: Usage


class Noticed(_Event, frozen=True, tag="noticed"):
    at: Seconds
    text: str
    lost: Author | None = None
    """The model that failed for good, if that is what it says: the other one goes on alone."""


class RunEnded(_Event, frozen=True, tag="run_ended"):
    at: Seconds
    finish: Finish
    reason: str = ""
    """One sentence if the run failed or stopped early."""


class TakeoverScore(NamedTuple):
    """How likely the small model found what the large one wrote in a takeover, which begins at `position`."""

    position: int
    tokens: tuple[ScoredToken, ...]


class OpinionGiven(_Event, frozen=True, tag="opinion"):
    """A second opinion: after the run, the large model read its text once. It follows `RunEnded`, and changes no text.

    `tokens` are those of the large model, in order from the beginning, with the log-probability that it gave each;
    alternatives stand only where its first choice was at least three times as likely.
    """

    at: Seconds
    model: str
    """Name of the model that read it."""
    length: Count
    """Characters of the body that it read."""
    tokens: tuple[ScoredToken, ...]
    takeovers: tuple[TakeoverScore, ...] = ()
    """What the small model thinks of the takeovers; none if it cannot score."""
    seconds: Seconds = 0.0
    reused: Count = 0
    prefilled: Count = 0


Event = (
    RunStarted
    | WriteStarted
    | WriteEnded
    | HandedOver
    | PrefillProgressed
    | TokenWritten
    | StepEnded
    | TextSettled
    | TextDiscarded
    | TakeoverStarted
    | TakeoverEnded
    | TextInserted
    | ThinkingClosed
    | Judged
    | Scored
    | CountersChanged
    | Prefetched
    | UsageReported
    | Noticed
    | RunEnded
    | OpinionGiven
)

PASSING = (PrefillProgressed, TextSettled)
"""Kinds that say how it stands just now. No trace keeps them, and no store saves them."""
