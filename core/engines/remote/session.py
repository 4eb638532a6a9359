"""One text on a server: reading, writing, judging and cancelling, for every kind of server."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from typing import NamedTuple, Protocol

from core.engines.base import (
    Conversation,
    End,
    Handoff,
    Judgement,
    Notice,
    Passing,
    PrefillProgress,
    Scores,
    Stop,
    Token,
    WriteItem,
)
from core.engines.body import Part
from core.engines.model_card import ModelCard
from core.engines.remote.prefetch import Prefetch
from core.engines.remote.protocol import (
    CompletionRequest,
    Prompt,
    PromptBuilder,
    PromptProgress,
    ServerProtocol,
    StreamEnd,
    as_parts,
    judgement_of,
    no_scores,
    passing_of,
)
from core.engines.remote.response_reader import ResponseReader, RestartDetector
from core.engines.remote.retry import RetryPolicy, RetryState
from core.engines.remote.state import RETRYING, ServerState, StatusTracker
from core.engines.remote.transport import AnswerStream, HttpConnection
from core.engines.usage import PrefetchedText, RequestUsage, Usage, UsageMeter
from core.errors import Cancelled, ContextFull, EngineError, EngineLost, EngineRefused
from core.models.overrides import Sampling

FOR_A_SCORE = 600.0
"""Seconds: the whole prompt is read, without progress."""
JUDGED_ALTERNATIVES = 50
"""Likeliest tokens among which the choices of a judgement are looked for."""


class SessionHost(Protocol):
    """What a session needs of the engine that opens it."""

    @property
    def protocol(self) -> ServerProtocol: ...

    @property
    def retry_policy(self) -> RetryPolicy: ...

    @property
    def status_tracker(self) -> StatusTracker: ...

    def new_connection(self) -> HttpConnection: ...

    def new_meter(self) -> UsageMeter:
        """For one session, with its cap; a part of the engine's."""
        ...

    def begin(self, conversation: Conversation, connection: HttpConnection) -> PromptBuilder:
        """Render the conversation, with retries. Raises EngineError."""
        ...


class GivenUp(NamedTuple):
    """A server on which all retries failed."""

    reason: str
    pings_answered: int
    """By then: a later one shows that the server is back."""


