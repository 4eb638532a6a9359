"""Builds a trace of a run from its events alone, while it runs or later from a store: pieces by one author each, the
steps that they form, and the totals of each author.

Views, exports and the batch table read it. Adding a token takes the same short time however long the run is.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, takewhile
from typing import NamedTuple

from msgspec.structs import replace

from baton_reasoning.core.engines.base import Handoff, ModelCard
from baton_reasoning.core.engines.body import Author, Body, Part, cut_tokens
from baton_reasoning.core.engines.usage import Usage
from baton_reasoning.core.errors import StoreError
from baton_reasoning.core.thinking import events
from baton_reasoning.core.thinking.cues import Cue
from baton_reasoning.core.thinking.events import Event, Finish, TokenWritten
from baton_reasoning.core.thinking.reasons import ALONE, ANSWER_NOW, EDITED, PERSON
from baton_reasoning.core.thinking.steps import Boundary, Splitter, recorded_boundary
from baton_reasoning.core.thinking.text import Text


@dataclass(slots=True)
class Piece:
    """A stretch of the text by one author within one step and one run, which grows while it is being written."""

    author: Author
    step: int
    """Index of its step, from 0."""
    position: int
    """Where it begins in the body, in characters."""
    start: float
    """Seconds into the run at which its decoding began, after the handoff."""
    reason: str | None = None
    """Id of the TakeoverReason; None for the default writer."""
    takeover: events.TakeoverStarted | None = None
    """The takeover that it belongs to; the pieces of one takeover share it."""
    handoff: Handoff | None = None
    """The cost of the handoff to its author, in the first piece of a write."""
    replaced: str = ""
    """The lookahead or step that was discarded just before, and that this piece replaces."""
    replaced_tokens: int = 0
    counters: Mapping[str, float] = field(default_factory=dict)
    """The policy's counters when the piece began."""
    run: events.RunStarted | None = None
    """The run in which it was written, with its models, policy and settings; None for what a person wrote."""
    in_answer: bool = False
    judged: events.Judged | None = None
    """The judgement of the step that ends with this piece or was replaced by it."""
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
    def card(self) -> ModelCard | None:
        """Return the model that wrote it; None for text of no model, and where the trace does not say."""
        return self.run.cards.get(self.author) if self.run else None

    @property
    def writer(self) -> Hashable:
        """Return what is the same in all pieces of one model, of a policy or of a person."""
        return _writer(self.author, self.card)

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


def _writer(author: Author, card: ModelCard | None) -> Hashable:
    return author, card and card.identity


def _shortened(token: TokenWritten, text: str) -> TokenWritten:
    """Return what is left of a token that lies across a cut."""
    return replace(token, text=text, id=None, ends_step=token.ends_step and text[-1:].isspace())


class ModelShare(NamedTuple):
    """What one model wrote of a text."""

    author: Author
    """Whether it was the small or the large model."""
    card: ModelCard | None
    """As it was loaded last; None where the trace does not say."""
    tokens: int
    """That stand."""


def piece_before(pieces: Sequence[Piece], position: int) -> Piece | None:
    """Return the last of these pieces that begins before a place."""
    index = bisect_left(pieces, position, key=lambda piece: piece.position) - 1
    return pieces[index] if index >= 0 else None


def thinking_pieces(trace: Trace) -> list[Piece]:
    """Return what is shown as steps: all but the answer, white space, and a closing tag that a model wrote alone."""
    tag = trace.closed.tag if trace.closed else ""
    thinking = ((piece, piece.text.strip()) for piece in trace.pieces if not piece.in_answer)
    return [piece for piece, text in thinking if text and (text != tag or piece.author is Author.INSERTED)]


