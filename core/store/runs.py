"""Stores runs: their events, saved while they stream, and the summary that is computed when they end."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from enum import Enum
from typing import NamedTuple

from baton_reasoning.core.errors import StoreError
from baton_reasoning.core.store.database import Database
from baton_reasoning.core.store.event_chunks import pack, unpack
from baton_reasoning.core.store.outline import Outline, outline_of, pack_outline, unpack_outline
from baton_reasoning.core.store.process_identity import is_alive, this_process
from baton_reasoning.core.store.run_metrics import RunMetrics
from baton_reasoning.core.store.timestamps import now
from baton_reasoning.core.store.writer import Writer
from baton_reasoning.core.text import replace_lone_surrogates
from baton_reasoning.core.thinking.events import Event, Finish, OpinionGiven, PrefillProgressed, ValuesEstimated
from baton_reasoning.core.thinking.trace import Trace


class RunState(Enum):
    RUNNING = "running"
    ENDED = "ended"
    INTERRUPTED = "interrupted"
    """The program ended before the run did. Its events are saved, and it can be resumed."""


class RunSummary(NamedTuple):
    """What a run came to; while it is running, only `state` is meaningful."""

    run: str
    state: RunState
    finish: Finish | None
    reason: str
    answer: str
    metrics: RunMetrics


class Runs:
    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, run: str, anew: bool = False) -> Recorder:
        """Begin to record the run's events, after those that are saved or, if `anew`, in their place.

        Raises StoreError.
        """
        sequence = self._database.write(lambda connection: _begin(connection, run, anew))
        return Recorder(self._database.writer, run, lambda _: sequence, conclude)

    def record_later(self, run: str) -> Recorder:
        """Begin to record without blocking, with the first save. Raises StoreError if another program writes it."""
        with self._database.reading() as connection:
            _refuse_if_written_elsewhere(connection, run)
        return Recorder(self._database.writer, run, lambda connection: _begin(connection, run), conclude)

    def events(self, run: str) -> Iterator[Event]:
        """Yield all events in order; none if there is no such run. Raises StoreError at a damaged part."""
        with self._database.reading() as connection:
            yield from self._events(connection, run)

    def trace(self, run: str) -> Trace:
        """Read the whole run. Raises StoreError."""
        with self._database.reading() as connection:
            return Trace.of(self._events(connection, run))

    def summary(self, run: str) -> RunSummary:
        """Read the summary. Raises StoreError if there is no such run."""
        with self._database.reading() as connection:
            return _summary(connection, run)

    def outline(self, run: str) -> Outline:
        """Read the outline, or rebuild it from the events, which takes longer. Raises StoreError."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT pieces FROM outlines WHERE run = ?", (run,)).fetchone()
            return (row and unpack_outline(row["pieces"])) or outline_of(Trace.of(_events(connection, run)))

    def reviews(self, run: str) -> list[OpinionGiven | ValuesEstimated]:
        """Return the second opinions and values that were added after the run; reads hardly more than them."""
        found: list[OpinionGiven | ValuesEstimated] = []
        with self._database.reading() as connection:
            chunks = connection.execute("SELECT events FROM event_chunks WHERE run = ? ORDER BY sequence DESC", (run,))
            for chunk in chunks:
                for event in reversed(list(unpack(chunk["events"]))):
                    if not isinstance(event, OpinionGiven | ValuesEstimated):
                        return found[::-1]
                    found.append(event)
        return found[::-1]

    def opinion(self, run: str) -> OpinionGiven | None:
        """Return the second opinion, if it was given after the run; reads hardly more than it."""
        return next((each for each in reversed(self.reviews(run)) if isinstance(each, OpinionGiven)), None)

    def append(self, run: str, events: Sequence[Event]) -> None:
        """Add events to a run that has ended; its summary stays as it is. Raises StoreError.

        Nothing is added if the run was deleted meanwhile, or is being continued.
        """
        self._database.write(lambda connection: _append(connection, run, pack(events)))

    def append_later(self, run: str, events: Sequence[Event]) -> None:
        """Add events without blocking; tried again until it succeeds."""
        chunk = pack(events)
        self._database.write_later(lambda connection: _append(connection, run, chunk))

    def recover(self) -> None:
        """Conclude the runs whose program has ended; in the writer's thread, without blocking."""
        self._database.writer.submit(_recover)

    def _events(self, connection: sqlite3.Connection, run: str) -> Iterator[Event]:
        """Yield the saved events, then those that can never be saved."""
        yield from _events(connection, run)
        for each in self._database.writer.unsavable:
            if isinstance(each, Recorder) and each.run == run:
                yield from each.unsaved


def conclude(connection: sqlite3.Connection, run: str, state: RunState = RunState.ENDED) -> RunSummary:
    """Save the summary and outline of a run, inside a transaction. A damaged part ends the trace there."""
    trace = Trace()
    try:
        for event in _events(connection, run):
            trace.apply(event)
    except StoreError as error:
        reason = str(error)
    else:
        reason = trace.ended.reason if trace.ended else ""
    columns = {
        "state": state.value,
        "owner": "",
        "finish": trace.finish.value if trace.finish else None,
        "reason": reason,
        "answer": replace_lone_surrogates(trace.answer.strip()),
        **RunMetrics.of(trace).columns(),
    }
    changes = ", ".join(f"{column} = :{column}" for column in columns)
    connection.execute(f"UPDATE runs SET {changes} WHERE id = :run", columns | {"run": run})
    connection.execute("INSERT OR REPLACE INTO outlines VALUES (?, ?)", (run, pack_outline(outline_of(trace))))
    return _summary(connection, run)