class RemoteSession:
    """A session on a server. The server keeps the KV cache, and finds the longest prefix that it has read before."""

    def __init__(
        self,
        host: SessionHost,
        conversation: Conversation,
        sampling: Sampling,
        attach: Callable[[RemoteSession], object],
        on_close: Callable[[RemoteSession], None],
    ) -> None:
        """`attach` is called before the first question to the server. Raises EngineError."""
        self._protocol = host.protocol
        self._retry_policy = host.retry_policy
        self._sampling = sampling
        self._on_close = on_close
        self._connection = host.new_connection()
        self._meter = host.new_meter()
        self._status = host.status_tracker.new_session()
        self._restarts = RestartDetector(host.protocol.check_model)
        self._cancelled = False
        self._closed = False
        self._prefetch: Prefetch | None = None
        self._given_up: GivenUp | None = None
        self._status_tracker = host.status_tracker
        try:
            attach(self)
            self._prompt_builder = host.begin(conversation, self._connection)
            self._refuse_beyond_context(self._prompt_builder.prompt_tokens)
        except BaseException:
            self.close()
            raise
        if self.card.supports_prefetch:
            self._prefetch = Prefetch(
                self._protocol, self._prompt_builder, host.new_connection(), self._meter, self._status, self._reader
            )

    @property
    def card(self) -> ModelCard:
        return self._protocol.card

    @property
    def prompt_tokens(self) -> int:
        return self._prompt_builder.prompt_tokens

    @property
    def usage(self) -> Usage:
        """Of this session so far."""
        return self._meter.usage

    def read(self, body: Sequence[Part]) -> Handoff:
        with suppress(Cancelled), self._call():
            return self._read(body)
        return Handoff(0, 0, 0.0)

    def prefetch(self, body: Sequence[Part]) -> None:
        if self._prefetch and not self._is_given_up:
            self._prefetch.offer(body)

    def take_prefetched(self) -> tuple[PrefetchedText, ...]:
        """The prefetch requests that have ended since the last call."""
        return self._prefetch.take_finished() if self._prefetch else ()

    def wait_for_prefetch(self) -> None:
        """Wait until what was offered has been read (for measurements and tests)."""
        if self._prefetch:
            self._prefetch.wait()

    def write(
        self, body: Sequence[Part], limit: int, seed: int, alternatives: int = 0, position: int = 0
    ) -> Generator[WriteItem, None, None]:
        with self._call():
            request = CompletionRequest(limit, seed, self._sampling, alternatives, position=position)
            yield from self._write(body, request)

    def judge(self, body: Sequence[Part], question: str, choices: tuple[str, ...]) -> Judgement:
        if not self.card.returns_alternatives:
            raise EngineRefused(
                f"{self.card.name} on {self.card.location} gives no log-probabilities, so it cannot judge.",
                "Choose a policy that needs none, or serve the model with llama-server or vLLM.",
            )
        request = CompletionRequest(1, 0, replace(self._sampling, temperature=0.0), JUDGED_ALTERNATIVES, choices)
        judgement = Judgement.none(len(choices))
        with suppress(Cancelled), self._call():
            before: Handoff | None = None
            if not self.card.supports_truncation:
                # A request of its own for the body: the server keeps a checkpoint at the end of each prompt, and goes
                # back to it when the question is dropped.
                before = self._read(body)
            with closing(self._write(body, request, question)) as items:
                for item in items:
                    if isinstance(item, Handoff):
                        judgement = judgement._replace(handoff=_added(before, item) if before else item)
                    elif isinstance(item, Token):
                        found = judgement_of(item.alternatives, choices, self._protocol.choice_bias)
                        return found._replace(handoff=judgement.handoff)
        return judgement

    def score(self, body: Sequence[Part], start: int, alternatives: int = 0) -> Scores:
        if not self.card.returns_scores:
            raise no_scores(self.card)
        began = time.perf_counter()
        with suppress(Cancelled), self._call():
            connection = self._connection
            prompt = self._prompt_builder.with_body(body, connection.ask)
            before = self._prompt_builder.with_body(_up_to(body, start), connection.ask)
            first = next((n for n, (a, b) in enumerate(zip(prompt, before, strict=False)) if a != b), len(before))
            self._meter.room(1)
            sent, received = connection.bytes_sent, connection.bytes_received
            tokens = self._protocol.score(
                prompt, first, alternatives, lambda path, payload: connection.ask(path, payload, FOR_A_SCORE)
            )
            seconds = time.perf_counter() - began
            self._meter.add(
                RequestUsage(
                    sent=len(prompt),
                    read=len(prompt),
                    written=1,
                    bytes_sent=connection.bytes_sent - sent,
                    bytes_received=connection.bytes_received - received,
                    seconds_waited=seconds,
                )
            )
            return Scores(tokens, Handoff(0, len(prompt), seconds, passing_of(body, self.card.vocabulary)))
        return Scores()

    def cancel(self) -> None:
        self._cancelled = True  # before the connection is read: `_call` does it the other way round
        self._connection.halt()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self.cancel()
        if self._prefetch:
            self._prefetch.close()
        self._connection.close()
        self._status.close()
        self._on_close(self)

    # One call after another -----------------------------------------------------------------------------------------

    @contextmanager
    def _call(self) -> Iterator[None]:
        """One call of this session. Prefetching stops first; the status shows how the call ended.

        A server that was given up is not tried again in this session, until it has answered a ping.
        """
        if self._closed:
            raise EngineLost("This session was closed.", "Open a new one.")
        if self._given_up and self._is_given_up:
            raise EngineLost(f"{self._given_up.reason} It was given up for this answer.", "Retry when it is back.")
        self._given_up = None
        if self._prefetch:
            self._connection = self._prefetch.yield_to(self._connection)
        if self._cancelled:
            self._connection.halt()
        try:
            yield
        except EngineRefused as error:
            self._status.fail(ServerState.REFUSED, error.message)
            raise
        except EngineLost as error:
            self._given_up = GivenUp(error.message, self._status_tracker.pings_answered)
            self._status.fail(ServerState.LOST, error.message)
            raise
        except (EngineError, GeneratorExit):
            self._status.set(ServerState.CONNECTED)
            raise
        else:
            self._status.set(ServerState.CONNECTED)

    def _read(self, body: Sequence[Part]) -> Handoff:
        handoff = Handoff(0, 0, 0.0)
        for item in self._write(body, CompletionRequest(0, 0, self._sampling)):
            if isinstance(item, Handoff):
                handoff = item
        return handoff

    @property
    def _is_given_up(self) -> bool:
        return self._given_up is not None and self._status_tracker.pings_answered == self._given_up.pings_answered

    def _write(
        self, body: Sequence[Part], request: CompletionRequest, question: str = ""
    ) -> Generator[WriteItem, None, None]:
        """Read and write. If the connection breaks, a new request continues after the last token that arrived."""
        passing = passing_of(body, self.card.vocabulary)
        kept: list[Token] = []
        retries = RetryState(self._retry_policy)
        is_noticed = False
        end = End(Stop.CANCELLED)
        pause = 0.0
        while True:
            try:
                if retries.failures:
                    self._connection.pause(pause)
                    self._protocol.check_model(self._connection.ask)
                so_far = (*body, *as_parts(kept, self.card.vocabulary))
                prompt = self._prompt_builder.with_body(so_far, self._connection.ask, question)
                if kept and len(kept) >= request.limit:
                    yield End(Stop.LIMIT)
                    return
                rest = replace(request, limit=request.limit - len(kept), position=request.position + len(kept))
                with closing(self._answer(prompt, rest, passing)) as items:
                    for item in items:
                        if isinstance(item, End):
                            end = item
                            break
                        if isinstance(item, Token):
                            kept.append(item)
                            retries.progressed()
                            is_noticed = False
                        yield item
                if end.stop is Stop.LIMIT and len(kept) < request.limit and (reached := self._meter.reached()):
                    yield Notice(reached)
                yield end
                return
            except Cancelled:
                yield End(Stop.CANCELLED)
                return
            except EngineLost as error:
                pause = retries.pause_after(error)
                self._status.fail(ServerState.RECONNECTING, error.message, retries.failures, self._retry_policy.tries)
                if not is_noticed:  # one line in the answer; the status shows each attempt
                    is_noticed = True
                    yield Notice(f"{error.message} {RETRYING}")

    def _answer(self, prompt: Prompt, request: CompletionRequest, passing: Passing) -> Generator[WriteItem, None, None]:
        """One request: a handoff, tokens, an end. Leaving it early closes the socket."""
        if request.limit:
            request = replace(request, limit=self._meter.room(request.limit))
        payload = self._protocol.payload(prompt, request, self._connection.ask)
        parser = self._protocol.answer_parser(self._connection.ask)
        reader = self._reader(self._connection, prompt)
        most_events = reader.most_events(request.limit)
        with (
            reader.metered(self._connection, self._meter),
            AnswerStream(self._connection, self._protocol.path, payload, most_events) as stream,
        ):
            written = 0
            for event in reader.events(stream, parser):
                if isinstance(event, Notice):
                    yield event
                    continue
                if isinstance(event, PromptProgress):
                    reused = event.reused or 0
                    if event.done < event.total:
                        yield PrefillProgress(event.done - reused, event.total - reused)
                    continue
                if handoff := reader.handoff(passing):
                    yield handoff
                if isinstance(event, StreamEnd):
                    yield End(event.stop)
                    return
                if written >= request.limit > 0:
                    yield End(Stop.LIMIT)  # the server did not stop there
                    return
                for token in event.tokens[: request.limit - written]:
                    written += 1
                    yield token

    def _reader(self, connection: HttpConnection, prompt: Prompt) -> ResponseReader:
        return ResponseReader(connection, self._retry_policy, self._status, self._restarts, prompt)

    def _refuse_beyond_context(self, tokens: int) -> None:
        if tokens >= self.card.context > 0:
            raise ContextFull(
                f"The question alone takes {tokens:,} tokens; {self.card.name} holds {self.card.context:,}.",
                "Shorten it, or start the server with a larger context (-c).",
            )


def _added(first: Handoff, second: Handoff) -> Handoff:
    """The cost of two requests for one text: what the first reused, and what both read."""
    read = first.prefilled + second.prefilled
    return Handoff(first.reused, read, first.seconds + second.seconds, second.passing)


def _up_to(body: Sequence[Part], length: int) -> Sequence[Part]:
    """The parts that end within the first `length` characters."""
    end = 0
    for count, part in enumerate(body):
        end += len(part.text)
        if end > length:
            return body[:count]
    return body
