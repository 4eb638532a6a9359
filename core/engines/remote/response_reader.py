"""Waiting for one answer: the clock, the state that a person sees, and what goes on the bill."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from core.engines.base import Handoff, Notice, Passing, Stop
from core.engines.remote.fields import Fields
from core.engines.remote.protocol import AnswerReader, Heard, Prompt, PromptProgress, StreamedText, StreamEnd, size_of
from core.engines.remote.state import ServerState
from core.engines.remote.transport import AnswerStream, HttpConnection, Signal
from core.engines.usage import PrefetchedText, RequestUsage, UsageMeter
from core.errors import EngineLost, EngineRefused

if TYPE_CHECKING:
    from core.engines.remote.engine import RemoteEngine

TICK = 1.0
"""Seconds between looks at the clock while nothing comes."""


class RestartDetector:
    """Of one session. A server is restarted while nobody asks it anything, too, and then with another model."""

    def __init__(self, engine: RemoteEngine) -> None:
        self._engine = engine
        self._has_read = False
        self._refusal: EngineRefused | None = None

    def check(self, reused: int | None) -> None:
        """Told at each request how many tokens the server knew already (None: it does not tell).

        Raises EngineRefused if it knew none, though it has read them, and turns out to serve another model; and from
        then on. Another session may have taken the slot, of course; reading all again then costs more than asking.
        """
        if self._refusal:
            raise self._refusal
        if reused == 0 and self._has_read:
            try:
                self._engine.asking(self._engine.dialect.check_model)
            except EngineRefused as refusal:
                self._refusal = refusal
                raise
        self._has_read = True


class ResponseReader:
    def __init__(
        self, engine: RemoteEngine, number: int, memory: RestartDetector, cancelled: threading.Event, prompt: Prompt
    ) -> None:
        """`number`: of the session on the state board. `cancelled`: set by whoever wants the answer no more."""
        self._engine = engine
        self._number = number
        self._memory = memory
        self._cancelled = cancelled
        self._prompt = prompt
        self._began = time.perf_counter()
        self._reading: PromptProgress | None = None
        self._first_token: float | None = None
        self._written = 0
        self._finished = StreamEnd(Stop.CANCELLED)
        self._handed_over = False

    def most_events(self, limit: int) -> int:
        """More than an honest server would send: a token each, and progress while it reads."""
        return 2 * limit + len(self._prompt) + 1000

    def to(self, stream: AnswerStream, reader: AnswerReader) -> Iterator[Heard | Notice]:
        """What the server says, and a Notice now and then while it says nothing. Ends if cancelled.

        Raises EngineLost if the stream ends before the answer does, or is silent too long. What counts is whole
        events: bytes that trickle in are silence.
        """
        patience = self._engine.patience
        tick = min(TICK, patience.notice_every, patience.between_tokens, patience.first_token)
        heard_last = noticed_last = time.perf_counter()
        while not self._cancelled.is_set():
            message = stream.next(tick)
            now = time.perf_counter()
            if isinstance(message, Fields):
                heard_last = now
                for heard in reader.hear(message):
                    self._note(heard)
                    yield heard
            elif message is Signal.ENDED:
                finished = reader.finish()
                if finished is None:
                    broken = f"{self._host} broke off in the middle of its answer."
                    raise EngineLost(broken, "Look at the server's log.")
                self._note(finished)
                yield finished
                return
            elif message is Signal.SILENCE:
                self._engine.board.set(self._number, self._state, self._share)
                silent = now - heard_last
                if silent >= (patience.between_tokens if self._first_token else patience.first_token):
                    raise EngineLost(f"{self._host} has sent nothing for {silent:.0f} s.", "Look at the server's log.")
                if now - noticed_last >= patience.notice_every:
                    noticed_last = now
                    yield Notice(self._progress(now - self._began))

    def _note(self, heard: Heard) -> None:
        match heard:
            case PromptProgress():
                if self._reading is None:
                    self._memory.check(heard.reused)
                self._reading = heard
            case StreamedText(tokens):
                self._first_token = self._first_token or time.perf_counter()
                self._written += len(tokens)
            case StreamEnd(written=written):
                self._finished = heard
                self._first_token = self._first_token or time.perf_counter()
                self._written = self._written if written is None else written
        self._engine.board.set(self._number, self._state, self._share)

    def handoff(self, how: Passing) -> Handoff | None:
        """The cost of the handoff, once: when the first token, or the end, has come."""
        if self._handed_over or self._first_token is None:
            return None
        self._handed_over = True
        reused, done, _ = self._counts
        return Handoff(reused, done - reused, self._first_token - self._began, how)

    def as_reading_ahead(self) -> PrefetchedText:
        """What was read from the beginning until now."""
        reused, done, _ = self._counts
        return PrefetchedText(self._began, time.perf_counter() - self._began, done - reused)

    @contextmanager
    def billed(self, line: HttpConnection, meter: UsageMeter) -> Iterator[None]:
        """Puts on the bill what happened inside, however it ends."""
        sent, received = line.bytes_sent, line.bytes_received
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
                    drafted=self._finished.drafted,
                    accepted=self._finished.accepted,
                    bytes_sent=line.bytes_sent - sent,
                    bytes_received=line.bytes_received - received,
                    seconds_waited=(self._first_token or time.perf_counter()) - self._began,
                    estimated=total > 0 and (self._reading is None or self._reading.reused is None),
                )
            )

    @property
    def _counts(self) -> tuple[int, int, int]:
        """Tokens reused, read so far (those included), and of the whole prompt, as the server told.

        An estimate if it wrote something without telling; what may have been reused counts as read.
        """
        if self._reading:
            reused, done, total = self._reading
            return min(reused or 0, done), done, total
        if self._first_token is None:
            return 0, 0, 0
        size = size_of(self._prompt)
        return 0, size, size

    @property
    def _host(self) -> str:
        return self._engine.address.host

    @property
    def _state(self) -> ServerState:
        if self._first_token:
            return ServerState.BUSY
        return ServerState.READING if self._reading else ServerState.WAITING

    @property
    def _share(self) -> float | None:
        """How much of the text has been read; None once it writes, or while it does not tell."""
        reading = self._reading
        return reading.done / reading.total if reading and reading.total and not self._first_token else None

    def _progress(self, seconds: float) -> str:
        if self._first_token:
            return f"{self._host} pauses; {seconds:.0f} s since it was asked."
        if self._reading:
            return f"{self._host} has read {self._reading.done:,} of {self._reading.total:,} tokens."
        return f"Waiting for a free slot on {self._host}, {seconds:.0f} s so far."
