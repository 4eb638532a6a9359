"""Stores runs: their events, saved while they stream, and what they came to, computed when they end."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from enum import Enum

from baton_reasoning.core.errors import StoreError
from baton_reasoning.core.store.database import Database, is_alive, now, this_process
from baton_reasoning.core.store.event_chunks import pack
from baton_reasoning.core.store.run_cost import read_trace, save_cost, save_text
from baton_reasoning.core.store.writer import Buffer, Writer
from baton_reasoning.core.text import replace_lone_surrogates
from baton_reasoning.core.thinking.events import Event, PrefillProgressed
from baton_reasoning.core.thinking.trace import Trace

BUFFER_SECONDS = 0.5
"""How long events wait for others, to be saved in one chunk."""


class RunState(Enum):
    RUNNING = "running"
    ENDED = "ended"
    INTERRUPTED = "interrupted"
    """The program ended before the run did. What was saved can be continued."""


class Runs:
    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, run: str, anew: bool = False) -> Recorder:
        """Begin to record the run's events, after those that are saved or, if `anew`, in their place.

        The first save begins the run. Raises StoreError if another program is writing it.
        """
        with self._database.reading() as connection:
            _refuse_if_written_elsewhere(connection, run)
        return Recorder(self._database.writer, run, anew)

    def read(self, run: str) -> tuple[Trace, StoreError | None]:
        """Read a run as far as it is not damaged, and what is wrong with the rest. Raises StoreError for the file."""
        with self._database.reading() as connection:
            return read_trace(connection, run)

    def trace(self, run: str) -> Trace:
        """Read the whole run. Raises StoreError."""
        trace, error = self.read(run)
        if error:
            raise error
        return trace

    def append(self, run: str, events: Sequence[Event]) -> Future[None]:
        """Add a review, a second opinion or values, to a run that has ended; tried again until it succeeds.

        The future has StoreError if the first try failed. Nothing is added if the run was deleted meanwhile, or is
        being continued.
        """
        chunk = pack(events)

        def change(connection: sqlite3.Connection) -> None:
            if connection.execute(f"{_ADD_CHUNK} AND state <> 'running'", (chunk, run)).rowcount:
                connection.execute("UPDATE runs SET reviewed = 1 WHERE id = ?", (run,))

        return self._database.writer.keep(change)


class Recorder(Buffer[None]):
    """Buffers the events of a run: one thread records, the writer's thread saves. `future` is that of `finish`."""

    def __init__(self, writer: Writer, run: str, anew: bool) -> None:
        super().__init__()
        self.run = run
        self._writer = writer
        self._anew = anew
        self._has_begun = False
        self._unsaved: list[Event] = []
        self._saving = 0
        """Number of unsaved events in the current transaction."""
        self._is_finished = False
        """Whether the run is to be concluded; `_concludes`: whether the current transaction does that."""
        self._concludes = False

    def record(self, events: Iterable[Event]) -> None:
        """Save the events within half a second. Never blocks and never raises; what the disk refuses is saved later.

        The progress of a prefill is not saved.
        """
        if fresh := [event for event in events if not isinstance(event, PrefillProgressed)]:
            # Appending, slicing and deleting are atomic, so the two threads need no lock.
            self._unsaved += fresh
            self._writer.save(self, within=BUFFER_SECONDS)

    def finish(self) -> Future[None]:
        """Save the remaining events and conclude the run. After StoreError nothing is lost: the writer tries again."""
        self._is_finished = True
        self._writer.save(self)
        return self.future

    def save(self, connection: sqlite3.Connection) -> None:
        if not self._has_begun:
            _begin(connection, self.run, self._anew)
        self._concludes = self._is_finished  # read before the events: the last ones are recorded before it is set
        self._saving = len(self._unsaved)
        if self._saving:
            connection.execute(_ADD_CHUNK, (pack(self._unsaved[: self._saving]), self.run))
        if self._concludes:
            _conclude(connection, self.run)

    def saved(self, result: None) -> None:
        self._has_begun = True
        del self._unsaved[: self._saving]
        if self._concludes:
            super().saved(result)

    def refused(self, error: StoreError) -> None:
        if self._is_finished:
            super().refused(error)


_ADD_CHUNK = """INSERT INTO event_chunks
    SELECT id, (SELECT coalesce(max(sequence), -1) + 1 FROM event_chunks WHERE run = runs.id), ?
    FROM runs WHERE id = ?"""
"""Adds nothing to a run that was deleted meanwhile."""


def _begin(connection: sqlite3.Connection, run: str, anew: bool) -> None:
    """Mark the run as running in this program. `anew`: forget what is saved."""
    _refuse_if_written_elsewhere(connection, run)
    if anew:
        connection.execute("DELETE FROM runs WHERE id = ?", (run,))
    connection.execute(
        """INSERT INTO runs (id, started, state, owner) VALUES (?, ?, ?, ?)
            ON CONFLICT (id) DO UPDATE SET state = excluded.state, owner = excluded.owner""",
        (run, now(), RunState.RUNNING.value, this_process()),
    )


def _refuse_if_written_elsewhere(connection: sqlite3.Connection, run: str) -> None:
    row = connection.execute("SELECT state, owner FROM runs WHERE id = ?", (run,)).fetchone()
    if row and row["state"] == RunState.RUNNING.value and row["owner"] != this_process() and is_alive(row["owner"]):
        raise StoreError("Another Baton is writing this answer.", "Wait until it is done, or stop it there.")


def _conclude(connection: sqlite3.Connection, run: str, state: RunState = RunState.ENDED) -> None:
    """Save what a run came to, inside a transaction. A damaged part ends the trace there."""
    trace, damage = read_trace(connection, run)
    save_cost(
        *(connection, run, trace),
        state=state.value,
        owner="",
        finish=trace.finish.value if trace.finish else None,
        reason=str(damage) if damage else trace.ended.reason if trace.ended else "",
        answer=replace_lone_surrogates(trace.answer.strip()),
    )
    save_text(connection, run, trace)


def recover(connection: sqlite3.Connection) -> None:
    """Conclude the runs whose program has ended."""
    rows = connection.execute("SELECT id, owner FROM runs WHERE state = ?", (RunState.RUNNING.value,)).fetchall()
    for row in rows:
        if not is_alive(row["owner"]):
            _conclude(connection, row["id"], RunState.INTERRUPTED)
