"""The loop: a policy decides, two models write, and everything that happens is told as events.

    ask the policy ──► Keep, LookOn   the small model writes; at each boundary, and as a lookahead grows, ask again
                   ──► TakeOver       the large model writes n tokens in its place; then ask again
                   ──► Insert         a text is put in; then comes the move that goes with it
                   ──► Judge          the large model answers a question off the record; then ask again
                   ──► Close          the thinking is closed; the small model goes on to the answer
                   ──► Finished       the end

Moves are data (policy.py). The loop turns them into writes and events, and nothing else. A model's failure is a
move, too: the small model goes on alone, or the run ends with what is there.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from core.engines.base import End, Handoff, Notice, Session, Stop, Token
from core.engines.body import Author, Part
from core.errors import BatonError, ContextFull
from core.thinking import events
from core.thinking.events import Event, Finish, Rule, TokenWritten
from core.thinking.manuscript import Manuscript
from core.thinking.policies.never import Never
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

Writing = Generator[Event, None, Move]
"""Yields what happens; returns the next move."""

UTF8_REST = 3
"""Tokens beyond its limit that a write may need to complete a character."""
READ_ALONG_EVERY = 8
"""Tokens of the small model after which the large one is offered to read along."""


@dataclass(frozen=True, slots=True)
class LoopSettings:
    seed: int = 0
    max_tokens: int = 32_768
    """New tokens that may be kept; the prompt does not count."""
    alternatives: int = 0
    """Likeliest tokens to record at each position."""
    small_alone: bool = True
    """When the large model is lost for good: the small one finishes alone, or else the run fails."""


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
        self.writes = 0
        self.stop: Stop | None = None
        self.began = time.perf_counter()

    def run(self, first: Move | None = None) -> Iterator[Event]:
        """Everything that happens after `RunStarted`; the last event is always `RunEnded`. Call it once."""
        move = first or self.policy.opening(self._view(Author.INSERTED, 0))
        while not isinstance(move, Finished):
            move = self._admit(move)
            try:
                move = yield from self._carry_out(move)
            except BatonError as error:
                move = yield from self._after_failure(move, error)
        yield events.RunEnded(self._now(), move.finish, move.reason)

    def _carry_out(self, move: Move) -> Writing:
        match move:
            case Keep() | LookOn():
                return (yield from self._small_writes(looking=isinstance(move, LookOn)))
            case TakeOver():
                return (yield from self._large_writes(move))
            case Insert(text, rule, then):
                self.text.insert(text)
                yield events.TextInserted(self._now(), text, rule)
                return then
            case Judge():
                return (yield from self._judge(move))
            case Close(rule):
                return (yield from self._close_thinking(rule))
            case Finished():
                return move

    def _small_writes(self, looking: bool) -> Writing:
        """The small model writes until a policy, a person, a limit or its own end stops it."""
        text, policy, start = self.text, self.policy, self.text.position
        seen: list[TokenWritten] = []
        with closing(self._write(Author.SMALL, self.settings.max_tokens)) as writing:
            for event in writing:
                yield event
                if not isinstance(event, TokenWritten):
                    continue
                seen.append(event)
                if text.inside_character:
                    continue
                if interruption := self._interruption(Author.SMALL, start, seen):
                    return interruption
                if tag := text.close_thinking():
                    yield events.ThinkingClosed(self._now(), Author.SMALL, text.position, tag)
                    move = policy.on_thinking_closed(self._view(Author.SMALL, start, seen))
                    if move != Keep():
                        return move
                    looking = False
                if looking:
                    move = self._admit(policy.on_lookahead(self._view(Author.SMALL, start, seen)))
                    yield from self._counts()
                    if isinstance(move, LookOn):
                        continue
                    if move != Keep():
                        return (yield from self._leave_lookahead(move, start))
                    looking = False
                if event.ends_step:
                    step = self._view(Author.SMALL, text.step_start, seen, at_boundary=True)
                    text.begin_step()
                    move = self._admit(policy.at_boundary(step))
                    yield from self._counts()
                    if not isinstance(move, Keep | LookOn):
                        return move
                    looking, start, seen = isinstance(move, LookOn), text.step_start, []
                self._offer_reading_along()
        if looking:
            move = self._admit(policy.on_lookahead(self._view(Author.SMALL, start, seen, text_ended=True)))
            if not isinstance(move, Keep | LookOn):
                return (yield from self._leave_lookahead(move, start))
        return self._after_stop(Author.SMALL)

    def _large_writes(self, takeover: TakeOver) -> Writing:
        """The large model writes its tokens; boundaries inside count as steps and bring no decision."""
        text, next_move = self.text, None
        move: Move
        if takeover.rewrite_step:
            yield self._discard(text.rewritable_from)
        start = text.position
        seen: list[TokenWritten] = []
        yield events.TakeoverStarted(self._now(), takeover.rule, takeover.cue, takeover.tokens, start)
        with closing(self._write(Author.LARGE, takeover.limit + UTF8_REST, takeover.rule)) as writing:
            for event in writing:
                yield event
                if not isinstance(event, TokenWritten):
                    continue
                seen.append(event)
                if event.ends_step:
                    text.begin_step()
                if text.inside_character:
                    continue
                if next_move := self._interruption(Author.LARGE, start, seen):
                    break
                if tag := text.close_thinking():
                    yield events.ThinkingClosed(self._now(), Author.LARGE, text.position, tag)
                    move = self.policy.on_thinking_closed(self._view(Author.LARGE, start, seen))
                    if move != Keep():
                        next_move = move
                        break
                if takeover.is_over(len(seen), text.body.text, text.at_boundary):
                    break
        yield events.TakeoverEnded(self._now(), len(seen))
        if next_move or self.stop not in (None, Stop.LIMIT) or not self._room():
            return next_move or self._after_stop(Author.LARGE)
        move = self.policy.on_takeover_end(self._view(Author.LARGE, start, seen, takeover=takeover))
        yield from self._counts()
        return move

    def _write(self, author: Author, limit: int, rule: Rule | None = None) -> Generator[Event, None, None]:
        """One write of one model: each token is in the text before it is told. Sets `self.stop`."""
        session, self.stop = self.sessions[author], None
        self.writes += 1
        self.text.begin_write()
        yield events.WriteStarted(self._now(), author, rule, self.text.position)
        items = session.write(
            self.text.body.parts,
            limit=min(limit, self._room()),
            # Every write draws anew: a lookahead that was thrown away must not come back word for word.
            seed=(self.settings.seed * 1_000_003 + self.writes) % 2**31,
            alternatives=max(self.settings.alternatives, self.policy.alternatives),
        )
        with closing(items):
            for item in items:
                match item:
                    case Token(id, _, logprob, others):
                        written, ends_step = self.text.append(item, author, session.card.vocabulary)
                        yield TokenWritten(self._now(), author, id, written, logprob, others, ends_step)
                    case Handoff(reused, prefilled, seconds, passing):
                        yield events.HandedOver(self._now(), author, reused, prefilled, seconds, passing)
                    case Notice(sentence):
                        yield events.Noticed(self._now(), sentence)
                    case End(stop):
                        self.stop = stop

    def _leave_lookahead(self, move: Move, start: int) -> Writing:
        """The lookahead goes, unless the large model is to write after it."""
        if not (isinstance(move, TakeOver) and move.keep_lookahead):
            yield self._discard(start)
        return Keep() if isinstance(move, Keep) else move

    def _judge(self, question: Judge) -> Writing:
        asked = time.perf_counter()
        session = self.sessions[Author.LARGE]
        chances = session.judge(self.text.body.parts, question.question, question.choices)
        yield events.Judged(self._now(), question.choices, chances, time.perf_counter() - asked)
        return self.policy.on_judgement(self._view(Author.SMALL, self.text.rewritable_from), chances)

    def _close_thinking(self, rule: Rule) -> Writing:
        """Put in the closing tag and go on to the answer; a model without tags has none apart, so the run ends."""
        author = Author.SMALL if Author.SMALL in self.sessions else Author.LARGE
        tags = self.sessions[author].card.thinking
        if tags is None or not self.text.thinking:
            finish = Finish.REPETITION if rule is Rule.REPETITION else Finish.MAX_TOKENS
            return Finished(finish, f"The text was ended: {rule.value}.")
        inserted = f"\n{tags.closing}\n\n"
        self.text.insert(inserted)
        yield events.TextInserted(self._now(), inserted, rule)
        self.text.close_thinking()
        yield events.ThinkingClosed(self._now(), Author.INSERTED, self.text.position, tags.closing)
        return Keep() if author is Author.SMALL else TakeOver(WITHOUT_END, Rule.ANSWER)

    def _after_stop(self, author: Author) -> Move:
        """A model stopped by itself: what its reason means for the run."""
        match self.stop:
            case Stop.END_OF_TEXT if self.text.thinking and self.sessions[author].card.thinking:
                return Close(Rule.UNCLOSED)
            case Stop.END_OF_TEXT:
                return Finished(Finish.END_OF_TEXT)
            case Stop.CONTEXT_FULL:
                card = self.sessions[author].card
                return Finished(
                    Finish.CONTEXT_FULL, f"The context of {card.name} is full ({card.context} tokens)."
                )
            case Stop.CANCELLED:
                return self._interruption(author, self.text.position) or Finished(Finish.STOPPED)
            case _:
                return Finished(Finish.MAX_TOKENS)

    def _after_failure(self, move: Move, error: BatonError) -> Writing:
        """The large model is lost, or refuses: the small one can go on without it."""
        if isinstance(move, TakeOver | Judge) and self.settings.small_alone and Author.SMALL in self.sessions:
            yield events.Noticed(self._now(), f"{error} The small model goes on alone.")
            self.policy = Never()
            return Keep()
        finish = Finish.CONTEXT_FULL if isinstance(error, ContextFull) else Finish.FAILED
        return Finished(finish, str(error))

    def _interruption(self, author: Author, start: int, seen: Sequence[TokenWritten] = ()) -> Move | None:
        view = self._view(author, start, seen)
        return next((move for source in self.interruptions if (move := source.interrupt(view))), None)

    def _admit(self, move: Move) -> Move:
        for source in self.interruptions:
            move = source.admit(move, self._view(Author.INSERTED, self.text.position))
        return move

    def _counts(self) -> Iterator[Event]:
        if counted := self.policy.take_counts():
            yield events.Counted(self._now(), *counted)

    def _discard(self, position: int) -> Event:
        text, tokens = self.text.discard(position)
        return events.TextDiscarded(self._now(), position, text, tokens)

    def _offer_reading_along(self) -> None:
        large = self.sessions.get(Author.LARGE)
        if large and large.card.reads_along and self.text.tokens[Author.SMALL] % READ_ALONG_EVERY == 0:
            large.read_along(tuple(self.text.body.parts))

    def _room(self) -> int:
        return self.settings.max_tokens - self.text.tokens[Author.SMALL] - self.text.tokens[Author.LARGE]

    def _now(self) -> float:
        return time.perf_counter() - self.began

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
            seconds=self._now(),
        )
