"""Resumes an interrupted text as if it had never been interrupted.

Nothing is guessed about where it stood. The loop runs again over the record: the sessions play back the recorded
tokens, judgements and scores, the policy and the limits decide on them once more, and a person's requests come
at their places. Where the record ends, even in the middle of a write, the models go on.

If the loop decides differently from the record, the text was begun under other settings. It is taken up as it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from msgspec.structs import replace as changed

from baton_reasoning.core.engines.base import End, Handoff, Judgement, Scores, Session, Stop, Token, WriteItem
from baton_reasoning.core.engines.body import Author, Part
from baton_reasoning.core.engines.model_card import ModelCard
from baton_reasoning.core.errors import EngineLost
from baton_reasoning.core.thinking import events
from baton_reasoning.core.thinking.events import (
    AskedBy,
    Event,
    Judged,
    RunEnded,
    RunStarted,
    Scored,
    TokenWritten,
    WriteEnded,
)
from baton_reasoning.core.thinking.loop import Loop
from baton_reasoning.core.thinking.policy import Insert, Interruption, Move, View, Write, keep
from baton_reasoning.core.thinking.reasons import EDITED
from baton_reasoning.core.thinking.registry import takeover_of
from baton_reasoning.core.thinking.trace import Trace

MakeLoop = Callable[[Mapping[Author, Session], Sequence[Interruption], Trace], Loop]
"""Makes a loop over these sessions, with these interruptions before its own; the trace holds a text to take up."""

_COSTS = (
    events.HandedOver,
    events.PrefillProgressed,
    events.Prefetched,
    events.UsageReported,
    events.OpinionGiven,
    events.ValuesEstimated,
)
"""Kinds of events that only say what a text cost, or is worth. The others say how it came about."""


class Diverged(Exception):
    """The loop decided differently from the record."""


def undisturbed(events: Iterable[Event]) -> list[Event]:
    """Return the events by which a text came about, as if it had never been interrupted."""
    formed: list[Event] = []
    for event in events:
        if isinstance(event, RunStarted) and event.resumed:
            take_back_end(formed)
        elif _is_formative(event):
            formed.append(event)
    return formed


def take_back_end(events: list[Event]) -> None:
    """Remove the last events if they only say that the run was ended."""
    if events and isinstance(events[-1], RunEnded):
        events.pop()
        if events and isinstance(events[-1], WriteEnded):
            events.pop()


class RecordedEvents:
    """Compares, event by event, how a text came about with what the loop does now."""

    def __init__(self, events: Sequence[Event]) -> None:
        """`events`: of a whole trace. Before the last start that took up a text, only the text counts."""
        starts = [n for n, event in enumerate(events) if isinstance(event, RunStarted) and not event.resumed] or [0]
        self.before = Trace.of(events[: starts[-1]])
        formed = undisturbed(events[starts[-1] :])
        take_back_end(formed)
        self._events = [event for event in formed if not isinstance(event, RunStarted)]
        self._place = 0

    @property
    def next(self) -> Event | None:
        """Return the next event of the record; None at its end."""
        return self._events[self._place] if self._place < len(self._events) else None

    def take(self, event: Event) -> None:
        """Go on to the next event, which the loop has yielded. Raises Diverged if it has yielded another one."""
        if not _is_formative(event):
            return
        if self.next is None or not _is_same(event, self.next):
            raise Diverged(f"{event} instead of {self.next}")
        self._place += 1

    def failure_of(self, author: Author) -> EngineLost | None:
        """Return the failure of this model, if it comes next."""
        following = self._events[self._place : self._place + 2]
        if following and isinstance(following[0], events.TakeoverEnded):
            following = following[1:]
        failed = following and isinstance(notice := following[0], events.Noticed) and notice.lost is author
        return EngineLost("The model was lost.", "") if failed else None

    def request(self, in_takeover: bool) -> Move | None:
        """Return the move that a person asked for at this place, if any."""
        match self.next:
            case events.TakeoverStarted(asked_by=AskedBy.PERSON) as started:
                return takeover_of(started)
            case events.TakeoverEnded(asked_by=AskedBy.PERSON) if in_takeover:
                match self._events[self._place + 1 : self._place + 2]:
                    case [events.TakeoverStarted(asked_by=AskedBy.PERSON) as another]:
                        return takeover_of(another)
                    case [events.TextInserted(text=text, author=Author.PERSON)]:
                        return Insert(text, EDITED, author=Author.PERSON)
                return keep()
            case events.TextInserted(text=text, author=Author.PERSON):
                return Insert(text, EDITED, author=Author.PERSON)
            case events.WriteStarted(asked_by=AskedBy.PERSON):
                return keep()
        return None


class Resumption:
    """Brings a loop to where a recorded text was interrupted, and goes on from there."""

    def __init__(
        self,
        recorded: Trace,
        sessions: Mapping[Author, Session],
        make_loop: MakeLoop,
        first_move: Move | None = None,
    ) -> None:
        """`first_move`: the move that a person wants where the record ends."""
        self.record = record = RecordedEvents(recorded.events)
        requests, first = _Requests(record, first_move), record.request(in_takeover=False)
        if record.next is None and first_move:
            first = requests.take()
        resumed = {author: ResumedSession(author, session, record, requests) for author, session in sessions.items()}
        self.loop = loop = make_loop(resumed, [requests], record.before)
        for session in resumed.values():
            session.body = lambda: loop.text.body.parts
        self._events = loop.run(first)
        self._ended: list[Event] = []

    def catch_up(self) -> bool:
        """Bring the loop to the end of the record; returns False if it decides differently."""
        try:
            while self.record.next is not None:
                event = next(self._events)
                if isinstance(event, RunEnded):  # stopped, or at a limit that is lower now
                    self._ended = [event]
                    break
                self.record.take(event)
        except Diverged:
            return False
        return True

    def run(self) -> Iterator[Event]:
        """Yield what happens from there on; the last event is `RunEnded`."""
        yield from self._ended
        yield from self._events


class _Requests(Interruption):
    """Repeats a person's requests at their places in the record, and makes a new one at its end."""

    asked_by = AskedBy.PERSON

    def __init__(self, record: RecordedEvents, now: Move | None) -> None:
        self._record = record
        self._now = now

    @property
    def is_due(self) -> bool:
        return self._now is not None and self._record.next is None

    def take(self) -> Move | None:
        move, self._now = self._now, None
        return asked_by_person(move)

    def interrupt(self, view: View) -> Move | None:
        return self.take() if self.is_due else self._record.request(in_takeover=view.takeover is not None)


