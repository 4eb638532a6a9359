"""Takes the events of one run as they come, and lets the writer save them in chunks."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import TYPE_CHECKING

from core.store.event_chunks import pack
from core.store.writer import Writer
from core.thinking.events import Event

if TYPE_CHECKING:
    from core.store.runs import RunSummary


class Recorder:
    """One thread records; the writer's thread saves."""

    def __init__(
        self,
        writer: Writer,
        run: str,
        sequence: int,
        conclude: Callable[[sqlite3.Connection, str], RunSummary],
    ) -> None:
        self.run = run
        self._writer = writer
        self._sequence = sequence
        self._conclude = conclude
        self._unsaved: list[Event] = []
        self._saving = 0
        """How many of the unsaved events are in the transaction that is going on."""

    def record(self, events: Iterable[Event]) -> None:
        """They are saved within half a second. Never blocks, never raises; what the disk refuses is tried again."""
        if fresh := list(events):
            # Lists grow, are sliced and are cut in one go each, so that both threads need no lock.
            self._unsaved += fresh
            self._writer.gather(self)

    def finish(self) -> Future[RunSummary]:
        """Save what is left and what follows from it. On StoreError nothing is lost: it may be called again."""
        future = self._writer.submit(self._finish)
        future.add_done_callback(self._finished)
        return future

    def save(self, connection: sqlite3.Connection) -> None:
        self._saving = len(self._unsaved)
        if self._saving:
            # A run that was deleted meanwhile takes no more events; others must not wait for it.
            connection.execute(
                "INSERT INTO event_chunks SELECT id, ?, ? FROM runs WHERE id = ?",
                (self._sequence, pack(self._unsaved[: self._saving]), self.run),
            )

    def saved(self) -> None:
        del self._unsaved[: self._saving]
        self._sequence += self._saving > 0
        self._saving = 0

    def _finish(self, connection: sqlite3.Connection) -> RunSummary:
        self.save(connection)
        return self._conclude(connection, self.run)

    def _finished(self, future: Future[RunSummary]) -> None:
        if future.exception() is None:
            self.saved()
        else:
            self._writer.gather(self)
