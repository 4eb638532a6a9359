"""What a trace is made of: pieces, steps and totals.

A *piece* is what one author wrote of one step in one go. A step has several pieces where the baton passed inside
it; a takeover has several where it runs over the end of a step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from msgspec.structs import replace

from core.engines.body import Author
from core.thinking.cues import Cue
from core.thinking.events import HandedOver, Judged, TakeoverStarted, TokenWritten


@dataclass(slots=True)
class Piece:
    """A stretch of text by one author; grows while it is being written."""

    author: Author
    step: int
    """Index of its step, from 0."""
    position: int
    """Where it begins in the body, in characters."""
    start: float
    """Seconds into the run at which its decoding began, after the handoff."""
    reason: str | None = None
    """Id of the TakeoverReason; None for the usual writer."""
    takeover: TakeoverStarted | None = None
    """Pieces of one takeover share it."""
    handoff: HandedOver | None = None
    """What it cost to bring its author up to date; of the first piece of a write only."""
    replaced: str = ""
    """Text that went just before: the lookahead or the step that this piece stands in place of."""
    replaced_tokens: int = 0
    counters: Mapping[str, float] = field(default_factory=dict)
    """What the policy had counted when the piece began."""
    in_answer: bool = False
    judged: Judged | None = None
    """The large model's score of the step that ends with this piece, or that it replaced."""
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
    def cue(self) -> Cue | None:
        return self.takeover.cue if self.takeover else None

    @property
    def seconds(self) -> float:
        """Decoding only."""
        return max(0.0, self.end - self.start)

    @property
    def tokens_per_second(self) -> float:
        """By the clock, without the handoff; 0 if it took no time."""
        return len(self.tokens) / self.seconds if self.seconds else 0.0

    def insert(self, text: str) -> None:
        self._fresh.append(text)
        self.length += len(text)

    def append(self, token: TokenWritten) -> None:
        self.tokens.append(token)
        self.insert(token.text)

    def cut(self, length: int) -> list[TokenWritten]:
        """Keep the first `length` characters; returns the tokens that went. One that lies across the cut stays,
        without its id, as much of it as is left."""
        text, end = self.text, self.length
        gone: list[TokenWritten] = []
        while self.tokens and (end > length or not self.tokens[-1].text):
            token = self.tokens.pop()
            start = end - len(token.text)
            if start < length < end:
                self.tokens.append(replace(token, text=token.text[: length - start], id=None, ends_step=False))
                break
            gone.append(token)
            end = start
        self._text, self.length = text[:length], length
        return gone


@dataclass(slots=True)
class Step:
    """Text between two step boundaries, the separator at its end included."""

    index: int
    pieces: list[Piece]

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces)

    @property
    def tokens(self) -> int:
        return sum(len(piece.tokens) for piece in self.pieces)

    @property
    def in_answer(self) -> bool:
        return self.pieces[-1].in_answer

    @property
    def judged(self) -> Judged | None:
        return next((piece.judged for piece in reversed(self.pieces) if piece.judged), None)

    def by(self, author: Author) -> Iterator[Piece]:
        return (piece for piece in self.pieces if piece.author is author)


@dataclass(slots=True)
class Totals:
    """Counts of one author in one run."""

    decoded: int = 0
    """All tokens that it wrote, kept or not."""
    discarded: int = 0
    decode_seconds: float = 0.0
    """Time from each handoff to the last token of its write, summed."""
    reused: int = 0
    prefilled: int = 0
    handoff_seconds: float = 0.0
    takeovers: int = 0

    @property
    def kept(self) -> int:
        return self.decoded - self.discarded

    @property
    def tokens_per_second(self) -> float:
        """Decoding speed by the clock, handoffs excluded; 0 if it took no time."""
        return self.decoded / self.decode_seconds if self.decode_seconds else 0.0
