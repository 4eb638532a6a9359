"""Events: what happens while two models write one text, as data. Traces, views and exports read nothing else.

`at` is seconds since the run began. Positions are characters in the body (the text after the opening of thinking).
"""

from __future__ import annotations

import math
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import Struct

from baton_reasoning.core.engines.base import Alternative, Handoff, Messages, ModelCard, ScoredToken, Stop
from baton_reasoning.core.engines.body import Author as Author
from baton_reasoning.core.engines.usage import Count, Seconds, Usage
from baton_reasoning.core.thinking.cues import Cue

if TYPE_CHECKING:
    Card = ModelCard
else:
    Card = Any  # msgspec cannot convert a union of dataclasses (ModelSource): trace_json reads and writes cards itself

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


CUT_OFF = frozenset({Finish.MAX_TOKENS, Finish.TIME, Finish.CONTEXT_FULL})
"""The run ended at a limit, wherever the text stood."""


class Until(Enum):
    """Where a takeover, or what the default writer is asked for, ends once it has its tokens."""

    TOKENS = "tokens"
    """Right there, even inside a word (authors' code)."""
    SENTENCE = "sentence"
    """At the next end of a sentence or step, at most 32 tokens later."""
    STEP = "step"
    """At the first step boundary; the tokens are a cap."""
    FIRST_SENTENCE = "first sentence"
    """At the first end of a sentence or step; the tokens are a cap."""


class Measure(NamedTuple):
    """What a policy measured before it handed over, and the limit that decided."""

    name: str
    """In a person's words: “entropy”, “score”."""
    value: float
    limit: float


# Events hold no cycles: `gc=False` spares the garbage collector 33,000 tokens of a long answer.
class Event(Struct, frozen=True, omit_defaults=True, tag_field="event", gc=False):
    """Something that happened. Encoded as a JSON object: the tag as `event`, then the fields that differ from their
    defaults."""

    at: Seconds


class RunStarted(Event, frozen=True, tag="run_started"):
    conversation: Messages
    policy: str
    settings: dict[str, Any]
    """All parameters of the run as JSON values, which are enough to repeat it."""
    seed: int
    small: Card | None
    large: Card | None
    prompt_tokens: Count
    """Length of the first model's prompt; each model renders its own."""
    thinking: bool
    """Whether the body begins inside thinking."""

    @property
    def cards(self) -> dict[Author, Card]:
        """Return the models that were there, by author."""
        cards = {Author.SMALL: self.small, Author.LARGE: self.large}
        return {author: card for author, card in cards.items() if card}

    @property
    def thinks(self) -> bool:
        """Tell whether the models were asked to think (`RunSettings.thinking`)."""
        return bool(self.settings.get("thinking", True))


class WriteStarted(Event, frozen=True, tag="write_started"):
    author: Author
    reason: str | None
    """Id of a TakeoverReason; None for the default writer."""
    position: Count


class WriteEnded(Event, frozen=True, tag="write_ended"):
    """A model stopped writing by itself. There is no such event for a write that the driver ended."""

    stop: Stop


class HandedOver(Event, frozen=True, tag="handed_over"):
    """A model has brought its KV cache to the text. The seconds of the handoff end at `at`."""

    author: Author
    handoff: Handoff


class PrefillProgressed(Event, frozen=True, tag="prefill_progress"):
    """Reports how much of a long text a model has read before it writes.

    Traces and the database do not keep it: there is one for each chunk, and `HandedOver` has the cost of the whole
    prefill.
    """

    author: Author
    tokens: Count
    """Tokens read so far, of `total`; neither counts tokens that were in the KV cache already."""
    total: Count


class TokenWritten(Event, frozen=True, tag="token"):
    """A model wrote a token. From `id` to `entropy` it has the fields of the engine's `Token`, in their order, with the
    decoded text in place of the bytes.

    It does not hold the `Token` itself, which would keep the bytes beside the text, and make a line of an exported
    trace 12% longer and harder to read.
    """

    author: Author
    id: int | None
    text: str
    """Empty if the token ends inside a character: the one that completes the character has all of its text."""
    logprob: float | None = None
    alternatives: tuple[Alternative, ...] = ()
    drafted: bool = False
    rejected_drafts: int = 0
    entropy: float | None = None
    ends_step: bool = False
    """True if this token completed a step boundary."""

    @property
    def entropy_of_alternatives(self) -> float:
        """Return the entropy of the recorded alternatives, scaled to a sum of 1, in nats; 0 without any."""
        chances = [math.exp(alternative.logprob) for alternative in self.alternatives]
        total = sum(chances)
        return sum(p / total * math.log(total / p) for p in chances if p > 0) if total > 0 else 0.0

    @property
    def entropy_or_estimate(self) -> float:
        """Return the entropy over the whole vocabulary if it is known, else that of the alternatives."""
        return self.entropy_of_alternatives if self.entropy is None else self.entropy


class StepEnded(Event, frozen=True, tag="step_ended"):
    """A step ended at its cap, without a boundary; what follows is a step of its own."""

    position: Count


class TextDiscarded(Event, frozen=True, tag="text_discarded"):
    """The text from `position` on was discarded: a lookahead that a policy replaced, or a step to be rewritten."""

    position: Count
    text: str
    tokens: Count


