"""Runs: their events, saved while they stream, and what follows from the events once they end."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from core.errors import StoreError
from core.store.database import Database
from core.store.event_chunks import unpack
from core.store.moments import now
from core.store.outline import Outline, outline_of, pack_outline, unpack_outline
from core.store.owner import is_alive, this_process
from core.store.recorder import Recorder
from core.store.run_figures import RunFigures
from core.thinking.events import Event, Finish
from core.thinking.trace import Trace


class RunState(Enum):
    RUNNING = "running"
    ENDED = "ended"
    INTERRUPTED = "interrupted"
    """The program ended before the run did; its events are there, and it can go on."""


class RunSummary(NamedTuple):
    """What a run came to; while it is running, only its state counts."""

    run: str
    state: RunState
    finish: Finish | None
    reason: str
    answer: str
    figures: RunFigures


class Runs:
    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, run: str) -> Recorder:
        """Something to put the run's events into; goes on after those that are there. Raises StoreError."""
        sequence = self._database.write(lambda connection: _begin(connection, run))
        return Recorder(self._database.writer, run, sequence, conclude)

    def events(self, run: str) -> Iterator[Event]:
        """All of them, in order; none if there is no such run. Raises StoreError at a part that is broken."""
        with self._database.reading() as connection:
            yield from _events(connection, run)

    def trace(self, run: str) -> Trace:
        """Raises StoreError."""
        with self._database.reading() as connection:
            return Trace.of(_events(connection, run))

    def summary(self, run: str) -> RunSummary:
        """Raises StoreError if there is no such run."""
        with self._database.reading() as connection:
            return _summary(connection, run)

    def outline(self, run: str) -> Outline:
        """Made from the events if none was saved, which takes longer. Raises StoreError."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT pieces FROM outlines WHERE run = ?", (run,)).fetchone()
            return (row and unpack_outline(row["pieces"])) or outline_of(Trace.of(_events(connection, run)))

    def recover(self) -> None:
        """Conclude the runs whose program is gone. The writer does it in its own time; nobody waits."""
        self._database.writer.submit(_recover)


def conclude(connection: sqlite3.Connection, run: str, state: RunState = RunState.ENDED) -> RunSummary:
    """Save what follows from the events; inside a transaction. A part that is broken ends the trace there."""
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
        "answer": storable(trace.answer.strip()),
        **RunFigures.of(trace).columns(),
    }
    changes = ", ".join(f"{column} = :{column}" for column in columns)
    connection.execute(f"UPDATE runs SET {changes} WHERE id = :run", columns | {"run": run})
    connection.execute("INSERT OR REPLACE INTO outlines VALUES (?, ?)", (run, pack_outline(outline_of(trace))))
    return _summary(connection, run)


def storable(text: str) -> str:
    """SQLite takes no half surrogate pairs; a model may write one."""
    return text.encode("utf-8", "replace").decode("utf-8")


def summary_of(row: sqlite3.Row) -> RunSummary:
    """From a row with the columns of `runs`; a value that this version does not know counts as missing."""
    finishes = {finish.value: finish for finish in Finish}
    state = RunState(row["state"])
    if state is RunState.RUNNING and not is_alive(row["owner"]):
        state = RunState.INTERRUPTED
    return RunSummary(
        row["id"],
        state,
        finishes.get(row["finish"]),
        row["reason"],
        row["answer"],
        RunFigures.of_row(row),
    )


def _begin(connection: sqlite3.Connection, run: str) -> int:
    """The number of the next chunk."""
    row = connection.execute("SELECT state, owner FROM runs WHERE id = ?", (run,)).fetchone()
    mine = this_process()
    if row and row["state"] == RunState.RUNNING.value and row["owner"] != mine and is_alive(row["owner"]):
        raise StoreError("Another Baton is writing this answer.", "Wait until it is done, or stop it there.")
    connection.execute(
        """INSERT INTO runs (id, started, state, owner) VALUES (?, ?, ?, ?)
            ON CONFLICT (id) DO UPDATE SET state = excluded.state, owner = excluded.owner""",
        (run, now(), RunState.RUNNING.value, mine),
    )
    connection.execute("DELETE FROM outlines WHERE run = ?", (run,))
    last = connection.execute("SELECT max(sequence) FROM event_chunks WHERE run = ?", (run,)).fetchone()[0]
    return 0 if last is None else int(last) + 1


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
