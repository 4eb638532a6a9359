"""The protocol between the method and the models: an engine opens sessions, a session reads and writes one text.

A local model, a llama-server and a scripted engine in a test all implement it. It knows nothing of steps, cues or
policies. A session's text is its own rendering of the conversation (template, thinking tags) followed by the shared
*body* (`body.py`); roll-back is implied, since every call passes the whole body that counts.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol, runtime_checkable

from baton_reasoning.core.engines.body import Part
from baton_reasoning.core.engines.model_card import ModelCard
from baton_reasoning.core.engines.usage import Count, Seconds
from baton_reasoning.core.models.options import Sampling


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation; `role` is "system", "user" or "assistant"."""

    role: str
    content: str


Conversation = tuple[Message, ...]


class Alternative(NamedTuple):
    """A token that could have stood there: its text and natural log-probability before sampling filters."""

    id: int | None
    text: str
    logprob: float


class Token(NamedTuple):
    """One written token. `data` may end inside a UTF-8 character, or be empty; the next tokens complete it."""

    id: int | None
    data: bytes
    logprob: float | None = None
    alternatives: tuple[Alternative, ...] = ()
    drafted: bool = False
    """Proposed by the small model and accepted: it saved a decode of the large one, which drew it all the same."""
    rejected_drafts: int = 0
    """Drafts from this position on that were dropped, because the first of them was not this token."""
    entropy: float | None = None
    """Of the whole vocabulary at its position, before sampling filters, in nats; None unless alternatives were asked
    for and the engine sees all probabilities."""


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
    mass: float | None = None
    """Probability that any of the choices comes next, 0 to 1: their sum before it was scaled to 1. None: not known."""

    @classmethod
    def none(cls, choices: int) -> Judgement:
        """Make the judgement of a model that said nothing: all choices are alike."""
        return cls((1 / choices,) * choices)


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
    """Something that a person should know and that did not stop the writing, in one sentence."""

    text: str


class Stop(Enum):
    """Why a session stopped writing by itself."""

    END_OF_TEXT = "end of text"
    LIMIT = "limit"
    CONTEXT_FULL = "context full"
    CANCELLED = "cancelled"


class End(NamedTuple):
    """The last item of a write that was not closed from outside."""

    stop: Stop


class PrefillProgress(NamedTuple):
    """How far a model is with a text that it reads in several chunks: tokens read, of so many; first 0."""

    tokens: int
    total: int


WriteItem = PrefillProgress | Handoff | Token | Notice | End


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
        """Read the body in the background if that delays nothing: a hint that it has grown. Never blocks."""
        ...

    def write(
        self, body: Sequence[Part], limit: int, seed: int, alternatives: int = 0, position: int = 0
    ) -> Generator[WriteItem, None, None]:
        """Read the body, then write at most `limit` tokens after it.

        Yields a Handoff first (after PrefillProgress, if the text is long), then Tokens (and Notices), then an End.
        Closing the iterator stops the engine within one token. The end-of-text token is not part of the text and is
        not yielded. Each token is drawn by the number at its place, the first one at `position`, of the stream `seed`
        (random_numbers.py). So the same body, seed, position and sampling give the same tokens on the same engine,
        alone in its batch, up to near-ties; docs/architecture.md says what repeats exactly.
        `alternatives` asks for that many likeliest tokens (with log-probabilities) at each position.
        Raises ContextFull, EngineLost, EngineRefused.
        """
        ...

    def judge(self, body: Sequence[Part], question: str, choices: tuple[str, ...]) -> Judgement:
        """Weigh each choice as the next token after body and question; nothing of it stays in the text.

        Reads what is new of the body, and the question. All choices are alike if it is cancelled.
        """
        ...

    def score(self, body: Sequence[Part], start: int, alternatives: int = 0) -> Scores:
        """Bring the KV cache to this body, and score the tokens after its first `start` characters.

        A token that lies across `start` is scored too. The tokens are scored by the decode that reads them; of what
        the cache holds already, only the part after `start` is decoded again. `alternatives` asks for that many
        likeliest tokens at each position. A cancelled call returns the tokens scored so far.
        Raises ContextFull, EngineLost; EngineRefused unless the card says `returns_scores`.
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
class UsesDrafts(Protocol):
    """A session whose model can check several drafted tokens in one decode."""

    def use_drafts_of(self, small: Session, *, asked: bool = False) -> bool:
        """Let the small model draft whenever this one writes; return False if the two do not suit.

        `asked`: a person chose it; otherwise the model's load options decide, which draft on a GPU only by default.
        Every token is still drawn from this model's own distribution.
        """
        ...


@runtime_checkable
class RepeatsExactly(Protocol):
    """A session that starts from what earlier sessions left in the KV cache."""

    def repeat_exactly(self) -> None:
        """Reuse only what this session would decode in the same batches, so that a seed repeats its text."""
        ...


class Branch(NamedTuple):
    """A continuation to be written: the text before it, the stream of its random numbers, and its length at most."""

    body: Sequence[Part]
    """Branches of one place share the same object."""
    seed: int
    limit: int


class Continuation(NamedTuple):
    """A branch that has come to its end."""

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
        self, conversation: Conversation, sampling: Sampling, attach: Attach = ignore, *, thinks: bool = True
    ) -> Session:
        """Open a session at the end of the rendered conversation, with thinking opened if the model has the tags.

        `thinks`: False turns the thinking off by the switch of the chat template (`ModelCard.switches_thinking`); then
        the session's card has no thinking tags.

        Nothing is decoded yet. `attach` gets the session before anything that takes time, so that another thread can
        cancel it. Raises ContextFull if the prompt alone does not fit, Cancelled.
        """
        ...

    def close(self) -> None:
        """End all sessions and free the model. Closing twice is allowed."""
        ...
