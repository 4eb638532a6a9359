"""The seam between the method and the models: an engine opens sessions, a session reads and writes one text.

A local model, a llama-server and a scripted engine in a test all speak this protocol. It knows nothing of
steps, cues or policies. A session's text is its own rendering of the conversation (template, thinking tags)
followed by the shared *body* (`body.py`); roll-back is implied, since every call names the whole body that counts.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol

from core.engines.body import Part


class Message(NamedTuple):
    """One turn of a conversation; `role` is "system", "user" or "assistant"."""

    role: str
    content: str


Conversation = tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is drawn: paper §4 defaults. Temperature 0 is greedy, top_k 0 is no limit."""

    temperature: float = 0.6
    top_p: float = 0.95
    top_k: int = 50


@dataclass(frozen=True, slots=True)
class ThinkingTags:
    """What opens and closes the thinking of a model, as text: `<think>` and `</think>` for most."""

    opening: str
    closing: str


NO_TAGS = ThinkingTags("", "")
"""Of a model that does not think, whatever its chat template speaks of."""


@dataclass(frozen=True, slots=True)
class OwnSettings:
    """What a person set for one model, in place of the run's settings and of what its file says. None leaves them."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    thinking: ThinkingTags | None = None
    """Other tags than its chat template speaks of, or NO_TAGS."""
    cue_list: str = ""
    """The cues of its family, as JSON (`resources/cues`), for when it is the small model."""

    def sampling(self, run: Sampling) -> Sampling:
        """The run's sampling, with this model's own values in their places."""
        return Sampling(
            run.temperature if self.temperature is None else self.temperature,
            run.top_p if self.top_p is None else self.top_p,
            run.top_k if self.top_k is None else self.top_k,
        )

    def tags(self, guessed: ThinkingTags | None) -> ThinkingTags | None:
        """The tags that hold, where `guessed` are those of the chat template."""
        if self.thinking is None:
            return guessed
        return self.thinking if self.thinking != NO_TAGS else None


@dataclass(frozen=True, slots=True)
class DeviceShare:
    """What one device holds of a loaded model, in bytes, as llama.cpp says."""

    device: str
    """“RAM”, or ggml's name of a GPU: “CUDA0”."""
    layers: int
    """The output layer counts as one."""
    weights: int
    cache: int
    """KV cache and running states."""
    compute: int
    mapped: int = 0
    """Of the weights, pages of the file itself, which the system takes back when memory is short."""


@dataclass(frozen=True, slots=True)
class Placement:
    """How a model on this machine was really loaded, and where it lies."""

    shares: tuple[DeviceShare, ...]
    batch: int
    threads: int
    kv_type: str
    retreat: str = ""
    """What is less than was asked for, for want of memory: “with 12 of 33 layers on the GPU”."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a model is and what its engine can do: capabilities are data, nobody guesses them."""

    name: str
    vocabulary: str
    """Hash of the tokenizer; equal hashes mean that token ids may be handed over. Empty: not known."""
    context: int
    """Tokens (prompt and body) that one session may hold."""
    place: str = "this machine"
    """Where it runs, for people: "this machine" or a host name."""
    architecture: str = ""
    quantisation: str = ""
    parameters: int = 0
    thinking: ThinkingTags | None = None
    gives_ids: bool = True
    gives_alternatives: bool = True
    can_be_cut: bool = True
    """False: recurrent or hybrid memory, rolled back through snapshots."""
    reads_along: bool = False
    """True: `read_along` does something, because the model sits on a device of its own."""
    drafts: bool = False
    """True: it writes by speculative decoding; drafted tokens come without alternatives."""
    own: OwnSettings = OwnSettings()
    placement: Placement | None = None
    """None on a server."""

    @property
    def gives_all_alternatives(self) -> bool:
        """Also after the first token of a write."""
        return self.gives_alternatives and not self.drafts


class Alternative(NamedTuple):
    """A token that could have stood there: its text and natural log-probability before sampling filters."""

    id: int | None
    text: str
    logprob: float


class Token(NamedTuple):
    """One written token. `data` may end inside a UTF-8 character; the next tokens complete it."""

    id: int | None
    data: bytes
    logprob: float | None = None
    alternatives: tuple[Alternative, ...] = ()


class Passing(Enum):
    """How a text reached a model: token ids where both vocabularies are the same, else text."""

    IDS = "ids"
    TEXT = "text"


class Handoff(NamedTuple):
    """What bringing a model's KV cache to a text cost: tokens reused, tokens prefilled, seconds."""

    reused: int
    prefilled: int
    seconds: float
    passing: Passing = Passing.IDS


class Judgement(NamedTuple):
    """How likely each choice is to come next (they sum to 1), and what reading the text and the question cost."""

    probabilities: tuple[float, ...]
    handoff: Handoff = Handoff(0, 0, 0.0)

    @classmethod
    def none(cls, choices: int) -> Judgement:
        """Nothing was said: all choices are alike."""
        return cls((1 / choices,) * choices)


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


WriteItem = Handoff | Token | Notice | End


class Session(Protocol):
    """One text on one model. Calls come from one thread, but for `cancel`."""

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

    def read_along(self, body: Sequence[Part]) -> None:
        """A hint that the body has grown: read it in the background if that delays nothing. Never blocks."""
        ...

    def write(
        self, body: Sequence[Part], limit: int, seed: int, alternatives: int = 0
    ) -> Generator[WriteItem, None, None]:
        """Read the body, then write at most `limit` tokens after it.

        Yields a Handoff first, then Tokens (and Notices), then an End. Closing the iterator stops the engine
        within one token. The end-of-text token is not part of the text and is not yielded. The same body,
        seed and sampling give the same tokens on the same engine, alone in its batch. `alternatives` asks for
        that many likeliest tokens (with log-probabilities) at each position.
        Raises ContextFull, EngineLost, EngineRefused.
        """
        ...

    def judge(self, body: Sequence[Part], question: str, choices: tuple[str, ...]) -> Judgement:
        """Probabilities of each choice as the next token after body and question; leaves no trace in the text.

        All alike if it is cancelled. Reads what is new of the body, and the question.
        """
        ...

    def cancel(self) -> None:
        """Stop what is going on, from any thread; a running write ends with Stop.CANCELLED."""
        ...

    def close(self) -> None:
        """Free the session's part of the KV cache. Closing twice is allowed."""
        ...


class Engine(Protocol):
    """A model that is ready to open sessions. Thread-safe: many sessions may be open at once."""

    @property
    def card(self) -> ModelCard: ...

    def open(self, conversation: Conversation, sampling: Sampling) -> Session:
        """A new session at the end of the rendered conversation, thinking opened if the model has the tags.

        Nothing is decoded yet. Raises ContextFull if the prompt alone does not fit.
        """
        ...

    def count_tokens(self, text: str) -> int: ...

    def close(self) -> None:
        """End all sessions and free the model. Closing twice is allowed."""
        ...
