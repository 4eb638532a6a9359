"""A run as it stands, built from its events alone: while they arrive, or later from a store. Its pieces, steps, totals.

Views, exports and the batch table read this. Applying a token takes the same short time however long the run is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from msgspec.structs import replace

from core.engines.body import Author, Body, Part
from core.engines.usage import Usage
from core.errors import StoreError
from core.thinking.cues import Cue
from core.thinking.events import (
    CountersChanged,
    Event,
    Finish,
    HandedOver,
    Judged,
    Noticed,
    OpinionGiven,
    Prefetched,
    PrefillProgressed,
    RunEnded,
    RunStarted,
    Scored,
    StepEnded,
    TakeoverEnded,
    TakeoverStarted,
    TextDiscarded,
    TextInserted,
    ThinkingClosed,
    TokenWritten,
    UsageReported,
    WriteStarted,
)
from core.thinking.steps import Splitter


class Trace:
    """Events, and what follows from them. A second `RunStarted` continues the text."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.pieces: list[Piece] = []
        self.steps: list[Step] = []
        self.totals = {author: Totals() for author in Author}
        self.started: RunStarted | None = None
        self.closed: ThinkingClosed | None = None
        self.ended: RunEnded | None = None
        self.notices: list[Noticed] = []
        self.counters: Mapping[str, float] = {}
        """What the policy has counted, by name."""
        self.prefetches: list[Prefetched] = []
        """Prefetch requests of servers, with times of the whole trace, in which resumed runs follow each other."""
        self.usage: dict[Author, Usage] = {}
        """Usage of each model on a server; no entry for a model on this machine."""
        self.prefill: PrefillProgressed | None = None
        """How far the next writer has read a long text; None once it has read it."""
        self.opinion: OpinionGiven | None = None
        """What the large model thought of the finished text; None if it was not asked, or what it read is gone."""
        self.handoffs = 0
        """How often the writer changed."""
        self.length = 0
        """Characters of the body."""
        self.seconds = 0.0
        self._offset = 0.0
        self._earlier_usage: dict[Author, Usage] = {}
        self._writer: Author | None = None
        self._new_piece = True
        self._step_over = False
        self._capped: set[int] = set()
        """Positions at which a step ended without a boundary."""
        self._write: WriteStarted | None = None
        self._takeover: TakeoverStarted | None = None
        self._handoff: HandedOver | None = None
        self._judged: Judged | None = None
        self._replaced: list[TextDiscarded] = []
        self._came_to_nothing = False
        """Whether no token came of the last takeover."""
        self._last_at = 0.0

    @classmethod
    def of(cls, events: Iterable[Event]) -> Trace:
        trace = cls()
        for event in events:
            trace.apply(event)
        return trace

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces)

    def text_between(self, start: int, end: int) -> str:
        """Characters `start` to `end`; short if they are near the end of the text, however long it is."""
        first = len(self.pieces)
        while first and self.pieces[first - 1].position + self.pieces[first - 1].length > start:
            first -= 1
        if first == len(self.pieces):
            return ""
        offset = self.pieces[first].position
        return "".join(piece.text for piece in self.pieces[first:])[max(0, start - offset) : max(0, end - offset)]

    @property
    def thinking_text(self) -> str:
        """Without the closing tag. Empty if the model has no thinking tags."""
        if self.closed:
            return self.text[: self.closed.position].removesuffix(self.closed.tag)
        return self.text if self.thinks else ""

    @property
    def answer(self) -> str:
        """The text after the thinking; the whole text if the model has no thinking tags."""
        if self.closed:
            return self.text[self.closed.position :]
        return "" if self.thinks else self.text

    @property
    def thinks(self) -> bool:
        return self.closed is not None or (self.started is not None and self.started.thinking)

    @property
    def finish(self) -> Finish | None:
        """None while the run is going on."""
        return self.ended.finish if self.ended else None

    @property
    def tokens(self) -> int:
        """Tokens kept, of both models."""
        return sum(total.kept for total in self.totals.values())

    @property
    def large_share(self) -> float:
        """Tokens the large model wrote / all tokens written, 0 to 1 (the paper's modify ratio)."""
        return self.totals[Author.LARGE].kept / max(1, self.tokens)

    def apply(self, event: Event) -> None:  # noqa: C901, PLR0915
        """Add the next event. `PrefillProgressed` is not kept; it only sets `prefill`."""
        if isinstance(event, PrefillProgressed):
            self.prefill, self.seconds = event, self._offset + event.at
            return
        if isinstance(event, OpinionGiven):  # after the run: none of its seconds
            self.events.append(event)
            self.opinion = event
            return
        if isinstance(event, WriteStarted | HandedOver | RunEnded):
            self.prefill = None
        self.events.append(event)
        if isinstance(event, RunStarted):
            self._offset = self.seconds
            self._earlier_usage = dict(self.usage)
            self.started, self.ended, self._writer, self._new_piece = event, None, None, True
        self.seconds = self._offset + event.at
        match event:
            case TokenWritten():
                self._token(event)
            case WriteStarted():
                self._write, self._handoff, self._new_piece = event, None, True
                self._last_at = self.seconds
            case HandedOver(author=author):
                self._handed_over(event, self.totals[author])
            case TakeoverStarted(author=author):
                self._takeover = event
                self.totals[author].takeovers += 1
            case TakeoverEnded(tokens=tokens):
                self._takeover, self._new_piece, self._came_to_nothing = None, True, not tokens
            case TextInserted(text=text, reason=reason):
                self._begin_piece(Author.INSERTED, reason, self.seconds).insert(text)
                self.length += len(text)
                self._new_piece, self._step_over = True, Splitter(text).at_boundary
            case TextDiscarded():
                self._discard(event)
            case StepEnded(position=position):
                self._capped.add(position)
                self._step_over = True
            case ThinkingClosed():
                self.closed, self._step_over = event, True
            case Judged(author=author, reused=reused, prefilled=prefilled):
                self._judged = event
                self.totals[author].reused += reused
                self.totals[author].prefilled += prefilled
                if self.pieces:
                    self.pieces[-1].judged = event
            case Scored(author=author, reused=reused, prefilled=prefilled):
                self.totals[author].reused += reused
                self.totals[author].prefilled += prefilled
                if self.pieces:
                    self.pieces[-1].scored = event
            case CountersChanged(counters=counters):
                self.counters = counters
            case Prefetched(began=began):
                self.prefetches.append(replace(event, at=self.seconds, began=self._offset + began))
            case UsageReported(author=author, usage=usage):
                self.usage[author] = self._earlier_usage.get(author, Usage()).plus(usage)
            case Noticed():
                self.notices.append(event)
            case RunEnded():
                self.ended = event

    def parts(self) -> list[Part]:
        """The body, with token ids, as a loop takes it to continue the text.

        Raises StoreError if the thinking is closed where no closing tag stands.
        """
        closed, body = self.closed, Body()
        for piece in self.pieces:
            for text, id in [(token.text, token.id) for token in piece.tokens] or [(piece.text, None)]:
                body.append(Part(text, piece.author, id, piece.vocabulary if id is not None else ""))
                if closed and len(body) >= closed.position:
                    if closed.tag not in body.text:
                        raise StoreError("The trace closes the thinking where no closing tag stands.", "It is damaged.")
                    body.mark_closing(closed.tag)
                    closed = None
        return body.parts

    def _token(self, event: TokenWritten) -> None:
        total = self.totals[event.author]
        total.decoded += not event.restored
        total.discarded -= event.restored
        total.accepted_drafts += event.drafted
        total.drafts += event.drafted + event.rejected_drafts
        total.decode_seconds += self.seconds - self._last_at
        if (
            self._new_piece
            or self.pieces[-1].author is not event.author
            or (self._step_over and not event.text.isspace())
        ):
            reason = self._write.reason if self._write and not event.restored else None
            if event.restored and self._came_to_nothing:
                self._replaced = []  # the lookahead stands again, and was replaced by nothing
            self._begin_piece(event.author, reason, self._last_at)
        piece = self.pieces[-1]
        piece.append(event)
        piece.end = self._last_at = self.seconds
        self.length += len(event.text)
        self._step_over |= event.ends_step

    def _begin_piece(self, author: Author, reason: str | None, start: float) -> Piece:
        step = self.pieces[-1].step + self._step_over if self.pieces else 0
        written = author is not Author.INSERTED
        piece = Piece(
            author,
            step,
            self.length,
            start,
            reason,
            takeover=self._takeover if self._takeover and author is self._takeover.author else None,
            handoff=self._handoff if written else None,
            replaced="".join(gone.text for gone in self._replaced),
            replaced_tokens=sum(gone.tokens for gone in self._replaced),
            counters=self.counters,
            vocabulary=self._vocabulary_of(author),
            in_answer=self.closed is not None,
            judged=self._judged if self._replaced else None,
            end=start,
        )
        self._replaced, self._new_piece, self._step_over, self._judged = [], False, False, None
        self._handoff = None if written else self._handoff
        self.pieces.append(piece)
        if step == len(self.steps):
            self.steps.append(Step(step, []))
        self.steps[step].pieces.append(piece)
        return piece

    def _vocabulary_of(self, author: Author) -> str:
        """Of the model that writes now: a text may be continued by another pair."""
        models = {Author.SMALL: self.started.small, Author.LARGE: self.started.large} if self.started else {}
        model = models.get(author)
        return model.vocabulary if model else ""

    def _handed_over(self, event: HandedOver, total: Totals) -> None:
        self._handoff, self._last_at = event, self.seconds
        total.reused += event.reused
        total.prefilled += event.prefilled
        total.handoff_seconds += event.seconds
        self.handoffs += self._writer not in (None, event.author)
        self._writer = event.author

    def _discard(self, event: TextDiscarded) -> None:
        while self.pieces and self.length >= event.position:
            piece = self.pieces[-1]
            for token in piece.cut(max(0, event.position - piece.position)):
                self.totals[token.author].discarded += 1
            self.length = piece.position + piece.length
            if piece.length or piece.tokens:
                break
            self.pieces.pop()
            self.steps[piece.step].pieces.pop()
            if not self.steps[piece.step].pieces:
                self.steps.pop()
        if self.closed and event.position < self.closed.position:
            self.closed = None
        self._capped = {position for position in self._capped if position <= event.position}
        if self.opinion and event.position < self.opinion.length:
            self.opinion = None
        self._replaced.append(event)
        self._new_piece, self._step_over = True, self._at_end_of_step()

    def _at_end_of_step(self) -> bool:
        if not self.pieces:
            return False
        closed_here = self.closed is not None and not self.pieces[-1].in_answer
        return closed_here or self.length in self._capped or self.steps[-1].is_over


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
    """Id of the TakeoverReason; None for the default writer."""
    takeover: TakeoverStarted | None = None
    """Pieces of one takeover share it."""
    handoff: HandedOver | None = None
    """The cost of the handoff to its author; only for the first piece of a write."""
    replaced: str = ""
    """Text discarded just before: the lookahead or the step that this piece replaces."""
    replaced_tokens: int = 0
    counters: Mapping[str, float] = field(default_factory=dict)
    """What the policy had counted when the piece began."""
    vocabulary: str = ""
    """Of its token ids."""
    in_answer: bool = False
    judged: Judged | None = None
    """The large model's score of the step that ends with this piece, or that it replaced."""
    scored: Scored | None = None
    """How likely the large model found the step that ends with this piece."""
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
    def accepted_drafts(self) -> int:
        """Tokens that the small model drafted for this piece of the large one, and that were kept."""
        return sum(token.drafted for token in self.tokens)

    @property
    def drafts(self) -> int:
        """Tokens that the small model drafted for it, the rejected ones too."""
        return self.accepted_drafts + sum(token.rejected_drafts for token in self.tokens)

    @property
    def cue(self) -> Cue | None:
        return self.takeover.cue if self.takeover else None

    @property
    def seconds(self) -> float:
        """Decoding only."""
        return max(0.0, self.end - self.start)

    @property
    def tokens_per_second(self) -> float:
        """By the clock, without the handoff; 0 for a single token, whose time says nothing about decoding."""
        return len(self.tokens) / self.seconds if self.seconds and len(self.tokens) > 1 else 0.0

    def insert(self, text: str) -> None:
        self._fresh.append(text)
        self.length += len(text)

    def append(self, token: TokenWritten) -> None:
        self.tokens.append(token)
        self.insert(token.text)

    def cut(self, length: int) -> list[TokenWritten]:
        """Keep the first `length` characters; returns the tokens that were cut. One that lies across the
        cut keeps its first part, without its id; without theirs stay those whose text it completed."""
        text, end = self.text, self.length
        gone: list[TokenWritten] = []
        while self.tokens and (end > length or not self.tokens[-1].text):
            token = self.tokens.pop()
            start = end - len(token.text)
            if start < length < end:
                rest = token.text[: length - start]
                for place in reversed(range(len(self.tokens))):
                    if self.tokens[place].text:
                        break
                    self.tokens[place] = replace(self.tokens[place], id=None)
                ends_step = token.ends_step and rest[-1].isspace()
                self.tokens.append(replace(token, text=rest, id=None, ends_step=ends_step))
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
    def is_over(self) -> bool:
        """Whether nothing but white space follows the boundary at its end."""
        for piece in reversed(self.pieces):
            if not piece.tokens:
                return Splitter(piece.text).at_boundary
            for token in reversed(piece.tokens):
                if token.ends_step or token.text.strip():
                    return token.ends_step
        return False

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
    drafts: int = 0
    """Tokens that the small model drafted for this one, the rejected and the discarded ones too."""
    accepted_drafts: int = 0

    @property
    def kept(self) -> int:
        return self.decoded - self.discarded

    @property
    def tokens_per_second(self) -> float:
        """Decoding speed by the clock, handoffs excluded; 0 for a single token, whose time says nothing about it."""
        return self.decoded / self.decode_seconds if self.decode_seconds and self.decoded > 1 else 0.0
