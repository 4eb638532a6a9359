"""The loop: a policy decides, two models write, and everything that happens is an event.

    ask the policy ──► Write     the default writer goes on; at each boundary, and as a lookahead grows, ask again
                                 or the other model takes over for some tokens; then ask again
                   ──► Insert    a text is inserted; then comes the move that goes with it
                   ──► Restore   the lookahead that the takeover replaced stands again; then comes its move
                   ──► Judge     a model answers a question about the text; then ask again
                   ──► Score     a model scores how likely it finds the step; then ask again
                   ──► Close     the thinking is closed; the default writer goes on to the answer
                   ──► Finished  the end

Moves are data (policy.py). Which model is the default writer is the policy's choice, and the loop treats both alike.
It turns moves into writes (write_stream.py) and events, and nothing else. A person and the limits of a run are asked
after every token, and after every chunk of a long prefill, and may answer with a move, too. So does a model's failure:
the other one goes on alone, or the run ends with what is there.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import InitVar, dataclass, field, replace
from typing import TypeGuard

from core.engines.base import Session, Stop
from core.engines.body import Author, Part
from core.errors import BatonError, ContextFull
from core.thinking import events
from core.thinking.events import AskedBy, Event, Finish, PrefillProgressed, TokenWritten, Until
from core.thinking.policy import (
    WITHOUT_END,
    Close,
    Finished,
    Insert,
    Interruption,
    Judge,
    Move,
    Policy,
    Restore,
    Score,
    View,
    Write,
    keep,
    look_on,
    take_over,
)
from core.thinking.reasons import ANSWER, LARGE_ONLY, REPETITION, SMALL_ONLY, UNCLOSED, TakeoverReason
from core.thinking.text_state import TextState
from core.thinking.write_stream import LoopSettings as LoopSettings
from core.thinking.write_stream import WriteStream

MoveGenerator = Generator[Event, None, Move]
"""Yields what happens; returns the next move."""

UTF8_REST = 3
"""Tokens beyond its limit that a takeover may need to complete a character."""


@dataclass(slots=True)
class _Look:
    """What the default writer has written and the policy has not decided on."""

    move: InitVar[Write]
    start: int
    seen: list[TokenWritten] = field(default_factory=list)
    undecided: int = 0
    """Of the tokens seen, how many came before the boundary that waits for a decision."""
    watched: bool = field(init=False)
    """Whether it is a lookahead."""
    within_step: bool = field(init=False)

    def __post_init__(self, move: Write) -> None:
        self.watched, self.within_step = move.watched, move.within_step

    def add(self, token: TokenWritten) -> None:
        self.seen.append(token)
        self.undecided = len(self.seen) if token.ends_step else self.undecided

    def begin(self, move: Write, start: int, seen: Sequence[TokenWritten] = ()) -> None:
        """What came before `start` is decided."""
        self.watched, self.within_step = move.watched, move.within_step
        self.start, self.seen, self.undecided = start, list(seen), 0


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
        self.text = TextState(tags, written, settings.boundary)
        self.stream = WriteStream(sessions, self.text, settings)
        self.now, self.view = self.stream.now, self.stream.view
        self._counters = dict(policy.counters)
        self._replaced: tuple[int, str, Sequence[TokenWritten]] = (0, "", ())
        """Position, text and tokens of the lookahead that the last takeover replaced."""
        self._in_takeover: list[TokenWritten] | None = None
        """What was written of the takeover under way."""
        self._interrupted_by = AskedBy.POLICY
        """Who ended the last takeover, if it was not its length."""
        self._settled = self.text.position

    def run(self, first_move: Move | None = None) -> Iterator[Event]:
        """Everything that happens after `RunStarted`; the last event is always `RunEnded`. Call it once."""
        move = first_move or self._beginning()
        yield from self._count()
        while not isinstance(move := self._possible(self._admit(move)), Finished):
            try:
                move = yield from self._carry_out(move)
            except BatonError as error:
                move = yield from self._after_failure(move, error)
        yield from self._settle(self.text.position, rewritable=False)
        yield events.RunEnded(self.now(), move.finish, move.reason)

    def _beginning(self) -> Move:
        """The policy's opening or, of a text that stands already, its decision at the step boundary at its end."""
        text = self.text
        if not text.position:
            return self.policy.opening(self.view(Author.INSERTED, 0))
        if not text.at_boundary:
            return keep()
        return self.policy.at_boundary(self.view(self.policy.default_writer, text.last_step_start))

    def _carry_out(self, move: Move) -> MoveGenerator:
        match move:
            case Write(is_takeover=False):
                return (yield from self._go_on(move))
            case Write():
                return (yield from self._take_over(move))
            case Insert(text, reason, then):
                self.text.insert(text)
                yield events.TextInserted(self.now(), text, reason.id)
                return then
            case Restore(then):
                start, replaced, tokens = self._replaced
                yield self.stream.discard(start)
                for event in self.stream.restore(self.policy.default_writer, replaced, tokens):
                    yield event
                    if tag := self.text.close_thinking():
                        yield self._closed(self.policy.default_writer, tag)
                return then
            case Judge():
                return (yield from self._judge(move))
            case Score():
                return (yield from self._score(move))
            case Close(reason):
                return (yield from self._close_thinking(reason))
            case Finished():
                return move

    def _go_on(self, move: Write) -> MoveGenerator:
        """The default writer writes until a policy, a person, a limit or its own end stops it."""
        text, policy, author = self.text, self.policy, self.policy.default_writer
        yield from self._end_step(move)
        look, alternatives = _Look(move, text.position), policy.needs.alternatives
        with closing(self.stream.write(author, WITHOUT_END, None, alternatives, move.asked_by)) as writing:
            for event in writing:
                yield event
                if isinstance(event, PrefillProgressed) and (
                    interruption := self._interruption(self.view(author, look.start))
                ):
                    return interruption
                if not isinstance(event, TokenWritten):
                    continue
                look.add(event)
                if text.inside_character:
                    continue
                if next_move := (yield from self._decide(look)):
                    return next_move
                yield from self._settle(look.start if look.watched else text.position, undecided=look.undecided > 0)
        if look.watched and self.stream.stop is Stop.END_OF_TEXT:
            next_move = self._admit(policy.on_lookahead(self.view(author, look.start, look.seen, text_ended=True)))
            yield from self._count()
            if not _goes_on(next_move) or next_move.discard:
                return (yield from self._leave_lookahead(next_move, look.start, look.seen))
        return self._after_stop(author)

    def _decide(self, look: _Look) -> Generator[Event, None, Move | None]:
        """The move that follows from the token just written; None if the default writer goes on without a break.

        A lookahead of fixed length may run over a boundary: that boundary is decided once the lookahead is.
        """
        text, policy, author = self.text, self.policy, self.policy.default_writer
        if tag := text.close_thinking():
            yield self._closed(author, tag)
            view = self.view(author, look.start, look.seen, in_lookahead=look.watched)
            move = self._admit(policy.on_thinking_closed(view))
            if not _goes_on(move):
                return (yield from self._leave_lookahead(move, look.start)) if look.watched else move
            look.watched, look.within_step = look.watched and move.watched, move.within_step
        if interruption := self._interruption(self.view(author, look.start, look.seen)):
            return interruption
        if look.watched and not (look.undecided and look.within_step):
            move = self._admit(policy.on_lookahead(self.view(author, look.start, look.seen)))
            yield from self._count()
            if _goes_on(move) and move.watched:
                yield from self._end_step(move)
                look.within_step = move.within_step
                if move.settles:
                    look.begin(move, text.position)
                return None
            if move != keep():
                return (yield from self._leave_lookahead(move, look.start, look.seen))
            look.watched = False
        if look.undecided:
            step = self.view(author, text.last_step_start, look.seen[: look.undecided], at_boundary=True)
            move = self._admit(policy.at_boundary(step))
            yield from self._count()
            if not _goes_on(move):
                if text.step_begun and not isinstance(move, Finished):
                    yield self.stream.discard(text.step_start)
                return move
            look.begin(move, text.step_start, look.seen[look.undecided :])
        return None

    def _take_over(self, move: Write) -> MoveGenerator:
        """A model writes its tokens; boundaries inside count as steps and bring no decision."""
        text = self.text
        start = text.rewritable_from if move.rewrite_step else text.position
        yield self._takeover_started(move, start)
        if move.rewrite_step:
            yield self.stream.discard(start)
        seen = self._in_takeover = list[TokenWritten]()
        next_move = yield from self._write_takeover(move, start, seen)
        if not next_move and self.stream.stop is Stop.LIMIT and self.stream.room <= 0:
            next_move = self._out_of_room()
        if isinstance(next_move, Finished):
            return next_move
        self._in_takeover = None
        yield events.TakeoverEnded(self.now(), len(seen), self._interrupted_by)
        return next_move or (yield from self._after_takeover(move, start, seen))

    def _write_takeover(self, move: Write, start: int, seen: list[TokenWritten]) -> Generator[Event, None, Move | None]:
        """The move that ended it before its time, if one did. `seen` is filled with its tokens."""
        assert move.author
        assert move.reason
        text, author, next_move = self.text, move.author, None
        self._interrupted_by = AskedBy.POLICY
        with closing(self.stream.write(author, move.limit + UTF8_REST, move.reason.id)) as writing:
            for event in writing:
                yield event
                if isinstance(event, PrefillProgressed) and (
                    interruption := self._interruption(self.view(author, start, takeover=move))
                ):
                    return interruption
                if not isinstance(event, TokenWritten):
                    continue
                seen.append(event)
                if text.inside_character:
                    continue
                if tag := text.close_thinking():
                    yield self._closed(author, tag)
                    after = self.policy.on_thinking_closed(self.view(author, start, seen, takeover=move))
                    next_move = None if _goes_on(after) else after
                next_move = self._interruption(self.view(author, start, seen, takeover=move)) or next_move
                if next_move or move.is_over(len(seen), text.body.text, start, text.at_boundary):
                    return next_move
                if move.tokens >= WITHOUT_END:
                    yield from self._settle(text.position, rewritable=False)
        if self.stream.stop is not Stop.CANCELLED:
            return None
        return self._interruption(self.view(author, start, seen, takeover=move)) or Finished(Finish.STOPPED)

    def _after_takeover(self, move: Write, start: int, seen: Sequence[TokenWritten]) -> MoveGenerator:
        assert move.author
        is_empty = self.stream.stop is Stop.END_OF_TEXT and not seen and move.tokens < WITHOUT_END
        if is_empty and self.policy.hands_back_empty and not move.rewrite_step:
            # Without asking about this boundary, or this step, again: that could go on for ever.
            replaces = self._replaced[0] == start and bool(self._replaced[1])
            return Restore(keep()) if replaces else keep()
        if self.stream.stop not in (None, Stop.LIMIT):
            return self._after_stop(move.author)
        if move.until is Until.STEP and not self.text.at_boundary:
            yield from self._end_step(look_on(ends_step=True))
        next_move = self.policy.on_takeover_end(self.view(move.author, start, seen, takeover=move))
        yield from self._count()
        return next_move

    def _leave_lookahead(self, move: Move, start: int, seen: Sequence[TokenWritten] = ()) -> MoveGenerator:
        """Discard the lookahead, unless a takeover comes after it; then the move goes on without it."""
        if not isinstance(move, Write):
            return move
        if not move.keep_lookahead:
            self._replaced = start, self.text.body.text[start:], tuple(seen)
            yield self.stream.discard(start)
        return move if move.is_takeover else keep()

    def _judge(self, move: Judge) -> MoveGenerator:
        asked, writer = time.perf_counter(), self.policy.default_writer
        judge, body = self.sessions[move.author], tuple(self.text.body.parts)
        probabilities, read, mass = judge.judge(body, move.question, move.choices)
        if interruption := self._interruption(self.view(writer, self.text.rewritable_from)):
            return interruption  # the judgement was cancelled: it says nothing
        seconds = time.perf_counter() - asked
        cost = seconds, read.reused, read.prefilled
        yield events.Judged(self.now(), move.choices, probabilities, *cost, move.author, mass)
        return self.policy.on_judgement(self.view(writer, self.text.rewritable_from), probabilities)

    def _score(self, move: Score) -> MoveGenerator:
        asked, writer, start = time.perf_counter(), self.policy.default_writer, self.text.rewritable_from
        scores = self.sessions[move.author].score(tuple(self.text.body.parts), start)
        if interruption := self._interruption(self.view(writer, start)):
            return interruption
        mean, read = scores.mean_logprob, scores.handoff
        seconds = time.perf_counter() - asked
        yield events.Scored(self.now(), len(scores.tokens), mean, seconds, read.reused, read.prefilled, move.author)
        return self.policy.on_score(self.view(writer, start), mean)

    def _close_thinking(self, reason: TakeoverReason) -> MoveGenerator:
        """Insert the closing tag and go on to the answer. If neither model has thinking tags, the text ends instead."""
        tag = next(iter(self.text.closing_tags), "")
        if not tag or not self.text.thinking:
            if reason is REPETITION:
                return Finished(Finish.REPETITION, "Stopped: the text was repeating itself.")
            return Finished(Finish.MAX_TOKENS, f"Stopped: {reason.label.lower()}.")
        inserted = f"\n{tag}\n\n"
        self.text.insert(inserted)
        yield events.TextInserted(self.now(), inserted, reason.id)
        self.text.close_thinking()
        yield self._closed(Author.INSERTED, tag)
        move = self.policy.on_thinking_closed(self.view(Author.INSERTED, self.text.position))
        thinkers = [author for author, session in self.sessions.items() if session.card.thinking]
        if _goes_on(move) and self.policy.default_writer not in thinkers:
            # To a model without tags the text was complete: the one that has them writes the answer.
            return take_over(WITHOUT_END, ANSWER, author=thinkers[0])
        return move

    def _after_stop(self, author: Author) -> Move:
        """A model stopped by itself: what its reason means for the run."""
        card = self.sessions[author].card
        match self.stream.stop:
            case Stop.END_OF_TEXT if self.text.thinking and self.text.closing_tags:
                return Close(UNCLOSED)
            case Stop.END_OF_TEXT:
                return Finished(Finish.END_OF_TEXT)
            case Stop.CONTEXT_FULL:
                raise ContextFull(f"The context of {card.name} is full ({card.context} tokens).")
            case Stop.CANCELLED:
                return self._interruption(self.view(author, self.text.position)) or Finished(Finish.STOPPED)
            case _:
                return self._out_of_room()

    def _after_failure(self, move: Move, error: BatonError) -> MoveGenerator:
        """A model is lost or refuses: the other one goes on without it, or the run ends."""
        lost = self._author_of(move)
        alone = Author.SMALL if lost is Author.LARGE else Author.LARGE
        is_wanted = self.settings.small_alone if lost is Author.LARGE else lost is not self.policy.default_writer
        if lost and is_wanted and alone in self.sessions:
            if self._in_takeover is not None:
                yield events.TakeoverEnded(self.now(), len(self._in_takeover))
                self._in_takeover = None
            yield events.Noticed(self.now(), f"{error} The {alone.value} model goes on alone.", lost)
            self.policy = Policy()
            self.policy.default_writer = alone
            return keep()
        finish = Finish.CONTEXT_FULL if isinstance(error, ContextFull) else Finish.FAILED
        return Finished(finish, str(error))

    def _possible(self, move: Move) -> Move:
        """The move, or what is left of it when there is no room or only one model."""
        if self.stream.room <= 0 and not isinstance(move, Finished):
            return self._out_of_room()
        author = self._author_of(move)
        if author is None or author in self.sessions:
            return move
        if isinstance(move, Write) and not move.is_takeover:
            other, reason = (Author.LARGE, LARGE_ONLY) if author is Author.SMALL else (Author.SMALL, SMALL_ONLY)
            return take_over(WITHOUT_END, reason, author=other)
        return keep()

    def _out_of_room(self) -> Finished:
        kept, most = self.stream.kept, self.settings.max_tokens
        if kept >= most:
            return Finished(Finish.MAX_TOKENS)
        reason = f"Stopped: {self.stream.decoded:,} tokens were written, and only {kept:,} of them were kept."
        return Finished(Finish.MAX_TOKENS, reason)

    def _author_of(self, move: Move) -> Author | None:
        """The model that the move needs."""
        if isinstance(move, Write):
            return move.author or self.policy.default_writer
        return move.author if isinstance(move, Judge | Score) else None

    def _interruption(self, view: View) -> Move | None:
        for source in self.interruptions:
            if move := source.interrupt(view):
                self._interrupted_by = source.asked_by
                return replace(move, asked_by=source.asked_by) if isinstance(move, Write) else move
        return None

    def _settle(self, before: int, *, rewritable: bool = True, undecided: bool = False) -> Iterator[Event]:
        """Say that the text before this position stays.

        `rewritable`: the policy may yet have its last step rewritten; `undecided`: and the one before, since it has not
        been asked about the boundary between them.
        """
        text = self.text
        if rewritable and self.policy.rewrites and len(self.sessions) > 1:
            before = min(before, text.last_step_start if undecided else text.step_start)
        if (before := min(before, text.before_tag)) > self._settled:
            self._settled = before
            yield events.TextSettled(self.now(), before)

    def _end_step(self, move: Write) -> Iterator[Event]:
        if move.ends_step and self.text.step_begun:
            self.text.end_step()
            yield events.StepEnded(self.now(), self.text.position)

    def _admit(self, move: Move) -> Move:
        for source in self.interruptions:
            move = source.admit(move, self.view(Author.INSERTED, self.text.position))
        return move

    def _count(self) -> Iterator[Event]:
        if self.policy.counters != self._counters:
            self._counters = dict(self.policy.counters)
            yield events.CountersChanged(self.now(), dict(self._counters))

    def _takeover_started(self, move: Write, position: int) -> Event:
        assert move.author
        assert move.reason
        slack = move.slack if move.until is Until.SENTENCE else 0
        return events.TakeoverStarted(
            self.now(),
            move.reason.id,
            move.cue,
            move.tokens,
            position,
            move.author,
            move.until,
            slack,
            move.rewrite_step,
            move.asked_by,
        )

    def _closed(self, author: Author, tag: str) -> Event:
        return events.ThinkingClosed(self.now(), author, self.text.answer_start or 0, tag)


def _goes_on(move: Move) -> TypeGuard[Write]:
    """Whether the default writer goes on without a break."""
    return isinstance(move, Write) and not move.is_takeover
