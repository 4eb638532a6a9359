"""The protocol between the method and the models: an engine opens sessions, a session reads and writes one text.

A local model, a llama-server and a scripted engine in a test all implement it. It knows nothing of steps, cues or
policies. A session's text is its own rendering of the conversation (template, thinking tags) followed by the shared
*body* (`body.py`); roll-back is implied, since every call passes the whole body that counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Hashable, Mapping, Sequence, Set
from contextlib import closing
from dataclasses import dataclass, replace
from enum import Enum
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

from baton_reasoning.core.engines.abilities import USUAL, Ability
from baton_reasoning.core.engines.body import Part
from baton_reasoning.core.engines.usage import Count, Seconds
from baton_reasoning.core.errors import EngineLost
from baton_reasoning.core.models.overrides import NO_OVERRIDES, ModelOverrides
from baton_reasoning.core.models.sampling import Sampling
from baton_reasoning.core.models.source import DemoModel, ModelSource
from baton_reasoning.core.models.thinking_tags import ThinkingTags


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation; `role` is "system", "user" or "assistant"."""

    role: str
    content: str


Messages = tuple[Message, ...]


class Alternative(NamedTuple):
    """A likely token at a position: its text and natural log-probability before sampling filters."""

    id: int | None
    text: str
    logprob: float


class Token(NamedTuple):
    """One written token. `data` may end inside a UTF-8 character, which the next tokens complete."""

    id: int | None
    data: bytes
    logprob: float | None = None
    alternatives: tuple[Alternative, ...] = ()
    drafted: bool = False
    """Drafted by the small model and accepted: it saved a decode of the large one, which sampled it itself."""
    rejected_drafts: int = 0
    """Drafts from this position on that were rejected, because the first of them was not this token."""
    entropy: float | None = None
    """Of the whole vocabulary at its position, before sampling filters, in nats; None unless it or alternatives were
    asked for, and the engine sees all probabilities."""
    held: bool = False
    """Its text comes with a later token: a server told that of several at once. Else a token without data has none."""


class Passing(Enum):
    """How a text reached a model: token ids where both vocabularies are the same, else text."""

    IDS = "ids"
    TEXT = "text"


class Handoff(NamedTuple):
    """What bringing a model's KV cache to a text cost: tokens reused, tokens prefilled, seconds."""

    reused: Count
    prefilled: Count
    seconds: Seconds
    passing: Passing = Passing.IDS


class Judgement(NamedTuple):
    """How likely each choice is to come next (they sum to 1), and what reading the text and the question cost."""

    probabilities: tuple[float, ...]
    handoff: Handoff = Handoff(0, 0, 0.0)

    @classmethod
    def none(cls, choices: int) -> Judgement:
        """Make the judgement of a model that said nothing: all choices are alike."""
        return cls((1 / choices,) * choices)


Head = TypeVar("Head", bound=Hashable)


def first_tokens(choices: Sequence[str], tokenize: Callable[[str], Sequence[int]]) -> list[set[int]]:
    """Return the ids that each choice may begin with, written with and without a blank before it."""
    spellings = [[tokenize(blank + choice) for blank in ("", " ")] for choice in choices]
    return distinctive([{ids[0] for ids in each if ids} for each in spellings])


def distinctive(heads: Sequence[set[Head]]) -> list[set[Head]]:
    """Remove from each choice the tokens that several choices may begin with.

    Vocabularies that split digits from a blank (Qwen, Llama 3, SentencePiece) begin " 4" and " 5" with the same token,
    which says nothing about the digit. A choice that shares all of its first tokens keeps them.
    """
    uses = Counter(chain.from_iterable(heads))
    return [{head for head in each if uses[head] == 1} or each for each in heads]


class ScoredToken(NamedTuple):
    """A token that was read, and the natural log-probability that the model gave it before sampling filters.

    Where a character is split across tokens, the one that completes it holds its text (a server may tell it otherwise).
    """

    id: int | None
    text: str
    logprob: float
    alternatives: tuple[Alternative, ...] = ()
    """The likeliest tokens at its position, the likeliest first."""


