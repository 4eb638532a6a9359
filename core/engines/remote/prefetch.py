"""Reading along: while the small model writes, the server is sent what is there, so that little is left to read.

A hint and no more: the newest text wins, a real request cuts it short, and a failure is the next request's to report.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from core.engines.body import Part
from core.engines.remote.protocol import CompletionRequest, Prompt, PromptBuilder, StreamEnd
from core.engines.remote.response_reader import ResponseReader, RestartDetector
from core.engines.remote.state import ServerState
from core.engines.remote.transport import AnswerStream, HttpConnection
from core.engines.usage import PrefetchedText, UsageMeter
from core.errors import EngineError, EngineRefused
from core.models.overrides import Sampling

if TYPE_CHECKING:
    from core.engines.remote.engine import RemoteEngine

HELD_BACK = 1
"""Tokens at the end that are not read yet: the next ones may merge with them, and not every memory can be cut."""


class Prefetch:
    """A thread for one session, which sleeps unless a text was offered."""

    def __init__(
        self, engine: RemoteEngine, script: PromptBuilder, meter: UsageMeter, memory: RestartDetector, number: int
    ) -> None:
        self._engine = engine
        self._script = script
        self._meter = meter
        self._memory = memory
        self._number = number
        self._line = engine.new_line()
        self._changed = threading.Condition()
        self._newest: Sequence[Part] | None = None
        self._busy = False
        self._ended: list[PrefetchedText] = []
        self._unwanted = threading.Event()
        self._over = False
        self._thread = threading.Thread(target=self._run, name=f"reading along on {engine.address.host}", daemon=True)
        self._thread.start()

    def offer(self, body: Sequence[Part]) -> None:
        """Never blocks for longer than a lock is held."""
        with self._changed:
            self._newest = body
            self._changed.notify_all()

    def stand_aside(self, line: HttpConnection) -> HttpConnection:
        """Stop reading, since a real request comes. Returns the line for it: the one that is connected already."""
        with self._changed:
            self._newest = None
            self._stop_reading()
            if self._line.is_open and not line.is_open:
                self._line, line = line, self._line
        return line

    def take_readings(self) -> tuple[PrefetchedText, ...]:
        with self._changed:
            ended, self._ended = tuple(self._ended), []
        return ended

    def settle(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._over or (self._newest is None and not self._busy))

    def close(self) -> None:
        with self._changed:
            self._over = True
            self._stop_reading()
            self._changed.notify_all()
        self._thread.join()
        self._line.close()

    def _stop_reading(self) -> None:
        if self._busy:
            self._unwanted.set()
            self._line.cut()
            self._changed.wait_for(lambda: not self._busy)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._over or self._newest is not None)
                if self._over or self._newest is None:
                    return
                body, self._newest = self._newest, None
                self._busy = True
                self._unwanted.clear()
            try:
                self._read(body)
            except EngineRefused:
                self._over = True  # a cap is reached, or the model is another: it would be refused again
            except EngineError:
                continue  # broken or cut: the next offer, or the real request, will see

    def _read(self, body: Sequence[Part]) -> None:
        dialect, line = self._engine.dialect, self._line
        self._meter.room(1)
        prompt: Prompt = self._script.with_body(body, line.ask)
        if not isinstance(prompt, str):
            prompt = prompt[:-HELD_BACK]
        reader = dialect.answer(line.ask)
        listening = ResponseReader(self._engine, self._number, self._memory, self._unwanted, prompt)
        payload = dialect.payload(prompt, CompletionRequest(0, 0, Sampling()), line.ask)
        try:
            with (
                listening.billed(line, self._meter),
                AnswerStream(line, dialect.path, payload, listening.most_events(1)) as stream,
            ):
                for heard in listening.to(stream, reader):
                    if isinstance(heard, StreamEnd):
                        return
        finally:
            with self._changed:
                self._ended.append(listening.as_reading_ahead())
            self._engine.board.set(self._number, ServerState.CONNECTED)
