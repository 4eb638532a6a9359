"""Reads one streamed answer: time-outs, progress, the cost of the handoff, and token usage."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from enum import Enum

from baton_reasoning.core.engines.base import Handoff, Notice, Passing, Stop
from baton_reasoning.core.engines.remote.connection import (
    Fields,
    HttpConnection,
    Payload,
    RetryPolicy,
    garbage,
    parsed,
)
from baton_reasoning.core.engines.remote.protocol import (
    AnswerEvent,
    AnswerParser,
    Ask,
    Prompt,
    PromptProgress,
    StreamedText,
    StreamEnd,
    size_of,
)
from baton_reasoning.core.engines.remote.status import ServerState, SessionStatus
from baton_reasoning.core.engines.usage import PrefetchedText, RequestUsage, UsageMeter
from baton_reasoning.core.errors import EngineError, EngineLost, EngineRefused


class BackgroundPing:
    """Asks, in a thread, whether a server still answers short questions while it is silent to a long one."""

    def __init__(self, connection: HttpConnection) -> None:
        self._connection = connection
        self._failure: EngineLost | None = None
        self._thread = threading.Thread(target=self._ask, name=f"ping of {connection.host}", daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive()

    @property
    def failure(self) -> EngineLost | None:
        """Why there was no answer; None while it is asked, and if there was one."""
        return self._failure

    def close(self) -> None:
        self._connection.halt()
        self._thread.join()
        self._connection.close()

    def _ask(self) -> None:
        try:
            self._connection.ask("/v1/models")
        except EngineLost as error:
            self._failure = error
        except EngineError:
            pass  # it answers, even if it refuses


class Signal(Enum):
    """What `AnswerStream.next` may return instead of an event."""

    SILENCE = "nothing arrived in that time"
    ENDED = "the answer is complete"


class AnswerStream:
    """The events of one answer. A context manager: leaving it closes the socket, and so stops the server."""

    def __init__(self, connection: HttpConnection, path: str, payload: Payload, most_events: int) -> None:
        self._connection = connection
        self._messages: queue.SimpleQueue[Fields | Signal | EngineError] = queue.SimpleQueue()
        events = connection.events(path, payload)
        self._reader = threading.Thread(
            target=self._read, args=(events, most_events), name=f"answer of {connection.host}", daemon=True
        )
        self._reader.start()

    def __enter__(self) -> AnswerStream:
        return self

    def __exit__(self, *_: object) -> None:
        if self._reader.is_alive():
            self._connection.cut()
            self._reader.join()

    def next(self, seconds: float) -> Fields | Signal:
        """Return the next event, or a signal. Raises the EngineError that ended the answer: Cancelled, if halted."""
        message: Fields | Signal | EngineError = Signal.SILENCE
        with suppress(queue.Empty):
            message = self._messages.get(timeout=seconds)
        self._connection.refuse_if_halted()
        if isinstance(message, EngineError):
            raise message
        return message

    def _read(self, events: Iterator[str], most_events: int) -> None:
        try:
            for number, data in enumerate(events):
                if data == "[DONE]":  # the end in OpenAI's protocol
                    break
                if number >= most_events:
                    raise EngineRefused(
                        f"{self._connection.host} keeps writing after the end of its answer.",
                        "Look at the server's log.",
                    )
                self._messages.put(Fields(parsed(data)))
        except EngineError as error:
            self._messages.put(error)
        except ValueError:
            self._messages.put(garbage(self._connection.host))
        finally:
            self._messages.put(Signal.ENDED)


TICK = 1.0
"""Seconds between checks of the time-outs while nothing arrives."""


class RestartDetector:
    """Detects a server that was restarted between two requests with a different model.

    One for each session. `check_model` asks the server, and raises EngineRefused if it serves another model.
    """

    def __init__(self, check_model: Callable[[Ask], None]) -> None:
        self._check_model = check_model
        self._has_read = False
        self._refusal: EngineRefused | None = None

    def check(self, reused: int | None, connection: HttpConnection) -> None:
        """Check a request by the number of tokens that it reused from the KV cache (None: not reported).

        If the server reused nothing although it has read this text before, it is asked for its model; a refusal
        is raised at every later call too. Another session may also have taken the slot, but then the prefill costs
        more than the question.
        """
        if self._refusal:
            raise self._refusal
        if reused == 0 and self._has_read:
            try:
                with closing(connection.beside()) as aside:
                    self._check_model(aside.ask)
            except EngineRefused as refusal:
                self._refusal = refusal
                raise
        self._has_read = True


class ResponseReader:
    """Reads one answer, with its time-outs, and counts what it costs."""

    def __init__(
        self,
        connection: HttpConnection,
        policy: RetryPolicy,
        status: SessionStatus,
        restarts: RestartDetector,
        prompt: Prompt,
    ) -> None:
        """`connection`: the one over which the answer comes."""
        self._host = connection.host
        self._connection = connection
        self._policy = policy
        self._status = status
        self._restarts = restarts
        self._prompt = prompt
        self._ping: BackgroundPing | None = None
        self._began = time.perf_counter()
        self._progress: PromptProgress | None = None
        self._first_token: float | None = None
        self._written = 0
        self._end = StreamEnd(Stop.CANCELLED)
        self._handed_over = False

    def most_events(self, limit: int) -> int:
        """Bound the events of an answer, above what an honest server sends: one a token, and progress as it reads."""
        return 2 * limit + len(self._prompt) + 1000

    def events(self, stream: AnswerStream, parser: AnswerParser) -> Iterator[AnswerEvent | Notice]:
        """Yield the events of the answer, and a Notice now and then while none arrives.

        Raises Cancelled if the connection is halted; EngineLost if the stream ends before the answer does, if it is
        silent too long, or if the server no longer answers short questions while the request waits. Only whole events
        count: bytes that trickle in are silence.
        """
        try:
            yield from self._events(stream, parser)
        finally:
            if self._ping:
                self._ping.close()

    def _events(self, stream: AnswerStream, parser: AnswerParser) -> Iterator[AnswerEvent | Notice]:
        policy = self._policy
        tick = min(TICK, policy.notice_every, policy.between_tokens, policy.first_token)
        last_event = last_notice = time.perf_counter()
        while True:
            message = stream.next(tick)
            now = time.perf_counter()
            if isinstance(message, Fields):
                last_event = now
                for event in parser.parse(message):
                    self._record(event)
                    yield event
            elif message is Signal.ENDED:
                end = parser.finish()
                if end is None:
                    raise EngineLost(
                        f"{self._host} broke off in the middle of its answer.", "Look at the server's log."
                    )
                self._record(end)
                yield end
                return
            elif message is Signal.SILENCE:
                self._status.set(self._state, self._share)
                silent = now - last_event
                if silent >= (policy.between_tokens if self._first_token else policy.first_token):
                    raise EngineLost(f"{self._host} has sent nothing for {silent:.0f} s.", "Look at the server's log.")
                if now - last_notice >= policy.notice_every:
                    last_notice = now
                    self._check_alive()
                    yield Notice(self._progress_text(now - self._began))

    def _check_alive(self) -> None:
        """Ping a silent server: one whose slots are all busy answers it, one that hangs does not."""
        if self._first_token or self._progress:
            return
        if self._ping and self._ping.failure:
            raise EngineLost(
                f"{self._host} accepts the request but does not answer, not even a short question.",
                "Restart the server, or check whether another program listens at that port.",
            ) from self._ping.failure
        if self._ping is None or not self._ping.is_running:
            if self._ping:
                self._ping.close()
            self._ping = BackgroundPing(self._connection.beside())

    def _record(self, event: AnswerEvent) -> None:
        match event:
            case PromptProgress():
                if self._progress is None:
                    self._restarts.check(event.reused, self._connection)
                self._progress = event
            case StreamedText(tokens):
                self._first_token = self._first_token or time.perf_counter()
                self._written += len(tokens)
            case StreamEnd(written=written):
                self._end = event
                self._first_token = self._first_token or time.perf_counter()
                self._written = self._written if written is None else written
        self._status.set(self._state, self._share)

    def handoff(self, passing: Passing) -> Handoff | None:
        """Return the cost of the handoff, once: when the first token, or the end, has arrived."""
        if self._handed_over or self._first_token is None:
            return None
        self._handed_over = True
        reused, done, _ = self._counts
        return Handoff(reused, done - reused, self._first_token - self._began, passing)

    def as_prefetched(self) -> PrefetchedText:
        """Return what was read from the beginning until now."""
        reused, done, _ = self._counts
        return PrefetchedText(self._began, time.perf_counter() - self._began, done - reused)

    @contextmanager
    def metered(self, connection: HttpConnection, meter: UsageMeter) -> Iterator[None]:
        """Add the usage of the request made inside to the meter, however it ends."""
        sent, received = connection.bytes_sent, connection.bytes_received
        try:
            yield
        finally:
            reused, done, total = self._counts
            meter.add(
                RequestUsage(
                    sent=total,
                    reused=reused,
                    read=done - reused,
                    written=self._written,
                    drafted=self._end.drafted,
                    accepted=self._end.accepted,
                    bytes_sent=connection.bytes_sent - sent,
                    bytes_received=connection.bytes_received - received,
                    seconds_waited=(self._first_token or time.perf_counter()) - self._began,
                    estimated=total > 0 and (self._progress is None or self._progress.reused is None),
                )
            )

    @property
    def _counts(self) -> tuple[int, int, int]:
        """Prompt tokens reused, processed so far (reused ones included), and in all, as the server reports them.

        An estimate if it wrote something without reporting; tokens that may have been reused count as read.
        """
        if self._progress:
            reused, done, total = self._progress
            return min(reused or 0, done), done, total
        if self._first_token is None:
            return 0, 0, 0
        size = size_of(self._prompt)
        return 0, size, size

    @property
    def _state(self) -> ServerState:
        if self._first_token:
            return ServerState.BUSY
        return ServerState.READING if self._progress else ServerState.WAITING

    @property
    def _share(self) -> float | None:
        """Of the prompt that has been read; None once tokens arrive, or if no progress is reported."""
        progress = self._progress
        return progress.done / progress.total if progress and progress.total and not self._first_token else None

    def _progress_text(self, seconds: float) -> str:
        if self._first_token:
            return f"{self._host} pauses, {seconds:.0f} s after the request."
        if self._progress:
            done, total = self._progress.done, self._progress.total
            return f"Reading the prompt on {self._host}: {done / max(total, 1):.0%} ({done:,} of {total:,} tokens)."
        return f"Waiting for a free slot on {self._host}, {seconds:.0f} s so far."