class Scores(NamedTuple):
    """How likely a model finds a text: its tokens in order, and the cost of the handoff that scored them."""

    tokens: tuple[ScoredToken, ...] = ()
    handoff: Handoff = Handoff(0, 0, 0.0)

    @property
    def mean_logprob(self) -> float:
        """Mean log-probability of a token, in nats; 0 for an empty text."""
        return sum(token.logprob for token in self.tokens) / len(self.tokens) if self.tokens else 0.0


class Notice(NamedTuple):
    """One sentence for a person about something that did not stop the write."""

    text: str


class Stop(Enum):
    """Why a session stopped writing by itself."""

    END_OF_TEXT = "end of text"
    LIMIT = "limit"
    CONTEXT_FULL = "context full"
    CANCELLED = "cancelled"


class End(NamedTuple):
    """The last item of a write that the caller did not close."""

    stop: Stop


class PrefillProgress(NamedTuple):
    """How much of a long text has been prefilled: `tokens` of `total`; first 0."""

    tokens: int
    total: int


WriteItem = PrefillProgress | Handoff | Token | Notice | End

RAM = "RAM"


@dataclass(frozen=True, slots=True)
class DeviceShare:
    """What one device holds of a loaded model, in bytes, as llama.cpp reports it."""

    device: str
    """`RAM`, or ggml's name of a GPU: “CUDA0”."""
    layers: int
    """The output layer counts as one."""
    weights: int
    cache: int
    """KV cache and recurrent states."""
    compute: int


@dataclass(frozen=True, slots=True)
class Placement:
    """How a model on this machine was loaded, and which devices hold it."""

    shares: tuple[DeviceShare, ...]
    batch: int
    threads: int
    kv_type: str
    fallback: str = ""
    """What was reduced to fit memory: “with 12 of 33 layers on the GPU”."""
    parallel: int = 1
    """Sessions that may decode at the same time, each with the whole context."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a model is and what its engine can do, as data: code reads abilities here instead of guessing."""

    name: str
    vocabulary: str
    """Hash of the tokenizer: models with equal hashes hand over token ids. Empty: unknown."""
    context: int
    """Tokens (prompt and body) that one session may hold."""
    source: ModelSource | None = None
    """What a person would name to open it again."""
    path: Path | None = None
    """The GGUF file, of a model in several files the first; None on a server. Not recorded in traces."""
    location: str = "this machine"
    """Where it runs, as a label: "this machine" or a host name."""
    architecture: str = ""
    quantisation: str = ""
    parameters: int = 0
    thinking: ThinkingTags | None = None
    abilities: frozenset[Ability] = USUAL
    drafting: str = ""
    """The kind of its server's own speculative decoding, in llama.cpp's words (“draft-simple”, “draft-mtp”), or
    “unknown”; empty: none. Drafted tokens come without alternatives."""
    overrides: ModelOverrides = NO_OVERRIDES
    placement: Placement | None = None
    """None on a server."""

    @property
    def identity(self) -> Hashable:
        """What tells this model from others, however it is loaded: name, quantisation, source and location."""
        return self.name, self.quantisation, self.source, self.location

    @property
    def label(self) -> str:
        """The name and the quantisation in one line, for people."""
        return " ".join(f"{self.name} {self.quantisation}".split())

    @property
    def chosen_file(self) -> Path | None:
        """The file that a person chose: the demo model's own where a costly copy of it is loaded; None on a server."""
        return self.source.path if isinstance(self.source, DemoModel) else self.path

    def with_abilities(self, found: Mapping[Ability, bool]) -> ModelCard:
        """Return the card with these abilities, or without them."""
        return replace(self, abilities=frozenset(each for each in Ability if found.get(each, each in self.abilities)))

    def lacking(self, needed: Set[Ability]) -> Ability | None:
        """Return the first of these abilities that it lacks."""
        return next((each for each in Ability if each in needed - self.abilities), None)

    def without_thinking(self) -> ModelCard:
        """Return the card of a session whose thinking is off: its model writes the answer at once."""
        return replace(self, thinking=None)

    def obstacle_to_drafts_of(self, small: ModelCard) -> str:
        """Return why `small` cannot draft for this model, as the rest of a sentence; empty if it can."""
        if not (self.placement and small.placement):
            return "both must be on this machine"
        if not small.vocabulary == self.vocabulary != "":
            return "their vocabularies differ"
        if Ability.TRUNCATION not in small.abilities & self.abilities:
            return "one of them has recurrent memory, from which a rejected draft cannot be cut"
        if self.placement.parallel > 1 or small.placement.parallel > 1:
            return "they are loaded for parallel requests"
        return ""