@dataclass(slots=True)
class TraceStep:
    """The text between two step boundaries, including the separator at its end."""

    pieces: list[Piece] = field(default_factory=list)

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
    """Counts the tokens and the time of one author, and how far its KV cache has reached into the text."""

    decoded: int = 0
    """All tokens that it wrote into the text, whether they were kept or not."""
    discarded: int = 0
    tried: int = 0
    """Tokens of trials, which never enter the text."""
    decode_seconds: float = 0.0
    """Sum of the times from each handoff to the last token of its write."""
    reused: int = 0
    inherited: int = 0
    """Of the reused tokens, those that the cache held from another answer."""
    prefilled: int = 0
    recomputed: int = 0
    """Of the prefilled tokens, those at positions that it had read or written before: its cache had lost them, or held
    text that was discarded."""
    handoff_seconds: float = 0.0
    takeovers: int = 0
    drafts: int = 0
    """Tokens that the small model drafted for this one, including rejected and discarded ones."""
    accepted_drafts: int = 0
    _timed: int = 0
    """Tokens that `tokens_per_second` counts: all but the first of each write."""
    _timed_seconds: float = 0.0
    _is_in_write: bool = field(default=False, compare=False)
    """Whether the current write has its first token."""
    _cached: int = 0
    """Tokens of the present text and its prompt in the cache, and the last one that was written."""
    _furthest: int = 0
    """The most tokens that the cache has held at any time."""

    @property
    def kept(self) -> int:
        return self.decoded - self.discarded

    @property
    def read_tokens(self) -> int:
        """Return the tokens that it had to read, also those that an answer before this one left in its cache: so
        equal runs have equal counts, whatever ran before them."""
        return self.prefilled + self.inherited

    @property
    def tokens_per_second(self) -> float:
        """Return the decoding speed by the clock; 0 if each write had a single token.

        The first token of a write is sampled as soon as the text has been read, so its time says nothing of decoding.
        """
        return self._timed / self._timed_seconds if self._timed_seconds else 0.0

    def begin_write(self) -> None:
        self._is_in_write = False

    def read(self, event: events.Reading) -> None:
        """Count a prefill. The question of a judgement and the tokens of a trial do not count as held by the cache; the
        `reused` of the next request shows how far it really reached."""
        handoff = event.handoff
        self.reused += handoff.reused
        self.inherited += max(0, handoff.reused - self._furthest)
        self.prefilled += handoff.prefilled
        self._furthest = max(self._furthest, handoff.reused)
        self._cached = handoff.reused + handoff.prefilled
        self.recomputed += max(0, min(self._furthest, self._cached) - handoff.reused)
        if isinstance(event, events.HandedOver | events.Scored):
            self._furthest = max(self._furthest, self._cached)

    def write(self, token: TokenWritten, seconds: float) -> None:
        """Count a token. It enters the cache when the next one is decoded, so that the last of a write does not."""
        self.decoded += 1
        self.accepted_drafts += token.drafted
        self.drafts += token.drafted + token.rejected_drafts
        self.decode_seconds += seconds
        self._furthest = max(self._furthest, self._cached)
        self._cached += 1
        if self._is_in_write:
            self._timed += 1
            self._timed_seconds += seconds
        self._is_in_write = True


