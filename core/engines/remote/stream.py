"""Reads one streamed answer: time-outs, progress, the cost of the handoff, and token usage."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from functools import partial

import httpx2

from baton_reasoning.core.engines.base import End, Handoff, Notice, Passing, PrefillProgress, Stop, Token, WriteItem
from baton_reasoning.core.engines.remote import protocol
from baton_reasoning.core.engines.remote.answers import SEE_LOG, Fields, parsed
from baton_reasoning.core.engines.remote.billing import UsageMeter
from baton_reasoning.core.engines.remote.connection import HttpConnection, HttpRequest, Payload, RetryPolicy, Signal
from baton_reasoning.core.engines.remote.protocol import CompletionRequest, Prompt
from baton_reasoning.core.engines.remote.status import ServerState, ServerStatus
from baton_reasoning.core.engines.usage import PrefetchedText, RequestUsage
from baton_reasoning.core.errors import EngineLost, EngineRefused

TICK = 1.0
"""Seconds between checks of the time-outs while nothing arrives."""
LONGEST_LINE = 2**20
"""Bytes."""


def messages_of(response: httpx2.Response) -> Iterator[Fields]:
    """Yield the messages of a stream. Raises ValueError for what is not JSON."""
    for text in _texts_of(response):
        if text == "[DONE]":  # the end in OpenAI's protocol
            return
        yield Fields(parsed(text))


def _texts_of(response: httpx2.Response) -> Iterator[str]:
    """Divide a stream into lines if the server says so, as Ollama does, else into server-sent events."""
    if not response.headers.get("Content-Type", "").startswith("application/x-ndjson"):
        yield from (event.data for event in httpx2.EventSource(response))
        return
    rest = b""
    for data in response.iter_bytes():  # not iter_lines, which also ends a line at characters that JSON may contain
        *lines, rest = (rest + data).split(b"\n")
        yield from (line.decode() for line in lines if line)
        if len(rest) > LONGEST_LINE:
            raise ValueError("a line without an end")
    if rest:
        yield rest.decode()


@dataclass
class StreamedAnswer:
    """One answer of a server: what it yields, its time-outs, its status, and what it costs."""

    connection: HttpConnection
    """Over which the answer comes."""
    policy: RetryPolicy
    on_status: Callable[[ServerStatus], object]
    check_restart: Callable[[int | None, HttpConnection], None]
    """Called as soon as the server says how many tokens it reused (None: it does not); raises EngineRefused if another
    model is there now."""
    prompt: Prompt
    earlier: Prompt = ""
    """A prompt that the server has in its cache, by its own report: what is reused if this answer reports nothing."""
    _began: float = field(default_factory=time.perf_counter)
    _progress: protocol.PromptProgress | None = None
    _first_token: float | None = None
    _written: int = 0
    _end: protocol.StreamEnd | None = None
    _was_sent: bool = False

    def items(
        self,
        server: protocol.ServerProtocol,
        request: CompletionRequest,
        meter: UsageMeter,
        passing: Passing = Passing.IDS,
    ) -> Generator[WriteItem, None, None]:
        """Send the request, and yield progress and notices, a handoff, at most `limit` tokens, and an end.

        Leaving it early closes the socket. However it ends, its usage is added to the meter: of a request that is cut
        off before the server reports anything, the whole prompt, as an estimate.
        Raises Cancelled if the connection is halted; EngineLost if the stream ends before the answer does, if it is
        silent too long, or if the server no longer answers short questions while the request waits. Only whole events
        count: bytes that trickle in are silence.
        """
        connection = self.connection
        payload = server.payload(self.prompt, request, connection.ask)
        parser = server.answer_parser(self._ask_meanwhile)
        # Above what an honest server sends: one event a token, and progress as it reads.
        most_events = 2 * request.limit + len(self.prompt) + 1000
        self._began = time.perf_counter()
        sent, received = connection.bytes_sent, connection.bytes_received
        try:
            with HttpRequest(connection, server.path, payload, partial(self._received, most=most_events)) as stream:
                stop = yield from self._until_end(self._events(stream, parser), request.limit, passing)
        finally:
            self._was_sent = connection.was_sent
            meter.add(self._usage(connection.bytes_sent - sent, connection.bytes_received - received))
        yield End(stop)

    def _ask_meanwhile(self, path: str, payload: Payload | None) -> Fields:
        with self.connection.sibling() as sibling:  # its own is taken by the answer
            return sibling.ask(path, payload)

    def _received(self, response: httpx2.Response, most: int) -> Iterator[Fields]:
        for number, message in enumerate(messages_of(response)):
            if number >= most:
                raise EngineRefused(f"{self.connection.host} keeps writing after the end of its answer.", SEE_LOG)
            yield message

    def _until_end(
        self, events: Iterator[protocol.AnswerEvent | Notice], limit: int, passing: Passing
    ) -> Generator[WriteItem, None, Stop]:
        written = 0
        has_handoff = False
        for event in events:
            if isinstance(event, protocol.PromptProgress):
                reused, done, total = event
                if done < total:
                    yield PrefillProgress(done - (reused or 0), total - (reused or 0))
                continue
            if not has_handoff and self._first_token:
                has_handoff = True
                reused, done, _ = self._counts
                yield Handoff(reused, done - reused, self._first_token - self._began, passing)
            if isinstance(event, protocol.StreamEnd):
                return event.stop
            if isinstance(event, Notice):
                yield event
            elif written < limit:
                written += 1
                yield event
            elif limit:
                break  # the server did not stop there
        return Stop.LIMIT

    def _events(self, stream: HttpRequest, parser: protocol.AnswerParser) -> Iterator[protocol.AnswerEvent | Notice]:
        """Yield the events of the answer, and a Notice now and then while none arrives."""
        policy = self.policy
        tick = min(TICK, policy.notice_every, policy.between_tokens, policy.first_token)
        last_event = last_notice = time.perf_counter()
        unanswered: EngineLost | None = None
        while True:
            message = stream.next(tick)
            now = time.perf_counter()
            if isinstance(message, Fields):
                last_event = now
                unanswered = None
                for event in parser.parse(message):
                    self._record(event)
                    yield event
            elif message is Signal.ENDED:
                end = parser.finish()
                if end is None:
                    raise EngineLost(f"{self.connection.host} broke off in the middle of its answer.", SEE_LOG)
                self._record(end)
                yield end
                return
            else:
                self.on_status(self._status)
                silent = now - last_event
                if silent >= (policy.between_tokens if self._first_token else policy.first_token):
                    raise EngineLost(f"{self.connection.host} has sent nothing for {silent:.0f} s.", SEE_LOG)
                if unanswered:
                    raise EngineLost(
                        f"{self.connection.host} accepts the request but does not answer, not even a short question.",
                        "Restart the server, or check whether another program listens at that port.",
                    ) from unanswered
                if now - max(last_event, last_notice) >= policy.notice_every:
                    last_notice = now
                    yield Notice(self._progress_text(now - self._began))
                    unanswered = self._ping()

    def _ping(self) -> EngineLost | None:
        """Ask a silent server a short question: one whose slots are all busy answers it, one that hangs does not."""
        if not self._first_token and not self._progress:
            try:
                with self.connection.sibling() as sibling:
                    sibling.ask("/v1/models")
            except EngineLost as error:
                return error
            except EngineRefused:
                pass  # it answers
        return None

    def _record(self, event: protocol.AnswerEvent) -> None:
        match event:
            case protocol.PromptProgress():
                if self._progress is None:
                    self.check_restart(event.reused, self.connection)
                self._progress = event
            case Token():
                self._first_token = self._first_token or time.perf_counter()
                self._written += 1
            case protocol.StreamEnd(written=written):
                self._end = event
                self._first_token = self._first_token or time.perf_counter()
                self._written = self._written if written is None else written
        self.on_status(self._status)

    def as_prefetched(self) -> PrefetchedText:
        """Return what was read from the beginning until now."""
        reused, done, _ = self._counts if self._progress or self._first_token else (0, 0, 0)
        return PrefetchedText(self._began, time.perf_counter() - self._began, done - reused)

    def _usage(self, bytes_sent: int, bytes_received: int) -> RequestUsage:
        reused, done, total = self._counts
        return RequestUsage(
            sent=total,
            reused=reused,
            read=done - reused,
            written=self._written,
            drafted=self._end.drafted if self._end else 0,
            accepted=self._end.accepted if self._end else 0,
            bytes_sent=bytes_sent,
            bytes_received=bytes_received,
            seconds_waited=(self._first_token or time.perf_counter()) - self._began,
            estimated=total > 0 and (self._progress is None or self._progress.reused is None),
        )

    @property
    def _counts(self) -> tuple[int, int, int]:
        """Prompt tokens reused, processed so far (reused ones included), and in all, as the server reports them.

        An estimate if it has the request and reports nothing; tokens that may have been reused then count as read, but
        for those of `earlier`.
        """
        if self._progress:
            reused, done, total = self._progress
            return min(reused or 0, done), done, total
        if self._first_token is None and not self._was_sent:
            return 0, 0, 0
        size = protocol.size_of(self.prompt)
        return protocol.common_size(self.prompt, self.earlier), size, size

    @property
    def read_by_report(self) -> Prompt:
        """What the server has read of the prompt, if it reports what it reuses; else nothing."""
        if self._progress is None or self._progress.reused is None:
            return ""
        return self.prompt if isinstance(self.prompt, str) else self.prompt[: self._progress.done]

    @property
    def _status(self) -> ServerStatus:
        if self._first_token:
            return ServerStatus(ServerState.BUSY)
        if self._progress is None:
            return ServerStatus(ServerState.WAITING)
        _, done, total = self._progress
        return ServerStatus(ServerState.READING, done / total if total else None)

    def _progress_text(self, seconds: float) -> str:
        host = self.connection.host
        if self._first_token:
            return f"{host} pauses, {seconds:.0f} s after the request."
        if self._progress:
            done, total = self._progress.done, self._progress.total
            return f"Reading the prompt on {host}: {done / max(total, 1):.0%} ({done:,} of {total:,} tokens)."
        return f"Waiting for a free slot on {host}, {seconds:.0f} s so far."