class Session(Protocol):
    """One text on one model. All calls come from one thread, except `cancel`."""

    @property
    def card(self) -> ModelCard: ...

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the rendered conversation, the opening of thinking included."""
        ...

    def read(self, body: Sequence[Part]) -> Handoff:
        """Bring the KV cache to this body; write nothing.

        Raises ContextFull, EngineLost, EngineRefused.
        """
        ...

    def prefetch(self, body: Sequence[Part]) -> None:
        """Read the body in the background if that delays nothing, or prepare to: a hint that it has grown.

        Never blocks.
        """
        ...

    def write(
        self, body: Sequence[Part], limit: int, seed: int, alternatives: int = 0, position: int = 0, entropy: int = 0
    ) -> Generator[WriteItem, None, None]:
        """Read the body, then write at most `limit` tokens after it.

        Yields a Handoff first (after PrefillProgress, if the text is long), then Tokens (and Notices), then an End.
        Closing the iterator stops the engine within one token. The end-of-text token is not part of the text and is
        not yielded. Each token is drawn by the number at its place, the first one at `position`, of the stream `seed`
        (`number_at`). So the same body, seed, position and sampling give the same tokens on the same engine,
        alone in its batch, up to near-ties; docs/architecture.md says what repeats exactly.
        `alternatives` asks for that many likeliest tokens (with log-probabilities) at each position. `entropy`
        asks for the entropy: an engine that does not see all probabilities lists so many of the likeliest tokens, from
        which it can be estimated. Raises ContextFull, EngineLost, EngineRefused.
        """
        ...

    def judge(self, body: Sequence[Part], question: str, choices: tuple[str, ...]) -> Judgement:
        """Weigh each choice as the next token after body and question; nothing of it stays in the text.

        Reads what is new of the body, and the question. All choices are alike if it is cancelled. Raises ContextFull,
        EngineLost; EngineRefused without `Ability.JUDGEMENTS`.
        """
        ...

    def score(self, body: Sequence[Part], start: int, alternatives: int = 0) -> Scores:
        """Bring the KV cache to this body, and score the tokens after its first `start` characters.

        A token that lies across `start` is scored too. The tokens are scored by the decode that reads them; of what
        the cache holds already, only the part after `start` is decoded again. `alternatives` asks for that many
        likeliest tokens at each position. A cancelled call returns the tokens scored so far.
        Raises ContextFull, EngineLost; EngineRefused without `Ability.SCORES`.
        """
        ...

    def cancel(self) -> None:
        """End this session's work for good, from any thread or a signal handler; it can only be closed after that.

        The running call ends at once, and every later one as it begins: a write with Stop.CANCELLED.
        """
        ...

    def close(self) -> None:
        """Free the session's part of the KV cache. Closing twice is allowed."""
        ...


Attach = Callable[[Session], object]
"""Takes a session that is being opened, in which only `cancel` may be called."""


def ignore(_: Session) -> None:
    """Do nothing: the `attach` of callers who never cancel."""