def summary_of(row: sqlite3.Row) -> RunSummary:
    """Read a summary from a row with the columns of `runs`."""
    state = RunState(row["state"])
    if state is RunState.RUNNING and not is_alive(row["owner"]):
        state = RunState.INTERRUPTED
    finish = Finish(row["finish"]) if row["finish"] else None
    return RunSummary(row["id"], state, finish, row["reason"], row["answer"], RunMetrics.of_row(row))


def _begin(connection: sqlite3.Connection, run: str, anew: bool = False) -> int:
    """Mark the run as running in this program; returns the number of the next chunk. `anew`: forget what is saved."""
    _refuse_if_written_elsewhere(connection, run)
    if anew:
        connection.execute("DELETE FROM runs WHERE id = ?", (run,))
    connection.execute(
        """INSERT INTO runs (id, started, state, owner) VALUES (?, ?, ?, ?)
            ON CONFLICT (id) DO UPDATE SET state = excluded.state, owner = excluded.owner""",
        (run, now(), RunState.RUNNING.value, this_process()),
    )
    connection.execute("DELETE FROM outlines WHERE run = ?", (run,))
    last = connection.execute("SELECT max(sequence) FROM event_chunks WHERE run = ?", (run,)).fetchone()[0]
    return 0 if last is None else int(last) + 1


def _refuse_if_written_elsewhere(connection: sqlite3.Connection, run: str) -> None:
    row = connection.execute("SELECT state, owner FROM runs WHERE id = ?", (run,)).fetchone()
    if row and row["state"] == RunState.RUNNING.value and row["owner"] != this_process() and is_alive(row["owner"]):
        raise StoreError("Another Baton is writing this answer.", "Wait until it is done, or stop it there.")


def _append(connection: sqlite3.Connection, run: str, chunk: bytes) -> None:
    connection.execute(
        """INSERT INTO event_chunks SELECT id,
            (SELECT coalesce(max(sequence), -1) + 1 FROM event_chunks WHERE run = runs.id), ?
            FROM runs WHERE id = ? AND state <> ?""",
        (chunk, run, RunState.RUNNING.value),
    )


def _events(connection: sqlite3.Connection, run: str) -> Iterator[Event]:
    for row in connection.execute("SELECT events FROM event_chunks WHERE run = ? ORDER BY sequence", (run,)):
        yield from unpack(row["events"])


def _summary(connection: sqlite3.Connection, run: str) -> RunSummary:
    row = connection.execute("SELECT * FROM runs WHERE id = ?", (run,)).fetchone()
    if row is None:
        raise StoreError("This answer is not in the store.", "It may have been deleted in another window.")
    return summary_of(row)


def _recover(connection: sqlite3.Connection) -> None:
    rows = connection.execute("SELECT id, owner FROM runs WHERE state = ?", (RunState.RUNNING.value,)).fetchall()
    for row in rows:
        if not is_alive(row["owner"]):
            conclude(connection, row["id"], RunState.INTERRUPTED)


class Recorder:
    """Buffers the events of a run: one thread records, the writer's thread saves."""

    def __init__(
        self,
        writer: Writer,
        run: str,
        begin: Callable[[sqlite3.Connection], int],
        conclude: Callable[[sqlite3.Connection, str], RunSummary],
    ) -> None:
        """`begin` is called with the first save, and returns the number of the next chunk."""
        self.run = run
        self._writer = writer
        self._begin = begin
        self._conclude = conclude
        self._sequence: int | None = None
        """The number of the next chunk, once the run has begun."""
        self._finished = False
        self._unsaved: list[Event] = []
        self._saving = 0
        """Number of unsaved events in the current transaction."""
        self._at = 0
        """Number of the chunk that it writes."""

    def record(self, events: Iterable[Event]) -> None:
        """Save the events within half a second. Never blocks and never raises; what the disk refuses is saved later.

        The progress of a prefill is not saved.
        """
        if fresh := [event for event in events if not isinstance(event, PrefillProgressed)]:
            # Appending, slicing and deleting are atomic, so the two threads need no lock.
            self._unsaved += fresh
            self._writer.save_soon(self)

    @property
    def unsaved(self) -> list[Event]:
        """The events that are not saved yet."""
        return self._unsaved[:]

    def finish(self) -> Future[RunSummary]:
        """Save the remaining events and conclude the run.

        After StoreError nothing is lost: the writer tries again, or call this again to wait for it.
        """
        return self._writer.submit(self._finish, self._settle)

    def save(self, connection: sqlite3.Connection) -> None:
        self._saving = len(self._unsaved)
        self._at = self._begin(connection) if self._sequence is None else self._sequence
        if self._saving:
            # Nothing is inserted for a run that was deleted meanwhile.
            connection.execute(
                "INSERT INTO event_chunks SELECT id, ?, ? FROM runs WHERE id = ?",
                (self._at, pack(self._unsaved[: self._saving]), self.run),
            )
        if self._finished:
            self._conclude(connection, self.run)

    def saved(self) -> None:
        del self._unsaved[: self._saving]
        self._sequence = self._at + (self._saving > 0)
        self._saving = 0
        self._finished = False

    def _finish(self, connection: sqlite3.Connection) -> RunSummary:
        self.save(connection)
        return self._conclude(connection, self.run)

    def _settle(self, finished: Future[RunSummary]) -> None:
        if finished.exception() is None:
            self.saved()
        else:
            self._finished = True
            self._writer.save_soon(self)