class Trace:
    """Holds the events of a run and all that follows from them. A second `RunStarted` continues the text."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.pieces: list[Piece] = []
        self.steps: list[TraceStep] = []
        self.totals = {author: Totals() for author in Author}
        self.started: events.RunStarted | None = None
        self.closed: events.ThinkingClosed | None = None
        self.ended: events.RunEnded | None = None
        self.notices: list[events.Noticed] = []
        self.counters: Mapping[str, float] = {}
        """The policy's counters."""
        self.prefetches: list[events.Prefetched] = []
        """Prefetch requests of servers, with times of the whole trace, in which resumed runs follow one another."""
        self.usage: dict[Author, Usage] = {}
        """Usage of each model on a server; there is no entry for a model on this machine."""
        self.prefill: events.PrefillProgressed | None = None
        """How much of a long text the next writer has read; None once it has read all of it."""
        self.opinion: events.OpinionGiven | None = None
        """The second opinion on the text; None if there is none, or if text that it covers was discarded."""
        self.values: dict[str, events.ValuesEstimated] = {}
        """The values of places of the text, by writer; there are none if text that they cover was discarded."""
        self.takeover: events.TakeoverStarted | None = None
        """The takeover that has begun and not ended."""
        self.is_steered = False
        """Whether a person began or ended a takeover, or ended the thinking."""
        self.handoffs = 0
        """Number of changes of the writer."""
        self.seconds = 0.0
        self.answer_began: float | None = None
        """Seconds to the first token of the answer that is more than white space."""
        self._answer_begun_at = 0
        """Where that token ends."""
        self._offset = 0.0
        self._earlier_usage: dict[Author, Usage] = {}
        self._writer: Author | None = None
        self._new_piece = True
        self._step_over = False
        self._capped: set[int] = set()
        """Positions at which a step ended without a boundary."""
        self._write: events.WriteStarted | None = None
        self._handoff: Handoff | None = None
        self._judged: events.Judged | None = None
        self._replaced: list[events.TextDiscarded] = []
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

    @property
    def length(self) -> int:
        """Return the number of characters of the body."""
        return self.pieces[-1].end_position if self.pieces else 0

    def text_between(self, start: int, end: int) -> str:
        """Return characters `start` to `end`: quickly near the end of a text, however long it is."""
        first = max(0, bisect_right(self.pieces, start, key=lambda piece: piece.position) - 1)
        offset = self.pieces[first].position if self.pieces else 0
        return "".join(piece.text for piece in self.pieces[first:])[max(0, start - offset) : max(0, end - offset)]

    @property
    def thinking_text(self) -> str:
        """Return the thinking without its closing tag; empty if the model has no thinking tags."""
        if self.closed:
            return self.text[: self.closed.position].removesuffix(self.closed.tag)
        return self.text if self.thinks else ""

    @property
    def answer(self) -> str:
        """Return the text after the thinking; the whole text if the model has no thinking tags."""
        if self.closed:
            return self.text[self.closed.position :]
        return "" if self.thinks else self.text

    @property
    def thinks(self) -> bool:
        return self.closed is not None or (self.started is not None and self.started.thinking)

    @property
    def is_thinking(self) -> bool:
        """Tell whether the thinking is open: it has begun, and neither it nor the run has ended."""
        return self.thinks and self.closed is None and self.ended is None

    @property
    def finish(self) -> Finish | None:
        """Return how the run ended; None while it is going on."""
        return self.ended.finish if self.ended else None

    @property
    def tokens(self) -> int:
        """Return the number of tokens of both models that were kept."""
        return sum(total.kept for total in self.totals.values())

    @property
    def large_share(self) -> float:
        """Return the large model's share of the kept tokens, 0 to 1 (the paper's modify ratio)."""
        return self.totals[Author.LARGE].kept / max(1, self.tokens)

    @property
    def runs(self) -> list[events.RunStarted]:
        """Return the runs of which some text stands, in order."""
        return list({id(piece.run): piece.run for piece in self.pieces if piece.run}.values())

    @property
    def models(self) -> list[ModelShare]:
        """Return the models of which some tokens stand, in the order in which they began to write, then those of the
        last run of which none do."""
        models: dict[Hashable, ModelShare] = {}

        def add(author: Author, card: ModelCard | None, tokens: int) -> None:
            key = _writer(author, card)
            models[key] = ModelShare(author, card, tokens + (models[key].tokens if key in models else 0))

        for _, group in groupby(self.pieces, key=lambda piece: id(piece.run)):
            pieces = [piece for piece in group if piece.tokens]
            for author in dict.fromkeys(piece.author for piece in pieces):
                own = [piece for piece in pieces if piece.author is author]
                add(author, own[0].card, sum(len(piece.tokens) for piece in own))
        for author, card in self.started.cards.items() if self.started else ():
            add(author, card, 0)
        return list(models.values())

    @property
    def writers(self) -> list[ModelShare]:
        """Return the models of which some tokens stand."""
        return [model for model in self.models if model.tokens]

    @property
    def takeovers(self) -> int:
        """Return the number of takeovers: by the large model, or by the small one where the large one writes."""
        return sum(total.takeovers for total in self.totals.values())

    def apply(self, event: Event) -> None:
        """Add the next event. `PrefillProgressed` is not kept."""
        if isinstance(event, events.PrefillProgressed):
            self.prefill, self.seconds = event, self._offset + event.at
            return
        self.events.append(event)
        if isinstance(event, events.OpinionGiven):  # after the run: none of its seconds
            self.opinion = event
            return
        if isinstance(event, events.ValuesEstimated):
            self.values.pop(event.writer, None)  # the last one is at the end
            self.values[event.writer] = event
            return
        if isinstance(event, events.RunStarted):
            self._start(event)
        self.seconds = self._offset + event.at
        if isinstance(event, TokenWritten):
            self._token(event)
        else:
            self._apply_to_text(event)
            self._apply_to_costs(event)

    def _start(self, event: events.RunStarted) -> None:
        self._offset = self.seconds
        self._earlier_usage = dict(self.usage)
        self.started, self.ended, self.takeover, self._writer = event, None, None, None
        self._new_piece = True

    def _apply_to_text(self, event: Event) -> None:
        match event:
            case events.WriteStarted():
                self._write, self._handoff, self._new_piece = event, None, True
                self._last_at, self.prefill = self.seconds, None
                self.totals[event.author].begin_write()
            case events.TakeoverStarted(author=author):
                self.takeover = event
                self.totals[author].takeovers += event.reason not in ALONE
                self.is_steered |= event.reason == PERSON.id
            case events.TakeoverEnded():
                self.takeover, self._new_piece = None, True
                self.is_steered |= event.by_hand
            case events.TextInserted(text=text, reason=reason, author=author):
                self.is_steered |= reason == ANSWER_NOW.id
                self._begin_piece(author, reason, self.seconds).insert(text)
                self._new_piece, self._step_over = True, Splitter(text, self._boundary).at_boundary
            case events.TextDiscarded():
                self._discard(event)
            case events.StepEnded(position=position):
                self._capped.add(position)
                self._step_over = True
            case events.ThinkingClosed():
                self._close(event)
            case events.Judged():
                self._judged = event
                if self.pieces:
                    self.pieces[-1].judged = event

    def _apply_to_costs(self, event: Event) -> None:
        if isinstance(event, events.Reading):
            self.totals[event.author].read(event)
        match event:
            case events.HandedOver():
                self._handed_over(event)
            case events.Tried(author=author, tokens=tokens):
                self.totals[author].tried += len(tokens)
            case events.CountersChanged(counters=counters):
                self.counters = counters
            case events.Prefetched(began=began):
                self.prefetches.append(replace(event, at=self.seconds, began=self._offset + began))
            case events.UsageReported(author=author, usage=usage):
                self.usage[author] = self._earlier_usage.get(author, Usage()).plus(usage)
            case events.Noticed():
                self.notices.append(event)
            case events.RunEnded():
                self.ended, self.prefill = event, None

    def until(self, position: int) -> Trace:
        """Return a new trace that ends `position` characters into the body, or before the token that lies across it.

        Decisions at that position, and text that was discarded for them, are left out: they are made again.
        """
        length, kept = 0, list[tuple[int, int]]()
        """`kept`: where each token and inserted text that was not discarded ends, and the number of events up to it."""
        for number, event in enumerate(self.events, 1):
            if isinstance(event, events.TextDiscarded):
                length = event.position
                while kept and kept[-1][0] > length:
                    kept.pop()
                if length > (kept[-1][0] if kept else 0):  # the token across it was cut in two
                    kept.append((length, number))
            elif isinstance(event, TokenWritten | events.TextInserted) and event.text:
                length += len(event.text)
                kept.append((length, number))
        return Trace.of(self.events[: max((number for end, number in kept if end <= position), default=0)])

    def edited(self, position: int, text: str) -> Trace:
        """Return a new trace that ends with `text` of a person from `position` on (characters of the body); "" only
        cuts there. The models can continue from it.

        What is the same as before keeps its authors. A person's text begins at the first token that differs.
        After a closing tag in it the answer begins. Raises StoreError if the trace is damaged.
        """
        before = self.text
        unchanged = takewhile(lambda pair: pair[0] == pair[1], zip(before[position:], text, strict=False))
        kept = self.until(position + sum(1 for _ in unchanged))
        if not (added := (before[:position] + text)[kept.length :]):
            return kept
        if not kept.events:
            kept = Trace.of(event for event in self.events[:1] if isinstance(event, events.RunStarted))
        at = kept.events[-1].at if kept.events else 0.0
        if kept.takeover:
            tokens = sum(len(piece.tokens) for piece in kept.pieces if piece.takeover is kept.takeover)
            kept.apply(events.TakeoverEnded(at, tokens))
        state = Text(kept._closing_tags, kept.parts())
        if tag := state.close_thinking():
            kept.apply(events.ThinkingClosed(at, kept.pieces[-1].author, state.answer_start or 0, tag))
        state.insert(added, Author.PERSON)
        kept.apply(events.TextInserted(at, added, EDITED.id, Author.PERSON))
        if tag := state.close_thinking():
            kept.apply(events.ThinkingClosed(at, Author.PERSON, state.answer_start or 0, tag))
        return kept

    @property
    def _closing_tags(self) -> list[str]:
        if not (self.started and self.started.thinking):
            return []
        return [card.thinking.closing for card in self.started.cards.values() if card.thinking]

    def parts(self) -> list[Part]:
        """Return the body with token ids, from which a run can continue the text.

        Raises StoreError if the thinking is closed at a position without a closing tag.
        """
        closed, body = self.closed, Body()
        for piece in self.pieces:
            vocabulary = piece.card.vocabulary if piece.card else ""
            for text, id in [(token.text, token.id) for token in piece.tokens] or [(piece.text, None)]:
                body.append(Part(text, piece.author, id, vocabulary if id is not None else ""))
                if closed and len(body) >= closed.position:
                    if not body.text[: closed.position].endswith(closed.tag):
                        raise StoreError("The trace closes the thinking where no closing tag stands.", "It is damaged.")
                    body.mark_closing(closed.tag, closed.position)
                    closed = None
        return body.parts

    def _token(self, event: TokenWritten) -> None:
        self.totals[event.author].write(event, self.seconds - self._last_at)
        if (
            self._new_piece
            or self.pieces[-1].author is not event.author
            or (self._step_over and not event.text.isspace())
        ):
            self._begin_piece(event.author, self._write.reason if self._write else None, self._last_at)
        piece = self.pieces[-1]
        piece.append(event)
        piece.end = self._last_at = self.seconds
        self._step_over |= event.ends_step
        if self.answer_began is None and (self.closed or not self.thinks) and event.text.strip():
            self.answer_began, self._answer_begun_at = self.seconds, self.length

    def _begin_piece(self, author: Author, reason: str | None, start: float) -> Piece:
        step = self.pieces[-1].step + self._step_over if self.pieces else 0
        written = author.is_model
        piece = Piece(
            author,
            step,
            self.length,
            start,
            reason,
            takeover=self.takeover if self.takeover and author is self.takeover.author else None,
            handoff=self._handoff if written else None,
            replaced="".join(gone.text for gone in self._replaced),
            replaced_tokens=sum(gone.tokens for gone in self._replaced),
            counters=self.counters,
            run=None if author is Author.PERSON else self.started,
            in_answer=self.closed is not None,
            judged=self._judged if self._replaced else None,
            end=start,
        )
        self._replaced, self._new_piece, self._step_over, self._judged = [], False, False, None
        self._handoff = None if written else self._handoff
        self.pieces.append(piece)
        if step == len(self.steps):
            self.steps.append(TraceStep())
        self.steps[step].pieces.append(piece)
        return piece

    def _close(self, event: events.ThinkingClosed) -> None:
        self.closed, self._step_over = event, True
        last = self.pieces[-1] if self.pieces else None
        if last and not last.tokens and (answer := last.text[event.position - last.position :]).strip():
            last.cut(event.position - last.position)  # a person wrote the beginning of the answer, too
            self._begin_piece(last.author, last.reason, self.seconds).insert(answer)

    def _handed_over(self, event: events.HandedOver) -> None:
        self._last_at, self.prefill = self.seconds, None
        self._handoff = event.handoff if self._new_piece else None  # else the piece goes on that was interrupted
        self.totals[event.author].handoff_seconds += event.handoff.seconds
        self.handoffs += self._writer not in (None, event.author)
        self._writer = event.author

    def _discard(self, event: events.TextDiscarded) -> None:
        while self.pieces and self.length >= event.position:
            piece = self.pieces[-1]
            for token in piece.cut(max(0, event.position - piece.position)):
                self.totals[token.author].discarded += 1
            if piece.length or piece.tokens:
                break
            self.pieces.pop()
            self.steps[piece.step].pieces.pop()
            if not self.steps[piece.step].pieces:
                self.steps.pop()
        if self.closed and event.position < self.closed.position:
            self.closed = None
        if event.position < self._answer_begun_at:
            self.answer_began = None
        self._capped = {position for position in self._capped if position <= event.position}
        if self.opinion and event.position < self.opinion.length:
            self.opinion = None
        self.values = {writer: each for writer, each in self.values.items() if each.length <= event.position}
        self._replaced.append(event)
        self._new_piece, self._step_over = True, self._at_end_of_step()

    def _at_end_of_step(self) -> bool:
        if not self.pieces:
            return False
        closed_here = self.closed is not None and not self.pieces[-1].in_answer
        return closed_here or self.length in self._capped or self.steps[-1].is_over(self._boundary)

    @property
    def _boundary(self) -> Boundary:
        """Return what ends a step of the run."""
        return recorded_boundary(self.started.settings if self.started else {})
