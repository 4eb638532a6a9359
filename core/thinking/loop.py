"""The loop: a policy decides, two models write, and everything that happens is told as events.

    ask the policy ──► Keep, LookOn   the small model writes; at each boundary, and as a lookahead grows, ask again
                   ──► TakeOver       the large model writes n tokens in its place; then ask again
                   ──► Insert         a text is put in; then comes the move that goes with it
                   ──► Judge          the large model answers a question off the record; then ask again
                   ──► Close          the thinking is closed; the small model goes on to the answer
                   ──► Finished       the end

Moves are data (policy.py). The loop turns them into writes (writing.py) and events, and nothing else. A person and
the limits of a run are asked after every token and may answer with a move, too. So does a model's failure: the
small model goes on alone, or the run ends with what is there.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing

from core.engines.base import Session, Stop
from core.engines.body import Author, Part
from core.errors import BatonError, ContextFull
from core.thinking import events
from core.thinking.events import Event, Finish, TokenWritten
from core.thinking.manuscript import Manuscript
from core.thinking.policy import (
    WITHOUT_END,
    Close,
    Finished,
    Insert,
    Interruption,
    Judge,
    Keep,
    LookOn,
    Move,
    Policy,
    TakeOver,
    View,
)
from core.thinking.reasons import LARGE_ONLY, REPETITION, UNCLOSED, TakeoverReason
from core.thinking.writing import LoopSettings as LoopSettings
from core.thinking.writing import Pen

Happening = Generator[Event, None, Move]
"""Yields what happens; returns the next move."""

UTF8_REST = 3
"""Tokens beyond its limit that a takeover may need to complete a character."""


class Loop:
    """One run over open sessions."""

    def __init__(
        self,
        sessions: Mapping[Author, Session],
        policy: Policy,
        settings: LoopSettings,
        interruptions: Sequence[Interruption] = (),
        written: Sequence[Part] = (),
    ) -> None:
        tags = [session.card.thinking.closing for session in sessions.values() if session.card.thinking]
        self.sessions = sessions
        self.policy = policy
        self.settings = settings
        self.interruptions = interruptions
        self.text = Manuscript(tags, written)
        self.pen = Pen(sessions, self.text, settings)
        self.now = self.pen.now
        self._counters = dict(policy.counters())

    def run(self, first: Move | None = None) -> Iterator[Event]:
        """Everything that happens after `RunStarted`; the last event is always `RunEnded`. Call it once."""
        move = first or self.policy.opening(self._view(Author.INSERTED, 0))
        while not isinstance(move := self._possible(self._admit(move)), Finished):
            try:
                move = yield from self._carry_out(move)
            except BatonError as error:
                move = yield from self._after_failure(move, error)
        yield events.RunEnded(self.now(), move.finish, move.reason)

    def _carry_out(self, move: Move) -> Happening:
        match move:
            case Keep() | LookOn():
                return (yield from self._small_writes(looking=isinstance(move, LookOn)))
            case TakeOver():
                return (yield from self._large_writes(move))
            case Insert(text, reason, then):
                self.text.insert(text)
                yield events.TextInserted(self.now(), text, reason.id)
                return then
            case Judge():
                return (yield from self._judge(move))
            case Close(reason):
                return (yield from self._close_thinking(reason))
            case Finished():
                return move

    def _small_writes(self, looking: bool) -> Happening:
        """The small model writes until a policy, a person, a limit or its own end stops it.

        A lookahead of fixed length may run over a boundary: that boundary is decided once the lookahead is.
        """
        text, policy, start = self.text, self.policy, self.text.position
        seen: list[TokenWritten] = []
        undecided = 0  # of the tokens seen, how many came before the boundary that waits for a decision
        with closing(self.pen.write(Author.SMALL, WITHOUT_END, alternatives=policy.needs.alternatives)) as writing:
            for event in writing:
                yield event
                if not isinstance(event, TokenWritten):
                    continue
                seen.append(event)
                undecided = len(seen) if event.ends_step else undecided
                if text.inside_character:
                    continue
                if tag := text.close_thinking():
                    yield self._closed(Author.SMALL, tag)
                    move = policy.on_thinking_closed(self._view(Author.SMALL, start, seen))
                    if move != Keep():
                        return move
                    looking = False
                if interruption := self._interruption(Author.SMALL, start, seen):
                    return interruption
                if looking:
                    move = self._admit(policy.on_lookahead(self._view(Author.SMALL, start, seen)))
                    yield from self._counts()
                    if isinstance(move, LookOn):
                        continue
                    if move != Keep():
                        return (yield from self._leave_lookahead(move, start))
                    looking = False
                if undecided:
                    step = self._view(Author.SMALL, text.last_step_start, seen[:undecided], at_boundary=True)
                    move = self._admit(policy.at_boundary(step))
                    yield from self._counts()
                    if not isinstance(move, Keep | LookOn):
                        if text.step_begun:
                            yield self.pen.discard(text.step_start)
                        return move
                    looking, start, seen, undecided = isinstance(move, LookOn), text.step_start, seen[undecided:], 0
        if looking and self.pen.stop is Stop.END_OF_TEXT:
            move = self._admit(policy.on_lookahead(self._view(Author.SMALL, start, seen, text_ended=True)))
            yield from self._counts()
            if not isinstance(move, Keep | LookOn):
                return (yield from self._leave_lookahead(move, start))
        return self._after_stop(Author.SMALL)

    def _large_writes(self, takeover: TakeOver) -> Happening:
        """The large model writes its tokens; boundaries inside count as steps and bring no decision."""
        text = self.text
        next_move: Move | None = None
        if takeover.rewrite_step:
            yield self.pen.discard(text.rewritable_from)
        start = text.position
        seen: list[TokenWritten] = []
        yield events.TakeoverStarted(self.now(), takeover.reason.id, takeover.cue, takeover.tokens, start)
        try:
            with closing(self.pen.write(Author.LARGE, takeover.limit + UTF8_REST, takeover.reason.id)) as writing:
                for event in writing:
                    yield event
                    if not isinstance(event, TokenWritten):
                        continue
                    seen.append(event)
                    if text.inside_character:
                        continue
                    if tag := text.close_thinking():
                        yield self._closed(Author.LARGE, tag)
                        move = self.policy.on_thinking_closed(self._view(Author.LARGE, start, seen))
                        next_move = move if move != Keep() else None
                    if interruption := self._interruption(Author.LARGE, start, seen):
                        next_move = interruption
                    if next_move or takeover.is_over(len(seen), text.body.text, text.at_boundary):
                        break
        except BatonError:
            yield events.TakeoverEnded(self.now(), len(seen))
            raise
        yield events.TakeoverEnded(self.now(), len(seen))
        if next_move:
            return next_move
        if self.pen.stop not in (None, Stop.LIMIT):
            return self._after_stop(Author.LARGE)
        move = self.policy.on_takeover_end(self._view(Author.LARGE, start, seen, takeover=takeover))
        yield from self._counts()
        return move

    def _leave_lookahead(self, move: Move, start: int) -> Happening:
        """What the lookahead was replaced by: it goes, unless the large model is to write after it."""
        if isinstance(move, Keep) or (isinstance(move, TakeOver) and not move.keep_lookahead):
            yield self.pen.discard(start)
        return Keep() if isinstance(move, Keep) else move

    def _judge(self, question: Judge) -> Happening:
        asked = time.perf_counter()
        session = self.sessions[Author.LARGE]
        chances, read = session.judge(tuple(self.text.body.parts), question.question, question.choices)
        if interruption := self._interruption(Author.SMALL, self.text.rewritable_from):
            return interruption  # a judge who was cut short has said nothing
        yield events.Judged(
            self.now(), question.choices, chances, time.perf_counter() - asked, read.reused, read.prefilled
        )
        return self.policy.on_judgement(self._view(Author.SMALL, self.text.rewritable_from), chances)

    def _close_thinking(self, reason: TakeoverReason) -> Happening:
        """Put in the closing tag and go on to the answer. Where no model thinks apart, the text ends instead."""
        tag = next(iter(self.text.closing_tags), "")
        if not tag or not self.text.thinking:
            finish = Finish.REPETITION if reason is REPETITION else Finish.MAX_TOKENS
            return Finished(finish, f"The text was ended: {reason.id}.")
        inserted = f"\n{tag}\n\n"
        self.text.insert(inserted)
        yield events.TextInserted(self.now(), inserted, reason.id)
        self.text.close_thinking()
        yield self._closed(Author.INSERTED, tag)
        return self.policy.on_thinking_closed(self._view(Author.INSERTED, self.text.position))

    def _after_stop(self, author: Author) -> Move:
        """A model stopped by itself: what its reason means for the run."""
        card = self.sessions[author].card
        match self.pen.stop:
            case Stop.END_OF_TEXT if self.text.thinking and card.thinking:
                return Close(UNCLOSED)
            case Stop.END_OF_TEXT:
                return Finished(Finish.END_OF_TEXT)
            case Stop.CONTEXT_FULL:
                raise ContextFull(f"The context of {card.name} is full ({card.context} tokens).")
            case Stop.CANCELLED:
                return self._interruption(author, self.text.position) or Finished(Finish.STOPPED)
            case _:
                return Finished(Finish.MAX_TOKENS)

    def _after_failure(self, move: Move, error: BatonError) -> Happening:
        """The large model is lost, or refuses: the small one can go on without it."""
        if isinstance(move, TakeOver | Judge) and self.settings.small_alone and Author.SMALL in self.sessions:
            yield events.Noticed(self.now(), f"{error} The small model goes on alone.")
            self.policy = Policy()  # which never hands over
            return Keep()
        finish = Finish.CONTEXT_FULL if isinstance(error, ContextFull) else Finish.FAILED
        return Finished(finish, str(error))

    def _possible(self, move: Move) -> Move:
        """The move, or what is left of it when there is no room or only one model."""
        if self.pen.room <= 0 and not isinstance(move, Finished):
            return Finished(Finish.MAX_TOKENS)
        if isinstance(move, Keep | LookOn) and Author.SMALL not in self.sessions:
            return TakeOver(WITHOUT_END, LARGE_ONLY)
        if isinstance(move, TakeOver | Judge) and Author.LARGE not in self.sessions:
            return Keep()
        return move

    def _interruption(self, author: Author, start: int, seen: Sequence[TokenWritten] = ()) -> Move | None:
        view = self._view(author, start, seen)
        return next((move for source in self.interruptions if (move := source.interrupt(view))), None)

    def _admit(self, move: Move) -> Move:
        for source in self.interruptions:
            move = source.admit(move, self._view(Author.INSERTED, self.text.position))
        return move

    def _counts(self) -> Iterator[Event]:
        if (counters := dict(self.policy.counters())) != self._counters:
            self._counters = counters
            yield events.CountersChanged(self.now(), counters)

    def _closed(self, author: Author, tag: str) -> Event:
        return events.ThinkingClosed(self.now(), author, self.text.answer_start or 0, tag)

    def _view(
        self,
        author: Author,
        start: int,
        tokens: Sequence[TokenWritten] = (),
        *,
        at_boundary: bool | None = None,
        text_ended: bool = False,
        takeover: TakeOver | None = None,
    ) -> View:
        return View(
            body=self.text.body.text,
            start=start,
            tokens=tokens,
            author=author,
            thinking=self.text.thinking,
            at_boundary=self.text.at_boundary if at_boundary is None else at_boundary,
            text_ended=text_ended,
            takeover=takeover,
            small_tokens=self.text.tokens[Author.SMALL],
            large_tokens=self.text.tokens[Author.LARGE],
            seconds=self.now(),
        )