class ResumedSession:
    """Plays back what was recorded of a session, and then lets the session itself go on."""

    def __init__(self, author: Author, session: Session, record: RecordedEvents, requests: _Requests) -> None:
        self._author = author
        self._session = session
        self._record = record
        self._requests = requests
        self.body: Callable[[], Sequence[Part]] = tuple
        """Returns the text as it stands."""

    @property
    def card(self) -> ModelCard:
        return self._session.card

    @property
    def prompt_tokens(self) -> int:
        return self._session.prompt_tokens

    def read(self, body: Sequence[Part]) -> Handoff:
        return self._session.read(body)

    def prefetch(self, body: Sequence[Part]) -> None:
        if self._record.next is None:
            self._session.prefetch(body)

    def write(
        self, body: Sequence[Part], limit: int, seed: int, alternatives: int = 0, position: int = 0
    ) -> Generator[WriteItem, None, None]:
        given = 0
        while (event := self._record.next) is not None:
            if isinstance(event, TokenWritten) and event.author is self._author:
                given += 1
                yield event.token
            elif isinstance(event, WriteEnded):
                yield End(event.stop)
                return
            elif isinstance(event, events.Tried) and event.author is self._author and not given:
                for token in event.tokens:
                    yield Token(token.id, token.text.encode(), token.logprob)
                yield End(event.stop)
                return
            elif failure := self._record.failure_of(self._author):
                raise failure
            else:
                raise Diverged(f"{self._author} writes instead of {event}")
        if self._requests.is_due:
            yield End(Stop.CANCELLED)
        elif given < limit:
            rest = tuple(self.body()) if given else body
            yield from self._session.write(rest, limit - given, seed, alternatives, position + given)
        else:
            yield End(Stop.LIMIT)

    def judge(self, body: Sequence[Part], question: str, choices: tuple[str, ...]) -> Judgement:
        match self._record.next:
            case None:
                return self._session.judge(body, question, choices)
            case Judged(author=self._author, probabilities=probabilities):
                return Judgement(probabilities)
        raise self._record.failure_of(self._author) or Diverged("no judgement was recorded here")

    def score(self, body: Sequence[Part], start: int, alternatives: int = 0) -> Scores:
        match self._record.next:
            case None:
                return self._session.score(body, start, alternatives)
            case Scored(author=self._author, tokens=tokens):
                return Scores(tokens)
        raise self._record.failure_of(self._author) or Diverged("no score was recorded here")

    def cancel(self) -> None:
        self._session.cancel()

    def close(self) -> None:
        self._session.close()


def asked_by_person(move: Move | None) -> Move | None:
    return replace(move, asked_by=AskedBy.PERSON) if isinstance(move, Write) else move


def _is_formative(event: Event) -> bool:
    return event.lost is not None if isinstance(event, events.Noticed) else not isinstance(event, _COSTS)


def _is_same(event: Event, recorded: Event) -> bool:
    """Compare two events, except for the time and what only a model knows."""
    match event, recorded:
        case Judged(author=one), Judged(author=other):
            return one is other
        case Scored(author=one), Scored(author=other):
            return one is other
        case events.Tried(), events.Tried():
            costs = {"seconds": 0.0, "reused": 0, "prefilled": 0}
            event, recorded = changed(event, **costs), changed(recorded, **costs)
        case events.Noticed(lost=lost), events.Noticed(lost=recorded_lost):
            return lost is recorded_lost
    return changed(event, at=0.0) == changed(recorded, at=0.0)