class TakeoverStarted(Event, frozen=True, tag="takeover_started"):
    reason: str
    """Id of a TakeoverReason."""
    cue: Cue | None
    tokens: Count
    """Planned length (n1, n2, n3 …)."""
    position: Count
    author: Author = Author.LARGE
    until: Until = Until.TOKENS
    measure: Measure | None = None
    """What decided; None where it was no number, but a cue, a person or every step."""


class TakeoverEnded(Event, frozen=True, tag="takeover_ended"):
    """A takeover ended. It is missing if the run was stopped, or reached its length limit, inside the takeover."""

    tokens: Count
    by_hand: bool = False
    """Whether a person gave the text back before the takeover was over."""


class TextInserted(Event, frozen=True, tag="text_inserted"):
    """A text that no model wrote was appended: by a policy, or by a person who edited the answer."""

    text: str
    reason: str
    """Id of a TakeoverReason."""
    author: Author = Author.INSERTED


class ThinkingClosed(Event, frozen=True, tag="thinking_closed"):
    author: Author
    position: Count
    """Where the answer begins: just after the closing tag."""
    tag: str


class Judged(Event, frozen=True, tag="judged"):
    """A model answered a question about the text, with a probability for each choice."""

    choices: tuple[str, ...]
    probabilities: tuple[float, ...]
    handoff: Handoff
    """What reading the new part of the body and the question cost, with the seconds of the whole request."""
    author: Author = Author.LARGE


class Scored(Event, frozen=True, tag="scored"):
    """A model read a step and gave the log-probability of each of its tokens."""

    tokens: tuple[ScoredToken, ...]
    handoff: Handoff
    """With the seconds of the whole request."""
    author: Author = Author.LARGE


class Tried(Event, frozen=True, tag="tried"):
    """A model tried how it would continue; none of it entered the text."""

    author: Author
    position: Count
    """The trial began after so many characters of the body."""
    tokens: tuple[ScoredToken, ...]
    """With the log-probability of each; 0 where the engine gives none."""
    stop: Stop
    """Why it ended."""
    handoff: Handoff
    """With the seconds of the whole trial."""

    @property
    def text(self) -> str:
        return "".join(token.text for token in self.tokens)


Reading = HandedOver | Judged | Scored | Tried
"""A model has read the text while the run went on; all of them have the cost as `handoff`."""


class CountersChanged(Event, frozen=True, tag="counters_changed"):
    """The policy's counters changed; each policy has names of its own."""

    counters: dict[str, float]


class Prefetched(Event, frozen=True, tag="prefetch"):
    """A model's server read ahead in the background while the other model wrote: one request, complete or cut short.

    It is reported when that model is next used or the run ends, so `at` may be much later.
    """

    author: Author
    began: Seconds
    """Seconds since the run began."""
    seconds: Seconds
    tokens: Count


class UsageReported(Event, frozen=True, tag="usage"):
    """The usage of one model's server since the run began; the last report of a run is complete."""

    author: Author
    usage: Usage


class Noticed(Event, frozen=True, tag="noticed"):
    text: str
    lost: Author | None = None
    """The model that failed for good, if the notice is about one: the other goes on alone."""


class RunEnded(Event, frozen=True, tag="run_ended"):
    finish: Finish
    reason: str = ""
    """One sentence if the run failed or stopped early."""


class OpinionGiven(Event, frozen=True, tag="opinion"):
    """The large model read the finished text once (a second opinion). It follows `RunEnded` and changes no text.

    `tokens` are those of the large model, in order from the beginning, with the log-probability that it gave each;
    alternatives stand only where its first choice was at least three times as likely.
    """

    model: str
    """Name of the model that read the text."""
    length: Count
    """Characters of the body that it read."""
    tokens: tuple[ScoredToken, ...]
    handoff: Handoff = Handoff(0, 0, 0.0)
    """What reading all of it cost, with the seconds of the whole opinion."""


class PlaceOutcomes(NamedTuple):
    """How the continuations from one place of a text ended."""

    position: int
    """Characters of the body before it."""
    outcomes: str
    """One sign for each continuation, by its number: 1 right, 0 wrong, ? not gradable, - not finished."""
    replaced: bool = False
    """Whether the continuations follow the lookahead or step that was replaced there, not the present text."""


class ValuesEstimated(Event, frozen=True, tag="values"):
    """Continuations from places of the finished text were graded (Monte Carlo). It follows `RunEnded` and changes no
    text. A later one by the same writer replaces an earlier one, whose continuations it includes."""

    writer: str
    """Who wrote the continuations: “small” or “large” alone, or “policy”, the run's own."""
    model: str
    """Name of that model; of both for a policy."""
    length: Count
    """Characters of the body whose places were valued."""
    target: str
    """The answer that counts as right."""
    is_expected: bool
    """False: the target is the text's own answer, so that the values say agreement, not correctness."""
    limit: Count
    """Tokens that a continuation may have."""
    places: tuple[PlaceOutcomes, ...]
    """In the order of the text; at one position the replaced text first."""
    ends_right: bool | None = None
    """The verdict on the text itself; None if it was not graded, or is not complete."""
    is_whole: bool = True
    """False if it was stopped before all places were valued."""
    tokens: Count = 0
    """Tokens of all continuations."""
    seconds: Seconds = 0.0
