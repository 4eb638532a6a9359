"""Runs the loop: a policy decides, two models write, and everything that happens is yielded as an event.

    ask the policy ──► Write     the default writer goes on; at each boundary, and as a lookahead grows, ask again
                                 or the other model takes over for some tokens; then ask again
                   ──► Insert    a text is inserted; then comes the move that goes with it
                   ──► Judge     a model answers a question about the text; then ask again
                   ──► Score     a model scores how likely it finds the step; then ask again
                   ──► Trial     a model tries how it would go on, outside the text; then ask again
                   ──► Close     the thinking is closed; the default writer goes on to the answer
                   ──► Finished  the end

Moves are data (policy.py). The loop turns them into writes (write_stream.py) and events, and does nothing else. Which
model is the default writer is the policy's choice, and both are treated alike. A person and the limits of a run are
asked after every token, and after every chunk of a long prefill; they may answer with a move, too. So may a model's
failure: the other model goes on alone, or the run ends with the text so far.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeGuard

from baton_reasoning.core.engines.base import Session, Stop
from baton_reasoning.core.engines.body import Author, Part
from baton_reasoning.core.errors import BatonError, ContextFull
from baton_reasoning.core.thinking import events
from baton_reasoning.core.thinking.events import AskedBy, Event, Finish, PrefillProgressed, TokenWritten, Until
from baton_reasoning.core.thinking.policy import (
    LAST_STEP,
    WITHOUT_END,
    Close,
    Finished,
    Insert,
    Interruption,
    Judge,
    Move,
    Policy,
    Score,
    Trial,
    View,
    Write,
    keep,
    look_on,
    take_over,
)
from baton_reasoning.core.thinking.reasons import ANSWER, LARGE_ONLY, REPETITION, SMALL_ONLY, UNCLOSED
from baton_reasoning.core.thinking.run_settings import RunSettings
from baton_reasoning.core.thinking.text_state import TextState
from baton_reasoning.core.thinking.write_stream import WriteStream

NextMove = Generator[Event, None, Move]
"""Yields what happens; returns the next move."""
Decision = Generator[Event, None, Move | None]
"""Yields what happens; returns the next move, or None if the model goes on writing."""

AT_END = (Finish.END_OF_TEXT, Finish.MAX_TOKENS, Finish.CONTEXT_FULL)
"""Ends of a run at which a policy may have the text written again."""
UTF8_REST = 3
"""Tokens beyond its limit that a takeover may need to complete a character."""


@dataclass(slots=True)
class _Undecided:
    """Text of the default writer that the policy has not decided on: a lookahead, or the step that is being written."""

    move: Write
    """Under which it is being written."""
    start: int
    tokens: list[TokenWritten] = field(default_factory=list)
    before_boundary: int = 0
    """Number of tokens up to the boundary that waits for a decision; 0 if none does."""

    @property
    def is_lookahead(self) -> bool:
        return self.move.watched

    def append(self, token: TokenWritten) -> None:
        self.tokens.append(token)
        if token.ends_step:
            self.before_boundary = len(self.tokens)

    def begin(self, move: Write, start: int, tokens: Sequence[TokenWritten] = ()) -> None:
        """Begin anew at `start`: the text before it is decided."""
        self.move, self.start, self.tokens, self.before_boundary = move, start, list(tokens), 0


class Loop:
    """Carries out one run over open sessions."""

    def __init__(
        self,
        sessions: Mapping[Author, Session],
        policy: Policy,
        settings: RunSettings,
        interruptions: Sequence[Interruption] = (),
        written: Sequence[Part] = (),
        on_settled: Callable[[int], object] | None = None,
    ) -> None:
        """`written`: a text to continue. `on_settled`: see `core.run.run`."""
        tags = [session.card.thinking.closing for session in sessions.values() if session.card.thinking]
        self.sessions = sessions
        self.policy = policy
        self.settings = settings
        self.interruptions = interruptions
        self.text = TextState(tags, written, settings.boundary)
        self.stream = WriteStream(sessions, self.text, settings)
        self.now, self.view = self.stream.now, self.stream.view
        self._counters = dict(policy.counters)
        self._in_takeover: list[TokenWritten] | None = None
        """Tokens of the takeover under way."""
        self._undecided: _Undecided | None = None
        """What the default writer has written since the policy was asked last; None if the other model wrote since."""
        self._interrupted_by = AskedBy.POLICY
        """Who ended the last takeover, if it did not reach its length."""
        self._on_settled = on_settled
        self._settled = self.text.position

    def run(self, first_move: Move | None = None) -> Iterator[Event]:
        """Yield everything that happens after `RunStarted`; the last event is always `RunEnded`. Call it once."""
        move = first_move or self._decision_at_end()
        yield from self._report_counters()
        while not isinstance(move := (yield from self._next(move)), Finished):
            try:
                move = yield from self._carry_out(move)
            except BatonError as error:
                move = yield from self._after_failure(move, error)
        self._settle(self.text.position, is_final=True)
        yield events.RunEnded(self.now(), move.finish, move.reason)

    def _next(self, move: Move) -> NextMove:
        """Return the move that is made. At the end of the text the policy may have all of it written again."""
        move = self._feasible(self._admit(move))
        if not (isinstance(move, Finished) and move.finish in AT_END and self.policy.answers_again):
            return move
        at = self._undecided
        view = self._view_of(at, text_ended=True) if at else self._view_at(self.text.position)
        again = self.policy.at_end(view, move.finish)
        yield from self._report_counters()
        return self._feasible(self._admit(again)) if again else move

    def _decision_at_end(self) -> Move:
        """Ask for the policy's opening or, of a text that is continued, its decision at the boundary at the end."""
        text = self.text
        if not text.position:
            return self.policy.opening(self.view(Author.INSERTED, 0))
        if not text.at_boundary:
            return keep()
        return self.policy.at_boundary(self.view(self.policy.default_writer, text.last_step_start))

    def _carry_out(self, move: Move) -> NextMove:
        match move:
            case Write(is_takeover=False):
                return (yield from self._go_on(move))
            case Write():
                return (yield from self._take_over(move))
            case Insert():
                return (yield from self._insert(move))
            case Judge():
                return (yield from self._judge(move))
            case Score():
                return (yield from self._score(move))
            case Trial():
                tried = yield from self.stream.attempt(move)
                view = self._view_at(self.text.position if move.start is None else move.start)
                return self._interruption(view) or self.policy.on_trial(view, tried)
            case Close():
                return (yield from self._close_thinking(move))
            case Finished():
                return move

    # The default writer ----------------------------------------------------------------------------------------------

    def _go_on(self, move: Write) -> NextMove:
        """Let the default writer write until the policy, a person, a limit or the end of its text stops it."""
        yield from self._end_step(move)
        author = self.policy.default_writer
        undecided = self._undecided = _Undecided(move, self.text.position)
        writing = self.stream.write(author, WITHOUT_END, None, self.policy.needs.alternatives, move.asked_by)
        view, decide = partial(self._view_of, undecided), partial(self._decide, undecided)
        if next_move := (yield from self._write(writing, undecided.append, view, decide)):
            return next_move
        if undecided.is_lookahead and self.stream.stop is Stop.END_OF_TEXT:
            next_move = self._admit(self.policy.on_lookahead(self._view_of(undecided, text_ended=True)))
            yield from self._report_counters()
            if not _goes_on(next_move) or next_move.discard:
                return (yield from self._leave_lookahead(next_move, undecided.start))
        return self._after_stop(author)

    def _write(
        self,
        writing: Generator[Event, None, None],
        append: Callable[[TokenWritten], object],
        view: Callable[[], View],
        decide: Callable[[], Decision],
        is_over: Callable[[], bool] = lambda: False,
    ) -> Decision:
        """Pass on the events of a write until it is over, or there is another move. Nothing is decided in the middle of
        a character."""
        with closing(writing):
            for event in writing:
                yield event
                if isinstance(event, PrefillProgressed):
                    if interruption := self._interruption(view()):
                        return interruption
                elif isinstance(event, TokenWritten):
                    append(event)
                    if not self.text.inside_character and ((move := (yield from decide())) or is_over()):
                        return move
        return None

    def _decide(self, undecided: _Undecided) -> Decision:
        """Ask those who may stop the default writer after a token.

        A lookahead of fixed length may run over a boundary, which is then decided after the lookahead.
        """
        if (tag := self.text.close_thinking()) and (move := (yield from self._ask_when_closed(undecided, tag))):
            return move
        if interruption := self._interruption(self._view_of(undecided)):
            return interruption
        if undecided.is_lookahead and not (undecided.before_boundary and undecided.move.within_step):
            move = yield from self._ask_in_lookahead(undecided)
        else:
            move = (yield from self._ask_at_boundary(undecided)) if undecided.before_boundary else None
        if not move:
            end = undecided.start if undecided.is_lookahead else self.text.position
            self._settle(end, boundary_waits=undecided.before_boundary > 0)
        return move

    def _ask_when_closed(self, undecided: _Undecided, tag: str) -> Decision:
        """Ask the policy when the token has closed the thinking."""
        yield self._thinking_closed(self.policy.default_writer, tag)
        is_lookahead = undecided.is_lookahead
        move = self._admit(self.policy.on_thinking_closed(self._view_of(undecided, in_lookahead=is_lookahead)))
        if _goes_on(move):
            undecided.move = move if is_lookahead else keep()
            return None
        return (yield from self._leave_lookahead(move, undecided.start)) if is_lookahead else move

    def _ask_in_lookahead(self, undecided: _Undecided) -> Decision:
        """Ask the policy about the lookahead so far; once it only goes on, also about the boundary that waits."""
        move = self._admit(self.policy.on_lookahead(self._view_of(undecided)))
        yield from self._report_counters()
        if _goes_on(move) and move.watched:
            yield from self._end_step(move)
            undecided.move = move
            if move.settles:
                undecided.begin(move, self.text.position)
            return None
        if move != keep():
            return (yield from self._leave_lookahead(move, undecided.start))
        undecided.move = keep()
        return (yield from self._ask_at_boundary(undecided)) if undecided.before_boundary else None

    def _ask_at_boundary(self, undecided: _Undecided) -> Decision:
        """Ask the policy about the step that has ended. If it does not go on, what follows the step is discarded."""
        text, tokens, end = self.text, undecided.tokens, undecided.before_boundary
        step = self.view(self.policy.default_writer, text.last_step_start, tokens[:end], at_boundary=True)
        move = self._admit(self.policy.at_boundary(step))
        yield from self._report_counters()
        if _goes_on(move):
            undecided.begin(move, text.step_start, tokens[end:])
            return None
        if text.step_begun and not isinstance(move, Finished):
            yield self.stream.discard(text.step_start)
        return move

    def _leave_lookahead(self, move: Move, start: int) -> NextMove:
        """Discard the lookahead, unless a takeover follows it; returns the move to make then."""
        if not isinstance(move, Write):
            return move
        if not move.keep_lookahead:
            yield self.stream.discard(start)
        return move if move.is_takeover else keep()

    # Takeovers -------------------------------------------------------------------------------------------------------

    def _take_over(self, move: Write) -> NextMove:
        """Let a model write its tokens. Boundaries among them count as steps, and nothing is decided there."""
        assert move.author
        assert move.reason
        text, self._undecided = self.text, None
        start = self._start_of(move)
        rewrites = move.rewrite_from is not None
        yield events.TakeoverStarted(
            self.now(),
            move.reason.id,
            move.cue,
            move.tokens,
            start,
            move.author,
            move.until,
            rewrites,
            move.asked_by,
        )
        if rewrites and start < text.position:
            yield self.stream.discard(start)
        tokens = self._in_takeover = list[TokenWritten]()
        next_move = yield from self._write_takeover(move, start, tokens)
        if not next_move and self.stream.stop is Stop.LIMIT and self.stream.remaining <= 0:
            next_move = self._out_of_tokens()
        if isinstance(next_move, Finished):
            return next_move
        self._in_takeover = None
        yield events.TakeoverEnded(self.now(), len(tokens), self._interrupted_by)
        return next_move or (yield from self._after_takeover(move, start, tokens))

    def _write_takeover(self, move: Write, start: int, tokens: list[TokenWritten]) -> Decision:
        """Write the tokens of a takeover into `tokens`; returns the move that ended it early, if one did."""
        assert move.author
        assert move.reason
        text, author, reason = self.text, move.author, move.reason
        view = partial(self.view, author, start, tokens, takeover=move)

        def decide() -> Decision:
            next_move = None
            if tag := text.close_thinking():
                yield self._thinking_closed(author, tag)
                after = self.policy.on_thinking_closed(view())
                next_move = None if _goes_on(after) else after
            next_move = self._interruption(view()) or next_move
            if not next_move and move.tokens >= WITHOUT_END:
                self._settle(text.position, may_rewrite=False)
            return next_move

        def is_over() -> bool:
            if move.watched and self.policy.ends_takeover(view()):
                return True
            return move.is_over(len(tokens), text.body.text, start, text.at_boundary)

        self._interrupted_by = AskedBy.POLICY
        alternatives = self.policy.needs.alternatives_in_takeovers
        writing = self.stream.write(author, move.limit + UTF8_REST, reason.id, alternatives)
        next_move = yield from self._write(writing, tokens.append, view, decide, is_over)
        if next_move or self.stream.stop is not Stop.CANCELLED:
            return next_move
        return self._interruption(view()) or Finished(Finish.STOPPED)

    def _after_takeover(self, move: Write, start: int, tokens: Sequence[TokenWritten]) -> NextMove:
        assert move.author
        is_empty = self.stream.stop is Stop.END_OF_TEXT and not tokens and move.tokens < WITHOUT_END
        if is_empty and self._hands_back_empty(move):
            # Without asking about this boundary, or this step, again: that could go on for ever.
            return keep()
        if self.stream.stop not in (None, Stop.LIMIT):
            return self._after_stop(move.author)
        if move.until is Until.STEP and not self.text.at_boundary:
            yield from self._end_step(look_on(ends_step=True))
        next_move = self.policy.on_takeover_end(self.view(move.author, start, tokens, takeover=move))
        yield from self._report_counters()
        return next_move

    def _hands_back_empty(self, move: Write) -> bool:
        """Tell whether a takeover that its model ended at once is handed back. Where no thinking is open, a large model
        with nothing to write has found the text complete."""
        is_complete = move.author is Author.LARGE and not self._in_thinking
        return self.policy.hands_back_empty and move.rewrite_from is None and not is_complete

    @property
    def _in_thinking(self) -> bool:
        """Whether the text is in a thinking that has to be closed: a model without tags has none."""
        return self.text.thinking and bool(self.text.closing_tags)

    def _start_of(self, move: Write) -> int:
        """Return where the text of a takeover begins."""
        text = self.text
        match move.rewrite_from:
            case None:
                return text.position
            case step if step == LAST_STEP:
                return text.rewritable_from
            case position:
                return min(text.position, max(position, text.edited_until))

    # Other moves -----------------------------------------------------------------------------------------------------

    def _judge(self, move: Judge) -> NextMove:
        asked, writer = time.perf_counter(), self.policy.default_writer
        judge, body = self.sessions[move.author], tuple(self.text.body.parts)
        judgement = judge.judge(body, move.question, move.choices)
        if interruption := self._interruption(self.view(writer, self.text.rewritable_from)):
            return interruption  # the judgement was cancelled: it says nothing
        probabilities, read, mass = judgement
        cost = time.perf_counter() - asked, read.reused, read.prefilled
        yield events.Judged(self.now(), move.choices, probabilities, *cost, move.author, mass)
        return self._unless_ended(self.policy.on_judgement(self.view(writer, self.text.rewritable_from), judgement))

    def _score(self, move: Score) -> NextMove:
        asked, writer, start = time.perf_counter(), self.policy.default_writer, self.text.rewritable_from
        scores = self.sessions[move.author].score(tuple(self.text.body.parts), start)
        if interruption := self._interruption(self.view(writer, start)):
            return interruption
        read, seconds = scores.handoff, time.perf_counter() - asked
        yield events.Scored(self.now(), scores.tokens, seconds, read.reused, read.prefilled, move.author)
        return self._unless_ended(self.policy.on_score(self.view(writer, start), scores))

    def _unless_ended(self, move: Move) -> Move:
        """Return the move, or the end of a text that its writer had ended and that the policy lets stand."""
        is_over = _goes_on(move) and self.stream.stop is Stop.END_OF_TEXT
        return self._after_stop(self.policy.default_writer) if is_over else move

    def _insert(self, move: Insert) -> NextMove:
        self.text.insert(move.text, move.author)
        yield events.TextInserted(self.now(), move.text, move.reason.id, move.author)
        if tag := self.text.close_thinking():
            yield self._thinking_closed(move.author, tag)
            return move.then or self._move_to_answer(move.author)
        return move.then or self._decision_at_end()

    def _close_thinking(self, move: Close) -> NextMove:
        """Insert the closing tag and go on to the answer. If neither model has thinking tags, the run ends instead."""
        reason = move.reason
        tag = next(iter(self.text.closing_tags), "")
        if not tag or not self.text.thinking:
            if reason is REPETITION:
                return Finished(Finish.REPETITION, "Stopped: the text was repeating itself.")
            return Finished(Finish.MAX_TOKENS, f"Stopped: {reason.label.lower()}.")
        inserted = f"\n{tag}\n\n"
        self.text.insert(inserted)
        yield events.TextInserted(self.now(), inserted, reason.id)
        self.text.close_thinking()
        yield self._thinking_closed(Author.INSERTED, tag)
        return self._move_to_answer(Author.INSERTED)

    def _move_to_answer(self, closed_by: Author) -> Move:
        """Return the move after a closing tag that no model wrote."""
        move = self.policy.on_thinking_closed(self.view(closed_by, self.text.position))
        thinkers = [author for author, session in self.sessions.items() if session.card.thinking]
        if _goes_on(move) and self.policy.default_writer not in thinkers:
            # To a model without tags the text was complete: the one that has them writes the answer.
            return take_over(WITHOUT_END, ANSWER, author=thinkers[0])
        return move

    # Ends and failures -----------------------------------------------------------------------------------------------

    def _after_stop(self, author: Author) -> Move:
        """Return the move that follows when a model has stopped by itself."""
        card = self.sessions[author].card
        match self.stream.stop:
            case Stop.END_OF_TEXT if self._in_thinking:
                return Close(UNCLOSED)
            case Stop.END_OF_TEXT:
                return Finished(Finish.END_OF_TEXT)
            case Stop.CONTEXT_FULL:
                raise ContextFull(f"The context of {card.name} is full ({card.context} tokens).")
            case Stop.CANCELLED:
                return self._interruption(self.view(author, self.text.position)) or Finished(Finish.STOPPED)
            case Stop.LIMIT if self.stream.remaining > 0:
                reason = f"Stopped: {card.name} on {card.location} ended the text at a limit of its own."
                return Finished(Finish.MAX_TOKENS, reason)
            case _:
                return self._out_of_tokens()

    def _after_failure(self, move: Move, error: BatonError) -> NextMove:
        """Go on with the other model when one is lost or refuses, or end the run."""
        lost = self._author_of(move)
        alone = Author.SMALL if lost is Author.LARGE else Author.LARGE
        is_possible = lost is Author.LARGE or lost is not self.policy.default_writer
        if lost and self.settings.small_alone and is_possible and alone in self.sessions:
            if self._in_takeover is not None:
                yield events.TakeoverEnded(self.now(), len(self._in_takeover))
                self._in_takeover = None
            yield events.Noticed(self.now(), f"{error} The {alone.value} model goes on alone.", lost)
            self.policy = Policy()
            self.policy.default_writer = alone
            return keep()
        finish = Finish.CONTEXT_FULL if isinstance(error, ContextFull) else Finish.FAILED
        return Finished(finish, str(error))

    def _feasible(self, move: Move) -> Move:
        """Return the move, or another in its place if no tokens remain or its model takes no part."""
        if self.stream.remaining <= 0 and not isinstance(move, Finished) and not self._frees_tokens(move):
            return self._out_of_tokens()
        author = self._author_of(move)
        if author is None or author in self.sessions:
            return move
        if isinstance(move, Write) and not move.is_takeover:
            other, reason = (Author.LARGE, LARGE_ONLY) if author is Author.SMALL else (Author.SMALL, SMALL_ONLY)
            return take_over(WITHOUT_END, reason, author=other)
        return keep()

    def _frees_tokens(self, move: Move) -> bool:
        """Tell whether a move discards text, so that tokens remain for it."""
        is_again = isinstance(move, Write) and move.is_takeover and self._start_of(move) < self.text.position
        return is_again and self.stream.may_decode

    def _out_of_tokens(self) -> Finished:
        kept, most = self.stream.kept, self.settings.max_tokens
        if kept >= most:
            return Finished(Finish.MAX_TOKENS)
        reason = f"Stopped: {self.stream.decoded:,} tokens were written, and only {kept:,} of them were kept."
        return Finished(Finish.MAX_TOKENS, reason)

    def _author_of(self, move: Move) -> Author | None:
        """Return the model that the move needs."""
        if isinstance(move, Write):
            return move.author or self.policy.default_writer
        return move.author if isinstance(move, Judge | Score | Trial) else None

    # What all of them use --------------------------------------------------------------------------------------------

    def _view_at(self, start: int) -> View:
        return self.view(self.policy.default_writer, start)

    def _view_of(self, undecided: _Undecided, *, text_ended: bool = False, in_lookahead: bool = False) -> View:
        author, start, tokens = self.policy.default_writer, undecided.start, undecided.tokens
        return self.view(author, start, tokens, text_ended=text_ended, in_lookahead=in_lookahead)

    def _interruption(self, view: View) -> Move | None:
        for source in self.interruptions:
            if move := source.interrupt(view):
                self._interrupted_by = source.asked_by
                return replace(move, asked_by=source.asked_by) if isinstance(move, Write) else move
        return None

    def _admit(self, move: Move) -> Move:
        for source in self.interruptions:
            move = source.admit(move, self.view(Author.INSERTED, self.text.position))
        return move

    def _settle(
        self, before: int, *, is_final: bool = False, may_rewrite: bool = True, boundary_waits: bool = False
    ) -> None:
        """Report that the text before this position is final.

        `is_final`: the run has ended. `may_rewrite`: the policy may still have the last step rewritten;
        `boundary_waits`: and the step before it, because it has not been asked about the boundary between them.
        """
        may_rewrite = may_rewrite and not is_final
        if self._on_settled is None or (self.policy.answers_again and not is_final):
            return
        text = self.text
        if may_rewrite and self.policy.rewrites and len(self.sessions) > 1:
            before = min(before, text.last_step_start if boundary_waits else text.step_start)
        if text.thinking and not is_final:
            before = min(before, text.before_tag)
        if before > self._settled:
            self._settled = before
            self._on_settled(before)

    def _end_step(self, move: Write) -> Iterator[Event]:
        if move.ends_step and self.text.within_step:
            self.text.end_step()
            yield events.StepEnded(self.now(), self.text.position)

    def _report_counters(self) -> Iterator[Event]:
        if self.policy.counters != self._counters:
            self._counters = dict(self.policy.counters)
            yield events.CountersChanged(self.now(), dict(self._counters))

    def _thinking_closed(self, author: Author, tag: str) -> Event:
        return events.ThinkingClosed(self.now(), author, self.text.answer_start or 0, tag)


def _goes_on(move: Move) -> TypeGuard[Write]:
    """Tell whether the default writer goes on without a break."""
    return isinstance(move, Write) and not move.is_takeover
