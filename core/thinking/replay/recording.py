"""Reads a recorded run token by token: the text that stands, what was discarded where, and the takeovers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from baton_reasoning.core.engines.body import Author, Body, Part
from baton_reasoning.core.thinking import events
from baton_reasoning.core.thinking.cues import Cue
from baton_reasoning.core.thinking.events import (
    AskedBy,
    Event,
    Finish,
    Judged,
    RunStarted,
    Scored,
    TokenWritten,
)
from baton_reasoning.core.thinking.policy import WITHOUT_END, Close, Insert, Move, keep
from baton_reasoning.core.thinking.registry import POLICIES, takeover_of


class Takeover(NamedTuple):
    """A takeover that happened or would have: characters `start` to `end` of the recorded text."""

    reason: str
    cue: Cue | None
    start: int
    end: int
    author: Author = Author.LARGE


@dataclass(slots=True, eq=False)
class RecordedPart:
    """A token, or an inserted text (`token` is None)."""

    text: str
    start: int
    data: bytes
    token: TokenWritten | None
    reason: str | None = None
    """Why a text was inserted."""
    tail: str = ""
    """The rest of the token's text, which was discarded."""
    judged: dict[Author, Judged] = field(default_factory=dict)
    """The judgements made just after it, by their author."""
    scored: Scored | None = None
    """How likely the large model found the step that ends here."""
    then: Move | None = None
    """The move that a person or a limit made just after it."""

    @property
    def end(self) -> int:
        return self.start + len(self.text)


class Recording:
    """What was written from one start of a run on; a run that was resumed has several starts."""

    def __init__(self, events_of_start: Sequence[Event], written: Sequence[Part] = ()) -> None:
        """`events_of_start`: from a `RunStarted` on; `written`: the text before it."""
        self.entries: list[RecordedPart] = []
        self.discarded_branches: dict[int, list[list[RecordedPart]]] = {}
        """What the default writer wrote and was then discarded, by the index of the entry that follows it."""
        self.takeovers: list[Takeover] = []
        """The takeovers by the policy, as far as their text was kept."""
        self.empty_takeovers = Counter[int]()
        """Number of takeovers at each position in which the model had nothing to write."""
        self.started: RunStarted | None = None
        self.default_writer = Author.SMALL
        self.first: Move | None = None
        """The move with which the run began, if it was not the policy's."""
        self.finish: Finish | None = None
        self.start = self._position = sum(len(part.text) for part in written)
        self._last: RecordedPart | None = None
        self._open: events.TakeoverStarted | None = None
        self._given_back: RecordedPart | None = None
        """The last entry of a takeover without end: if the default writer comes next, a person gave the baton back."""
        for event in events_of_start:
            self._take(event)
        self._close_takeover()
        if self.first is None and written and not any(took.start == self.start for took in self.takeovers):
            self.first = keep()
        body = Body(written)
        body.cut(self.start)
        self.written = body.parts

    @property
    def end(self) -> int:
        return self._position

    @property
    def size(self) -> int:
        """Count the tokens and inserted texts, including the discarded ones."""
        branches = (branch for at_place in self.discarded_branches.values() for branch in at_place)
        return len(self.entries) + sum(len(branch) for branch in branches)

    def _take(self, event: Event) -> None:  # noqa: C901
        match event:
            case RunStarted():
                self.started = event
            case TokenWritten(text=text):
                self._append(RecordedPart(text, self._position, event.encoded, event))
            case events.TextInserted(text=text, reason=id, author=author):
                self._given_back = None
                reason = POLICIES.reason(id)
                if not reason.by_policy:
                    edits = author is Author.PERSON
                    self._happens(Insert(text, reason, author=author) if edits else Close(reason))
                self._append(RecordedPart(text, self._position, text.encode(errors="replace"), None, id))
            case events.TextDiscarded(position=position):
                self._discard(position)
            case events.TakeoverStarted():
                self._open, self._given_back = event, None
                if event.asked_by is not AskedBy.POLICY:
                    self._happens(takeover_of(event))
            case events.TakeoverEnded():
                self._given_back = self._last if self._open and self._open.tokens >= WITHOUT_END else None
                self._close_takeover()
            case events.WriteStarted(reason=None, author=author):
                self.default_writer = author
                if self._given_back:
                    self._given_back.then, self._given_back = keep(), None
            case Judged():
                if self._last:
                    self._last.judged[event.author] = event
            case Scored():
                if self._last:
                    self._last.scored = event
            case events.RunEnded(finish=finish):
                self.finish = finish

    def _append(self, entry: RecordedPart) -> None:
        self.entries.append(entry)
        self._position = entry.end
        self._last = entry

    def _happens(self, move: Move) -> None:
        if self._last:
            self._last.then = move
        else:
            self.first = move

    def _discard(self, position: int) -> None:
        gone: list[RecordedPart] = []
        while self.entries and (self.entries[-1].end > position or not self.entries[-1].text):
            entry = self.entries[-1]
            if entry.start < position:
                cut = position - entry.start
                entry.text, entry.tail = entry.text[:cut], entry.text[cut:]
                entry.data = entry.text.encode(errors="replace")
                break
            gone.append(self.entries.pop())
        index = len(self.entries)
        self.discarded_branches = {at: kept for at, kept in self.discarded_branches.items() if at <= index}
        kept = [took for took in self.takeovers if took.start < position]
        self.takeovers = [took._replace(end=min(took.end, position)) for took in kept]
        if all(entry.token and entry.token.author is self.default_writer for entry in gone):
            self.discarded_branches.setdefault(index, []).append(gone[::-1])
        else:
            self._last = self.entries[-1] if self.entries else None
        self.start, self._position = min(self.start, position), position

    def _close_takeover(self) -> None:
        took, self._open = self._open, None
        if took is None:
            return
        if self._position == took.position:
            self.empty_takeovers[took.position] += 1
        elif POLICIES.reason(took.reason).by_policy:
            self.takeovers.append(Takeover(took.reason, took.cue, took.position, self._position, took.author))
