"""Carries out the program of a policy, and hides from it what no policy should see.

    the program asks ──► Write                 the default writer goes on, in one write if it can
                         Accept, Discard       what waits stands, or goes
                         TakeOver              a model writes in place of what waits, or at the end
                         Judge, Score, Trial   a model is asked about the text
                         Insert, Close         a text that no model writes
    the program is over ► the default writer goes on to the end of the text

A person and the limits of a run are asked after every token. An interruption closes the program, what is wanted is
carried out, and the program starts anew where the text stands. It starts anew, too, where the thinking is closed (there
`Policy.answer` follows), and where a model is lost and the other one goes on alone.

Hidden are halves of characters, what a token holds of the next step, and what comes of the end of a text, of its tokens
or of a context.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, TypeVar

from baton_reasoning.core.engines.base import Judgement, Scores, Session, Stop
from baton_reasoning.core.engines.body import Author, Part
from baton_reasoning.core.errors import BatonError, ContextFull
from baton_reasoning.core.thinking import events, reasons, requests
from baton_reasoning.core.thinking.events import Event, Finish, PrefillProgressed, TokenWritten, Tried, Until
from baton_reasoning.core.thinking.interruptions import Checkpoint, Ended, Interrupted, Interruption, Intervention
from baton_reasoning.core.thinking.policy import Policy
from baton_reasoning.core.thinking.requests import SLACK, WITHOUT_END, Accept, Close, Program, TakeOver, Write, Written
from baton_reasoning.core.thinking.run_settings import RunSettings
from baton_reasoning.core.thinking.steps import ends_sentence
from baton_reasoning.core.thinking.text import Text
from baton_reasoning.core.thinking.write_stream import WriteStream

T = TypeVar("T")
Events = Generator[Event, None, T]
"""Yields what happens; returns a result."""

IDLE_REQUESTS = 1000
"""So many requests without a token in between end the run: a program that asks for ever would hang it."""
UTF8_REST = 3
"""Tokens beyond its limit that a takeover may need to complete a character."""


class _Restarted(Exception):
    """The thinking is closed, so the program starts anew."""


@dataclass(slots=True)
class _Passage:
    """What the default writer has written since the last decision."""

    start: int
    tokens: list[TokenWritten] = field(default_factory=list)
    to_boundary: int = 0
    """Number of tokens up to the last boundary in it; 0 if there is none."""
    waits: bool = False
    """Whether the program asked for it to wait. The beginning of the next step, in a token that ended one, does not
    wait: it stays only if the same model goes on."""
    step_ended: bool = False
    """Whether it is a step, which has ended: what is written next is another one."""
    text_ended: bool = False
    """Whether the program was told that the writer can write no more."""

    def append(self, token: TokenWritten) -> None:
        self.tokens.append(token)
        if token.ends_step:
            self.to_boundary = len(self.tokens)


def _limit(request: Write | TakeOver) -> int:
    """Return how many tokens it may have."""
    return request.tokens + (SLACK if request.until is Until.SENTENCE else 0)


class _Alone(Policy):
    """One model writes to the end, the answer included: the other one is lost, and not asked again."""

    in_answer = True

    def __init__(self, writer: Author, counters: dict[str, int]) -> None:
        super().__init__()
        self.default_writer, self.counters = writer, counters


class Driver:
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
        """`written`: a text to take up. `on_settled`: see `core.run.run`."""
        tags = [session.card.thinking.closing for session in sessions.values() if session.card.thinking]
        self.sessions = sessions
        self.policy = policy
        self.settings = settings
        self.interruptions = interruptions
        self.text = Text(tags, written, settings.boundary)
        self.stream = WriteStream(sessions, self.text, settings, policy.needs.entropy_alone)
        self._counters = dict(policy.counters)
        self._asked = policy.default_writer
        """The model that works now, or worked last."""
        self._writing: Generator[Event, None, None] | None = None
        """The default writer's open write."""
        self._passage: _Passage | None = None
        self._is_undecided = False
        """Whether the text is at a boundary about which the program has not been asked."""
        self._on_settled = on_settled
        self._settled = self.text.position
        """Up to where the text is final, as reported last."""

    def run(self, intervention: Intervention | None = None) -> Iterator[Event]:
        """Yield everything that happens after `RunStarted`; the last event is always `RunEnded`. Call it once.

        `intervention`: what a person wants before the policy decides.
        """
        try:
            ended = yield from self._until_the_end(intervention or Intervention())
        finally:
            self._end_write()
        self._report_settled(self.text.position)
        if remark := self.text.unknown_tag_remark():
            yield events.Noticed(self.stream.now(), remark)
        yield events.RunEnded(self.stream.now(), ended.finish, ended.reason)

    def _until_the_end(self, first: Intervention) -> Events[Ended]:
        intervention: Intervention | None = first
        if parts := self.text.body.parts:  # a text that is taken up may end with a tag that was not told of yet
            yield from self._close_if_tagged(parts[-1].author)
        while True:
            wanted, intervention = intervention, None
            try:
                if wanted is first:
                    self._check(self.policy.default_writer)
                yield from self._accept()
                self._passage = None
                if wanted:
                    yield from self._grant(wanted)
                yield from self._follow(self._program())
            except _Restarted:
                pass
            except Interrupted as interruption:
                intervention = interruption.intervention
            except Ended as end:
                return end
            except BatonError as error:
                self._end_write()
                if last := (yield from self._after_failure(error)):
                    return last

    def _program(self) -> Program:
        """Ask for the rest of the text as the policy does."""
        policy, text = self.policy, self.text
        if other := self._answers_instead():
            yield from TakeOver(WITHOUT_END, reasons.ANSWER, author=other)
        if text.thinking or policy.in_answer:
            yield from policy.think(text)
        else:
            yield from policy.answer(text)
        while True:
            yield from Write()

    def _follow(self, program: Program) -> Events[None]:
        """Carry out the requests of a program."""
        idle, decoded = 0, self.stream.decoded
        with closing(program):
            request = next(program)
            while True:
                result = yield from self._carry_out(request)
                idle, decoded = idle + 1 if decoded == self.stream.decoded else 0, self.stream.decoded
                if idle > IDLE_REQUESTS:
                    reason = f"Stopped: the policy “{self.policy.name}” goes on asking, and nothing is written."
                    raise Ended(Finish.FAILED, reason)
                request = program.send(result)

    def _carry_out(self, request: requests.Request[Any]) -> Events[Any]:
        if isinstance(request, requests.Question):
            return (yield from self._answer(request))
        if isinstance(request, Accept):
            return (yield from self._stand())
        if isinstance(request, requests.Discard):
            return (yield from self._discard())
        is_undecided, self._is_undecided = self._is_undecided, False
        if is_undecided and isinstance(request, Write) and request.until is Until.STEP and not request.waits:
            return Written("", (), self.text.position, at_boundary=True)
        yield from self._report_counters()
        match request:
            case Write() if self.policy.default_writer not in self.sessions:
                return (yield from self._take_over(self._replacement()))
            case Write():
                return (yield from self._write(request))
            case TakeOver():
                return (yield from self._take_over(request))
        yield from self._pause()
        match request:
            case requests.Insert():
                return (yield from self._insert(request))
            case Close():
                return (yield from self._close(request))

    def _answer(self, request: requests.Question) -> Events[Any]:
        """Answer a question, which leaves what waits, and a boundary, as they are."""
        if isinstance(request, requests.May):
            return self._is_allowed(request.takeover)
        yield from self._report_counters()
        yield from self._pause()
        match request:
            case requests.Judge():
                return (yield from self._judge(request))
            case requests.Score():
                return (yield from self._score(request))
            case requests.Trial():
                return (yield from self._try(request))

    def _pause(self) -> Events[None]:
        """End the default writer's write at the end of its step. Raises Ended if no token may follow."""
        self._end_write()
        yield from self._discard_next_step()
        self._check_tokens()

    # The default writer ----------------------------------------------------------------------------------------------

    def _write(self, request: Write) -> Events[Written]:
        """Let the default writer continue what waits. Its write stays open until something else is requested."""
        passage = self._passage = self._passage or _Passage(self.text.position)
        passage.waits = request.waits
        self._refuse_the_end(passage)
        if request.until is Until.TOKENS and request.tokens == WITHOUT_END:
            return (yield from self._write_all(passage))
        asks_first = bool(passage.tokens) or self._has_begun(passage.start)
        while not (asks_first and self._is_over(request, passage.start, passage.tokens, passage.to_boundary > 0)):
            asks_first = True
            if not (yield from self._write_token(passage)):
                passage.text_ended = True
                is_blank = request.until is Until.STEP and not self._has_begun(passage.start)
                if not request.waits or is_blank or self.stream.stop is not Stop.END_OF_TEXT:
                    raise self._after_stop(self.policy.default_writer)
                return self._written(passage, text_ended=True)
            if self._ends_thinking(passage.start):
                if not request.waits:
                    raise _Restarted
                return self._written(passage)
        passage.step_ended = request.until is Until.STEP and (
            passage.to_boundary > 0 or len(passage.tokens) >= request.tokens
        )
        written = self._written(passage)
        if not request.waits:
            yield from self._accept()
        return written

    def _write_all(self, passage: _Passage) -> Events[Written]:
        """Let the default writer complete its text. Where its thinking has to be closed, the answer belongs to it."""
        while True:
            try:
                while (yield from self._write_token(passage)):
                    pass
                if self.stream.stop in (None, Stop.CANCELLED):
                    raise self._after_stop(self.policy.default_writer)
                if self.stream.stop is not Stop.END_OF_TEXT or not self.text.is_open:
                    passage.text_ended = True
                    return self._written(passage, text_ended=self.stream.stop is Stop.END_OF_TEXT)
                reason = reasons.UNCLOSED
            except Interrupted as interruption:
                close = interruption.intervention.request
                if not isinstance(close, Close) or not self.text.is_open:
                    raise
                reason = close.reason
            self._end_write()
            yield from self._insert_tag(reason)

    def _stand(self) -> Events[None]:
        """Accept what waits, and what follows from that."""
        if self._passage:
            self._refuse_the_end(self._passage)
        yield from self._accept()

    def _refuse_the_end(self, passage: _Passage) -> None:
        """Raise what follows if this text is accepted, and ends the thinking or the text."""
        if self._ends_thinking(passage.start):
            raise _Restarted
        if passage.text_ended:
            raise self._after_stop(self.policy.default_writer)

    def _is_over(
        self, request: Write | TakeOver, start: int, tokens: Sequence[TokenWritten], has_boundary: bool = False
    ) -> bool:
        """Tell whether what is asked for ends here. White space alone is neither a sentence nor a step: a model that
        begins a takeover with an indented line is not at the end of anything."""
        text, until = self.text, request.until
        if len(tokens) >= _limit(request):
            return True
        if request.ends and request.ends(
            Written(text.body.text[start:], tokens, start, text.at_boundary, has_boundary)
        ):
            return True
        ends_step = has_boundary or (text.at_boundary and self._has_begun(start))
        if until in (Until.TOKENS, Until.STEP):
            return ends_step and until is Until.STEP
        is_long_enough = until is Until.FIRST_SENTENCE or len(tokens) >= request.tokens
        return is_long_enough and (ends_step or (ends_sentence(text.body.text) and self._has_begun(start)))

    def _has_begun(self, start: int) -> bool:
        """Tell whether more than white space follows."""
        return bool(self.text.body.text[start:].strip())

    def _write_token(self, passage: _Passage) -> Events[bool]:
        author = self._asked = self.policy.default_writer
        if self._writing is None:
            self._check_tokens()
            self._writing = self.stream.write(author, WITHOUT_END, None, self.policy.needs.alternatives)
        return (yield from self._next_token(self._writing, author, passage.append))

    def _next_token(
        self,
        writing: Generator[Event, None, None],
        author: Author,
        append: Callable[[TokenWritten], object],
        in_takeover: bool = False,
    ) -> Events[bool]:
        """Yield what happens until a token is written; returns False once its model has stopped. Nothing is decided in
        the middle of a character."""
        for event in writing:
            yield event
            if isinstance(event, PrefillProgressed):
                self._check(author, in_takeover)
            elif isinstance(event, TokenWritten):
                append(event)
                if not self.text.inside_character:
                    yield from self._close_if_tagged(author)
                    self._check(author, in_takeover)
                    self._settle()
                    return True
        return False

    def _written(self, passage: _Passage, *, text_ended: bool = False) -> Written:
        """Show a passage, or the step that has ended in it."""
        is_step = passage.step_ended and passage.to_boundary > 0
        end = self.text.step_start if is_step else self.text.position
        tokens = passage.tokens[: passage.to_boundary] if is_step else passage.tokens
        return Written(
            self.text.body.text[passage.start : end],
            tokens,
            passage.start,
            at_boundary=is_step or self.text.at_boundary,
            has_boundary=passage.to_boundary > 0,
            closed=self._ends_thinking(passage.start),
            text_ended=text_ended,
        )

    # Takeovers -------------------------------------------------------------------------------------------------------

    def _take_over(self, request: TakeOver) -> Events[Written]:
        """Let a model write its tokens. Boundaries among them count as steps, and nothing is decided there."""
        if not self._is_allowed(request):
            return self._no_takeover()
        start = yield from self._clear_place()
        self._asked = request.author
        asked = (request.cue, request.tokens, start, request.author, request.until, request.measure)
        yield events.TakeoverStarted(self.stream.now(), request.reason.id, *asked)
        tokens = list[TokenWritten]()
        try:
            yield from self._write_takeover(request, start, tokens)
        except (Interrupted, _Restarted, BatonError) as error:
            if not isinstance(error, BatonError) or self._survivor:
                is_by_hand = isinstance(error, Interrupted) and error.intervention == Intervention()
                yield events.TakeoverEnded(self.stream.now(), len(tokens), is_by_hand)
            raise
        stop = self.stream.stop
        if stop is Stop.CANCELLED or (stop is Stop.LIMIT and self.stream.remaining <= 0):
            raise self._after_stop(request.author)
        yield events.TakeoverEnded(self.stream.now(), len(tokens))
        if stop is Stop.END_OF_TEXT and not tokens and self._hands_back_empty(request):
            return self._no_takeover()
        if stop not in (None, Stop.LIMIT):
            raise self._after_stop(request.author)
        if request.until is Until.STEP and self.text.within_step:
            yield self._end_step()
        self._is_undecided = self.text.at_boundary and self.policy.decides_after_takeover
        return Written(self.text.body.text[start:], tokens, start, self.text.at_boundary)

    def _is_allowed(self, request: TakeOver) -> bool:
        limits = self.interruptions
        return request.author in self.sessions and all(limit.allows(request, self.text) for limit in limits)

    def _clear_place(self) -> Events[int]:
        """Discard what waits, and return where a takeover begins. Raises Ended if no tokens remain for it."""
        self._end_write()
        yield from self._discard_next_step()
        passage, self._passage = self._passage, None
        if passage and passage.waits and (passage.tokens or passage.start < self.text.position):
            yield self.stream.discard(passage.start)
        self._check_tokens()
        return self.text.position

    def _write_takeover(self, request: TakeOver, start: int, tokens: list[TokenWritten]) -> Events[None]:
        """Write the tokens of a takeover into `tokens`."""
        needs = self.policy.needs
        limit = _limit(request) + UTF8_REST
        writing = self.stream.write(request.author, limit, request.reason.id, needs.alternatives_in_takeovers)
        with closing(writing):
            while (yield from self._next_token(writing, request.author, tokens.append, in_takeover=True)):
                if self._ends_thinking(start):
                    raise _Restarted
                if self._is_over(request, start, tokens):
                    return

    def _hands_back_empty(self, request: TakeOver) -> bool:
        """Tell whether a takeover that its model ended at once is handed back. Where no thinking is open, a large model
        with nothing to write has found the text complete."""
        is_complete = request.author is Author.LARGE and not self.text.is_open
        return self.policy.hands_back_empty and request.tokens < WITHOUT_END and not is_complete

    def _replacement(self) -> TakeOver:
        """Return a takeover to the end by the only model there is, for a default writer that takes no part."""
        is_large = Author.LARGE in self.sessions
        author, reason = (Author.LARGE, reasons.LARGE_ONLY) if is_large else (Author.SMALL, reasons.SMALL_ONLY)
        return TakeOver(WITHOUT_END, reason, author=author)

    def _no_takeover(self) -> Written:
        return Written("", (), self.text.position, skipped=True)

    # Questions, and what no model writes -----------------------------------------------------------------------------

    def _judge(self, request: requests.Judge) -> Events[Judgement]:
        began, self._asked = self.stream.now(), request.author
        judgement = self.sessions[request.author].judge(tuple(self.text.body.parts), request.question, request.choices)
        self._check(self.policy.default_writer)  # one that was cancelled says nothing
        read = judgement.handoff._replace(seconds=self.stream.now() - began)
        yield events.Judged(self.stream.now(), request.choices, judgement.probabilities, read, request.author)
        return judgement

    def _score(self, request: requests.Score) -> Events[Scores]:
        began, self._asked = self.stream.now(), request.author
        start = self._passage.start if self._passage and self._passage.waits else self.text.rewritable_from
        scores = self.sessions[request.author].score(tuple(self.text.body.parts), start)
        self._check(self.policy.default_writer)
        read = scores.handoff._replace(seconds=self.stream.now() - began)
        yield events.Scored(self.stream.now(), scores.tokens, read, request.author)
        return scores

    def _try(self, request: requests.Trial) -> Events[Tried]:
        self._asked = request.author
        tried = yield from self.stream.attempt(request)
        self._check(self.policy.default_writer)
        return tried

    def _insert(self, request: requests.Insert) -> Events[None]:
        yield from self._accept()
        self.text.insert(request.text)
        yield events.TextInserted(self.stream.now(), request.text, request.reason.id)
        if (yield from self._close_if_tagged(Author.INSERTED)) and not self.policy.in_answer:
            raise _Restarted

    def _close(self, request: Close) -> Events[None]:
        """Close the thinking; the program starts anew. If neither model has thinking tags, the run ends instead."""
        if not self.text.is_open:
            if request.reason is reasons.REPETITION:
                raise Ended(Finish.REPETITION, "Stopped: the text was repeating itself.")
            raise Ended(Finish.MAX_TOKENS, f"Stopped: {request.reason.label.lower()}.")
        yield from self._insert_tag(request.reason)
        raise _Restarted

    def _insert_tag(self, reason: reasons.TakeoverReason) -> Events[None]:
        inserted = f"\n{self.text.closing_tags[0]}\n\n"
        self.text.insert(inserted)
        yield events.TextInserted(self.stream.now(), inserted, reason.id)
        yield from self._close_if_tagged(Author.INSERTED)

    # Interruptions, ends and failures --------------------------------------------------------------------------------

    def _grant(self, intervention: Intervention) -> Events[None]:
        """Carry out what a person or a limit wants. A boundary at which it ends is decided on by the new program."""
        self._end_write()
        match intervention.request:
            case TakeOver() as takeover:
                if intervention.rewrites:
                    self._passage = _Passage(self.text.rewritable_from, waits=True)
                yield from self._take_over(takeover)
            case Close() as close:
                yield from self._close(close)
            case Write() as write:
                yield from self._carry_out(write)
        self._is_undecided = self.text.at_boundary

    def _after_stop(self, author: Author) -> Ended | Interrupted:
        """Return what follows when a model can write no more. Raises ContextFull."""
        card = self.sessions[author].card
        match self.stream.stop:
            case Stop.END_OF_TEXT if self.text.is_open:
                return Interrupted(Intervention(Close(reasons.UNCLOSED)))
            case Stop.END_OF_TEXT:
                return Ended(Finish.END_OF_TEXT)
            case Stop.CONTEXT_FULL:
                raise ContextFull(f"The context of {card.name} is full ({card.context} tokens).")
            case Stop.CANCELLED:
                self._check(author)
                return Ended(Finish.STOPPED)
            case Stop.LIMIT if self.stream.remaining > 0:
                reason = f"Stopped: {card.name} on {card.location} ended the text at a limit of its own."
                return Ended(Finish.MAX_TOKENS, reason)
            case _:
                return self._out_of_tokens()

    def _after_failure(self, error: BatonError) -> Events[Ended | None]:
        """Go on with the other model when one is lost or refuses, or end the run."""
        if not (alone := self._survivor):
            return Ended(Finish.CONTEXT_FULL if isinstance(error, ContextFull) else Finish.FAILED, str(error))
        yield events.Noticed(self.stream.now(), f"{error} The {alone.value} model goes on alone.", self._asked)
        self.policy = _Alone(alone, self.policy.counters)
        return None

    @property
    def _survivor(self) -> Author | None:
        """Return the model that goes on alone if the one that works now is lost."""
        lost = self._asked
        alone = Author.SMALL if lost is Author.LARGE else Author.LARGE
        is_possible = lost is Author.LARGE or lost is not self.policy.default_writer
        return alone if self.settings.small_alone and is_possible and alone in self.sessions else None

    def _answers_instead(self) -> Author | None:
        """Return the model that writes an answer in place of the default writer. To a model without thinking tags the
        text was complete when a closing tag was inserted: the one that has them goes on."""
        text, session = self.text, self.sessions.get(self.policy.default_writer)
        was_inserted = text.closed_by is not None and not text.closed_by.is_model
        if not was_inserted or not session or session.card.thinking or isinstance(self.policy, _Alone):
            return None
        return next((author for author, each in self.sessions.items() if each.card.thinking), None)

    def _check_tokens(self) -> None:
        """Raise Ended if no token may be written any more."""
        if self.stream.remaining <= 0:
            raise self._out_of_tokens()

    def _out_of_tokens(self) -> Ended:
        kept, most = self.text.kept, self.settings.max_tokens
        if kept >= most:
            return Ended(Finish.MAX_TOKENS)
        reason = f"Stopped: {self.stream.decoded:,} tokens were written, and only {kept:,} of them were kept."
        return Ended(Finish.MAX_TOKENS, reason)

    # What all of them use --------------------------------------------------------------------------------------------

    def _ends_thinking(self, start: int) -> bool:
        """Tell whether the text from `start` on closes the thinking, and the program of the thinking ends with it."""
        return not self.policy.in_answer and (self.text.answer_start or 0) > start

    def _check(self, author: Author, in_takeover: bool = False) -> None:
        checkpoint = Checkpoint(self.text, author, in_takeover, self.stream.now())
        for source in self.interruptions:
            source.check(checkpoint)

    def _end_write(self) -> None:
        """End the default writer's open write."""
        if self._writing:
            self._writing.close()
            self._writing = None

    def _accept(self) -> Events[None]:
        """Accept what waits: it can no longer be replaced. A step that reached its cap ends there; of one that ended
        within a token, the rest is the beginning of the next."""
        passage, self._passage = self._passage, None
        if passage and passage.step_ended and passage.to_boundary:
            self._passage = _Passage(self.text.step_start, passage.tokens[passage.to_boundary :])
        elif passage and passage.step_ended and self.text.within_step:
            yield self._end_step()

    def _discard_next_step(self) -> Events[None]:
        """Discard what was written of the next step: the request is about the one that has ended."""
        passage = self._passage
        if passage and (not passage.waits or (passage.step_ended and passage.to_boundary)) and self.text.step_begun:
            yield self.stream.discard(self.text.step_start)
            del passage.tokens[passage.to_boundary :]

    def _discard(self) -> Events[None]:
        if self._passage and self._passage.waits:
            self._end_write()
            yield self.stream.discard(self._passage.start)
            self._passage = None

    def _end_step(self) -> Event:
        self.text.end_step()
        return events.StepEnded(self.stream.now(), self.text.position)

    def _close_if_tagged(self, author: Author) -> Events[bool]:
        """Close the thinking if the text has just completed a closing tag; returns whether it has."""
        if not (tag := self.text.close_thinking()):
            return False
        yield events.ThinkingClosed(self.stream.now(), author, self.text.answer_start or 0, tag)
        return True

    def _settle(self) -> None:
        """Report that the text up to here is final: what waits, and a closing tag that is not complete, are not."""
        if self._on_settled is None:
            return
        passage, end = self._passage, self.text.position
        if passage and (passage.waits or passage.to_boundary):
            end = min(end, passage.start if passage.waits else self.text.step_start)
        self._report_settled(self.text.before_tag(end))

    def _report_settled(self, end: int) -> None:
        if self._on_settled and end > self._settled:
            self._settled = end
            self._on_settled(end)

    def _report_counters(self) -> Events[None]:
        if self.policy.counters != self._counters:
            self._counters = dict(self.policy.counters)
            yield events.CountersChanged(self.stream.now(), dict(self._counters))
