"""Prefetching: while the small model writes, the server reads the text so far, so that a handoff has little to read.

It is only a hint: the newest text wins, a real request cuts it short, and the next request reports its failures.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence

from baton_reasoning.core.engines.body import Part
from baton_reasoning.core.engines.remote.protocol import (
    CompletionRequest,
    Prompt,
    PromptBuilder,
    ServerProtocol,
    StreamEnd,
)
from baton_reasoning.core.engines.remote.response_reader import ResponseReader
from baton_reasoning.core.engines.remote.state import ServerState, SessionStatus
from baton_reasoning.core.engines.remote.transport import AnswerStream, HttpConnection
from baton_reasoning.core.engines.usage import PrefetchedText, UsageMeter
from baton_reasoning.core.errors import EngineError, EngineRefused
from baton_reasoning.core.models.options import Sampling

_BOUNDARY = re.compile(r"\n[ \t]*\n\s*")
HELD_BACK = 1
"""Tokens at the end that are not read yet: the next ones may merge with them, and not every memory can be cut."""


def settled(body: Sequence[Part]) -> Sequence[Part]:
    """Return the body up to its last step boundary (a run of two or more newlines).

    What follows may be a lookahead that is discarded. A memory that cannot be cut would then have to read the text
    from its beginning, so only settled text may be read into it.
    """
    ends = [match.end() for match in _BOUNDARY.finditer("".join(part.text for part in body))]
    if not ends:
        return ()
    length = 0
    for count, part in enumerate(body):
        length += len(part.text)
        if length > ends[-1]:
            return body[:count]
    return body


class Prefetch:
    """The background requests of one session, made by a thread that sleeps until a text is offered."""

    def __init__(
        self,
        protocol: ServerProtocol,
        prompt_builder: PromptBuilder,
        connection: HttpConnection,
        meter: UsageMeter,
        status: SessionStatus,
        new_reader: Callable[[HttpConnection, Prompt], ResponseReader],
    ) -> None:
        """`connection`: for these requests alone. `new_reader`: a reader for one answer over a connection."""
        self._protocol = protocol
        self._prompt_builder = prompt_builder
        self._connection = connection
        self._meter = meter
        self._status = status
        self._new_reader = new_reader
        self._changed = threading.Condition()
        self._newest: Sequence[Part] | None = None
        self._busy = False
        self._settled_length = -1
        """Parts of the body that were offered last, if the model's memory cannot be cut."""
        self._finished: list[PrefetchedText] = []
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"prefetch on {connection.host}", daemon=True)
        self._thread.start()

    def offer(self, body: Sequence[Part]) -> None:
        """Offer a text to be read; the newest one wins. Never blocks for longer than a lock is held."""
        if not self._protocol.card.supports_truncation:
            body = settled(body)
            if len(body) == self._settled_length:
                return  # that much was offered before; at first, the conversation alone is read
            self._settled_length = len(body)
        with self._changed:
            self._newest = body
            self._changed.notify_all()

    def yield_to(self, connection: HttpConnection) -> HttpConnection:
        """Stop for a real request. Return the connection for it: of the two, the one that is open already."""
        with self._changed:
            self._newest = None
            self._stop_reading()
            if self._connection.is_open and not connection.is_open:
                self._connection, connection = connection, self._connection
        return connection

    def take_finished(self) -> tuple[PrefetchedText, ...]:
        """Return the requests that have ended since the last call."""
        with self._changed:
            finished, self._finished = tuple(self._finished), []
        return finished

    def wait(self) -> None:
        """Until what was offered has been read (for measurements and tests)."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or (self._newest is None and not self._busy))

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._stop_reading()
            self._changed.notify_all()
        self._thread.join()
        self._connection.close()

    def _stop_reading(self) -> None:
        if self._busy:
            self._connection.halt()
            self._changed.wait_for(lambda: not self._busy)
            self._connection.resume()

    def _run(self) -> None:
        try:
            while (body := self._next_offer()) is not None:
                try:
                    self._read(body)
                except EngineRefused:
                    return  # a cap is reached, or the model is another: it would be refused again
                except EngineError:
                    continue  # broken or halted: the next offer tries again, the next real request reports it
        finally:  # whatever ended it: nobody may wait for this thread
            with self._changed:
                self._closed, self._busy = True, False
                self._changed.notify_all()

    def _next_offer(self) -> Sequence[Part] | None:
        """Wait for the next text; None once it is closed."""
        with self._changed:
            self._busy = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._closed or self._newest is not None)
            body, self._newest = self._newest, None
            self._busy = body is not None and not self._closed
            return body if self._busy else None

    def _read(self, body: Sequence[Part]) -> None:
        protocol, connection = self._protocol, self._connection
        self._meter.allowed(1)
        prompt: Prompt = self._prompt_builder.with_body(body, connection.ask)
        if not isinstance(prompt, str):
            prompt = prompt[:-HELD_BACK]
        parser = protocol.answer_parser(connection.ask)
        reader = self._new_reader(connection, prompt)
        payload = protocol.payload(prompt, CompletionRequest(0, 0, Sampling()), connection.ask)
        try:
            with (
                reader.metered(connection, self._meter),
                AnswerStream(connection, protocol.path, payload, reader.most_events(1)) as stream,
            ):
                for event in reader.events(stream, parser):
                    if isinstance(event, StreamEnd):
                        return
        finally:
            with self._changed:
                self._finished.append(reader.as_prefetched())
            self._status.set(ServerState.CONNECTED)
