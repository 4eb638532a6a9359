"""What a trace consists of: pieces by one author each, the steps that they form, and the totals of each author."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from msgspec.structs import replace

from baton_reasoning.core.engines.base import Handoff
from baton_reasoning.core.engines.body import Author, cut_tokens
from baton_reasoning.core.thinking.cues import Cue
from baton_reasoning.core.thinking.events import (
    HandedOver,
    Judged,
    Reading,
    Scored,
    TakeoverStarted,
    TokenWritten,
    Tried,
)
from baton_reasoning.core.thinking.steps import Boundary, Splitter

LEAST_SECONDS = 0.1
"""A piece that was decoded in less time has no speed: tokens arrive in bursts."""


@dataclass(slots=True)
class Piece:
    """A stretch of the text by one author within one step, which grows while it is being written."""

    author: Author
    step: int
    """Index of its step, from 0."""
    position: int
    """Where it begins in the body, in characters."""
    start: float
    """Seconds into the run at which its decoding began, after the handoff."""
    reason: str | None = None
    """Id of the TakeoverReason; None for the default writer."""
    takeover: TakeoverStarted | None = None
    """The takeover that it belongs to; the pieces of one takeover share it."""
    handoff: Handoff | None = None
    """The cost of the handoff to its author, in the first piece of a write."""
    replaced: str = ""
    """The lookahead or step that was discarded just before, and that this piece replaces."""
    replaced_tokens: int = 0
    counters: Mapping[str, float] = field(default_factory=dict)
    """The policy's counters when the piece began."""
    vocabulary: str = ""
    """The vocabulary of its token ids."""
    in_answer: bool = False
    judged: Judged | None = None
    """The judgement of the step that ends with this piece or was replaced by it."""
    tried: Tried | None = None
    """The last trial that began inside this piece or at its end."""
    end: float = 0.0
    tokens: list[TokenWritten] = field(default_factory=list)
    """Empty in an inserted text."""
    length: int = 0
    """Characters."""
    _text: str = ""
    _fresh: list[str] = field(default_factory=list, repr=False)

    @property
    def text(self) -> str:
        if self._fresh:
            self._text += "".join(self._fresh)
            self._fresh.clear()
        return self._text

    @property
    def end_position(self) -> int:
        """Return where it ends in the body, in characters."""
        return self.position + self.length

    @property
    def accepted_drafts(self) -> int:
        """Count the tokens that the small model drafted for this piece of the large one, and that were kept."""
        return sum(token.drafted for token in self.tokens)

    @property
    def drafts(self) -> int:
        """Count the tokens that the small model drafted for it, including the rejected ones."""
        return self.accepted_drafts + sum(token.rejected_drafts for token in self.tokens)

    @property
    def cue(self) -> Cue | None:
        return self.takeover.cue if self.takeover else None

    @property
    def seconds(self) -> float:
        """Return the seconds of decoding, without the handoff."""
        return max(0.0, self.end - self.start)

    @property
    def tokens_per_second(self) -> float:
        """Return the decoding speed by the clock; 0 if too little was written to measure it.

        Tokens are stamped when they arrive, and several may arrive in one message.
        """
        is_measurable = self.seconds >= LEAST_SECONDS and len(self.tokens) > 1
        return len(self.tokens) / self.seconds if is_measurable else 0.0

    def insert(self, text: str) -> None:
        self._fresh.append(text)
        self.length += len(text)

    def append(self, token: TokenWritten) -> None:
        self.tokens.append(token)
        self.insert(token.text)

    def cut(self, length: int) -> list[TokenWritten]:
        """Keep the first `length` characters; return the tokens that were removed."""
        gone = cut_tokens(self.tokens, self.length - length, _shortened)
        self._text, self.length = self.text[:length], length
        return gone


def _shortened(token: TokenWritten, text: str) -> TokenWritten:
    """Return what is left of a token that lies across a cut."""
    return replace(token, text=text, id=None, ends_step=token.ends_step and text[-1:].isspace())


@dataclass(slots=True)
class TraceStep:
    """The text between two step boundaries, including the separator at its end."""

    index: int
    pieces: list[Piece]

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces)

    @property
    def end_position(self) -> int:
        return self.pieces[-1].end_position

    @property
    def tokens(self) -> int:
        return sum(len(piece.tokens) for piece in self.pieces)

    @property
    def in_answer(self) -> bool:
        return self.pieces[-1].in_answer

    def is_over(self, boundary: Boundary) -> bool:
        """Tell whether it ends at a boundary that nothing but white space follows. `boundary`: the run's."""
        for piece in reversed(self.pieces):
            if not piece.tokens:
                return Splitter(piece.text, boundary).at_boundary
            for token in reversed(piece.tokens):
                if token.ends_step or token.text.strip():
                    return token.ends_step
        return False


@dataclass(slots=True)
class Totals:
    """Counts the tokens and the time of one author."""

    decoded: int = 0
    """All tokens that it wrote into the text, whether they were kept or not."""
    discarded: int = 0
    tried: int = 0
    """Tokens of trials, which never enter the text."""
    decode_seconds: float = 0.0
    """Sum of the times from each handoff to the last token of its write."""
    reused: int = 0
    prefilled: int = 0
    reread: int = 0
    """Of the prefilled tokens, those at positions that it had read or written before: its cache had lost them, or held
    text that was discarded."""
    handoff_seconds: float = 0.0
    takeovers: int = 0
    drafts: int = 0
    """Tokens that the small model drafted for this one, including rejected and discarded ones."""
    accepted_drafts: int = 0
    _timed: int = 0
    """Tokens that `tokens_per_second` counts: those of writes of more than one token."""
    _timed_seconds: float = 0.0
    _in_write: int = field(default=0, compare=False)
    """Tokens of the current write."""
    _first_seconds: float = field(default=0.0, compare=False)
    """How long the first of them took."""

    @property
    def kept(self) -> int:
        return self.decoded - self.discarded

    @property
    def tokens_per_second(self) -> float:
        """Return the decoding speed by the clock; 0 if each write had a single token.

        A single token is sampled as soon as the text has been read, so that its time says nothing of decoding.
        """
        return self._timed / self._timed_seconds if self._timed_seconds else 0.0

    def begin_write(self) -> None:
        self._in_write = 0

    def add_token_time(self, seconds: float) -> None:
        """Count a token for the speed, the first of a write once a second one follows."""
        self._in_write += 1
        if self._in_write == 1:
            self._first_seconds = seconds
            return
        if self._in_write == 2:
            self._timed += 1
            self._timed_seconds += self._first_seconds
        self._timed += 1
        self._timed_seconds += seconds


@dataclass(slots=True)
class CacheReach:
    """How far the KV cache of one model has reached into the text, in that model's tokens, the prompt included.

    The question of a judgement and the tokens of a trial are not counted; the `reused` of the next request shows how
    far the cache really reached.
    """

    cached: int = 0
    """Tokens of the present text in the cache, and the last one that was written."""
    furthest: int = 0
    """The most tokens that the cache has held at any time."""

    def read(self, event: Reading) -> int:
        """Count a prefill; return how many of its tokens are at positions that the cache had held before."""
        handoff = event.handoff
        self.furthest = max(self.furthest, handoff.reused)
        self.cached = handoff.reused + handoff.prefilled
        again = max(0, min(self.furthest, self.cached) - handoff.reused)
        if isinstance(event, HandedOver | Scored):
            self.furthest = max(self.furthest, self.cached)
        return again

    def write(self) -> None:
        """Count a written token. It enters the cache when the next one is decoded, so the last of a write does not."""
        self.furthest = max(self.furthest, self.cached)
        self.cached += 1