@runtime_checkable
class OnThisMachine(Protocol):
    """A session whose model runs in a process of this program, which decides what a decode holds."""

    def use_drafts_of(self, small: Session, *, asked: bool = False) -> bool:
        """Let the small model draft whenever this one writes; return False if the two do not suit.

        `asked`: a person chose it; otherwise the model's load options decide, which draft on a GPU only by default.
        Every token is still drawn from this model's own distribution.
        """
        ...

    def repeat_exactly(self) -> None:
        """Reuse of the KV cache only what this session would decode in the same batches.

        So a seed repeats its text, whatever earlier sessions left in the cache.
        """
        ...


class Branch(NamedTuple):
    """A continuation to write: the text before it, the stream of its random numbers, and its most tokens."""

    body: Sequence[Part]
    """Branches of one place share the same object."""
    seed: int
    limit: int


class Continuation(NamedTuple):
    """A finished branch."""

    branch: int
    """Index of the branch."""
    text: str
    tokens: int
    stop: Stop


@runtime_checkable
class WritesBranches(Protocol):
    """A session that writes many continuations of its conversation side by side, sharing what they have in common."""

    def write_branches(self, branches: Sequence[Branch]) -> Generator[Continuation | Notice, None, None]:
        """Write each branch to its end, and yield them as they end; fewer if the session is cancelled.

        The session's own text stays as it is. Each token is drawn by the number at its place (the first one at 0) of
        the branch's stream, as in `Session.write`; as many are decoded at once as memory holds, so that near-ties may
        come out otherwise than in a write alone. Raises ContextFull if a body does not fit, EngineLost.
        """
        ...


class Engine(Protocol):
    """A model that is ready to open sessions. Thread-safe: many sessions may be open at once."""

    @property
    def card(self) -> ModelCard: ...

    def open(
        self, conversation: Messages, sampling: Sampling, attach: Attach = ignore, *, thinks: bool = True
    ) -> Session:
        """Open a session at the end of the rendered conversation, with thinking opened if the model has the tags.

        `thinks`: False turns the thinking off by the switch of the chat template (`Ability.THINKING_SWITCH`); then
        the session's card has no thinking tags.

        Nothing is decoded yet. `attach` gets the session before anything that takes time, so that another thread can
        cancel it. Raises ContextFull if the prompt alone does not fit, Cancelled.
        """
        ...

    def close(self) -> None:
        """End all sessions and free the model. Closing twice is allowed."""
        ...


Item = TypeVar("Item")


def continued(
    write: Callable[[list[Token]], Generator[Item, None, None]],
    repair: Callable[[EngineLost], Generator[Notice, None, None]],
) -> Generator[Item | Notice, None, None]:
    """Yield what `write` yields, and call it again for the rest whenever it raises EngineLost.

    `write` gets the tokens that have arrived so far, and writes on after them. `repair` yields what a person should
    know; it raises the error if that was the last attempt.
    """
    arrived: list[Token] = []
    while True:
        try:
            with closing(write(arrived)) as items:
                for item in items:
                    if isinstance(item, Token):
                        arrived.append(item)
                    yield item
            return
        except EngineLost as lost:
            reason = lost
        yield from repair(reason)


# Random numbers by position -------------------------------------------------------------------------------------------
#
# The number that draws a token is a function of the seed, the writer, the discards so far and the position, however
# many were drawn before. So a text that is begun again after a crash, or that another model drafts, is the text that it
# would have been otherwise.

_GOLDEN = 0x9E3779B97F4A7C15
_64_BITS = (1 << 64) - 1


def stream_of(seed: int, writer: str, discards: int) -> int:
    """The stream of numbers (64 bits) for one writer. `discards`: how often text was discarded before, so that a
    lookahead that is sampled again does not come back word for word."""
    return int.from_bytes(blake2b(f"{seed} {writer} {discards}".encode(), digest_size=8).digest())


def number_at(stream: int, position: int) -> int:
    """The number (31 bits, which no sampler takes for “at random”) of the token after `position` tokens of the text.

    The function is SplitMix64 (Steele, Lea and Flood 2014), whose state after n steps is known without the steps.
    """
    mixed = (stream + (position + 1) * _GOLDEN) & _64_BITS
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _64_BITS
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _64_BITS
    return (mixed ^ (mixed >> 31)) >> 33
