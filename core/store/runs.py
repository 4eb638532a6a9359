"""Stores runs: their events, saved while they stream, and what they came to, computed when they end.

Several programs may use one store. Each recording of a run is an attempt with a name of its own, and the run knows the
last one: no other can add to its events or conclude it. So a text is always that of one attempt, or of several that
began where the one before had ended.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from enum import Enum
from typing import NamedTuple

from baton_reasoning.core.errors import StoreError, WrittenElsewhere
from baton_reasoning.core.store.database import Database
from baton_reasoning.core.store.derived import read_trace, save_cost, save_text
from baton_reasoning.core.store.event_chunks import pack
from baton_reasoning.core.store.owners import claim_as_owner, is_alive, this_process
from baton_reasoning.core.store.timestamps import now
from baton_reasoning.core.store.writer import Buffer, Writer
from baton_reasoning.core.text import replace_lone_surrogates
from baton_reasoning.core.thinking.events import Event, Noticed, PrefillProgressed
from baton_reasoning.core.thinking.trace import Trace

BUFFER_SECONDS = 0.5
"""How long events wait for others, to be saved in one chunk."""
DAMAGED = "The rest of this answer is damaged and cannot be read."


class RunState(Enum):
    RUNNING = "running"
    ENDED = "ended"
    INTERRUPTED = "interrupted"
    """The program ended before the run did. What was saved can be continued."""


class StoredRun(NamedTuple):
    """A run as it was read."""

    trace: Trace
    """As far as it is not damaged."""
    damage: StoreError | None = None
    """What is wrong with the rest."""
    attempt: str = ""
    """Names the recording that wrote its events last; "" if there is none."""
    is_written_elsewhere: bool = False
    """Whether another program is writing it."""

    @property
    def whole(self) -> Trace:
        """The trace. Raises StoreError if a part of it is damaged."""
        if self.damage:
            raise self.damage
        return self.trace

    @property
    def noticed(self) -> Trace:
        """The trace as it leaves the store, with a notice where it is damaged."""
        if self.damage:
            self.trace.apply(Noticed(self.trace.seconds, DAMAGED))
        return self.trace


class Runs:
    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, run: str, attempt: str = "", events: int = 0) -> Recorder:
        """Begin to record a run's events. The first save begins the run.

        `attempt`, `events`: the recording that is gone on with, and the number of its events; neither for a new run.
        Raises WrittenElsewhere if another program is writing the run. If another has written on it since then, the
        first save finds that out, and the recorder refuses whatever follows.
        """
        with self._database.reading() as connection:
            _refuse_if_written_elsewhere(connection, _row_of(connection, run))
        return Recorder(self._database.writer, run, _SavedText(attempt, events) if attempt else _SavedText())

    def record_anew(self, run: str) -> Recorder:
        """Begin to record a run in the place of what is saved of it: that of a job that this program has claimed."""
        return Recorder(self._database.writer, run, None)

    def read(self, run: str) -> StoredRun:
        """Read a run as far as it is not damaged. Raises StoreError for the file."""
        with self._database.reading() as connection:
            connection.execute("BEGIN")  # what is read is of one moment
            try:
                row = _row_of(connection, run)
                trace, damage = read_trace(connection, run)
                attempt = row["attempt"] if row else ""
                return StoredRun(trace, damage, attempt, _is_written_elsewhere(connection, row))
            finally:
                connection.execute("ROLLBACK")

    def trace(self, run: str) -> Trace:
        """Read the whole run. Raises StoreError."""
        return self.read(run).whole

    def append(self, run: str, events: Sequence[Event], attempt: str) -> Future[None]:
        """Add a review, a second opinion or values, to a run that has ended; tried again until it succeeds.

        `attempt`: that of the text which was reviewed. The future has StoreError if the first try failed. Nothing is
        added if the run was deleted meanwhile, or continued, here or elsewhere.
        """
        chunk = pack(events)

        def change(connection: sqlite3.Connection) -> None:
            values = {"run": run, "attempt": attempt, "chunk": chunk}
            if connection.execute(f"{_ADD_CHUNK} AND state <> 'running'", values).rowcount:
                counted = "UPDATE runs SET reviewed = 1, events = events + ? WHERE id = ?"
                connection.execute(counted, (len(events), run))

        return self._database.writer.keep(change)


class _SavedText(NamedTuple):
    """What is saved of a run; by default nothing."""

    attempt: str = ""
    events: int = 0


class _Save(NamedTuple):
    """What the current transaction of a recorder does; it counts once it is committed."""

    events: int = 0
    """Number of unsaved events that it saves."""
    concludes: bool = False
    refusal: WrittenElsewhere | None = None


class Recorder(Buffer[None]):
    """Buffers the events of a run: one thread records, the writer's thread saves. `future` is that of `finish`."""

    def __init__(self, writer: Writer, run: str, after: _SavedText | None) -> None:
        """`after`: what is saved before these events; None if they replace it."""
        super().__init__()
        self.run = run
        self.attempt = uuid.uuid4().hex
        """Names this recording; no other program, and no later recording, has the same."""
        self.refusal: WrittenElsewhere | None = None
        """Why nothing more is saved: another program has taken the run over."""
        self._writer = writer
        self._after = after
        self._has_begun = False
        self._is_finished = False
        """Whether the run is to be concluded."""
        self._unsaved: list[Event] = []
        self._saving = _Save()

    def record(self, events: Iterable[Event]) -> None:
        """Save the events within half a second. Never blocks; what the disk refuses is saved later.

        The progress of a prefill is not saved. Raises WrittenElsewhere once another program has taken the run over.
        """
        if self.refusal:
            raise self.refusal
        if fresh := [event for event in events if not isinstance(event, PrefillProgressed)]:
            # Appending, slicing and deleting are atomic, so the two threads need no lock.
            self._unsaved += fresh
            self._writer.save(self, within=BUFFER_SECONDS)

    def finish(self) -> Future[None]:
        """Save the remaining events and conclude the run. After StoreError nothing is lost: the writer tries again.

        The future has WrittenElsewhere if another program has taken the run over: nothing of this one is left in it.
        """
        self._is_finished = True
        self._writer.save(self)
        return self.future

    def save(self, connection: sqlite3.Connection) -> None:
        concludes = self._is_finished  # read before the events: the last ones are recorded before it is set
        unsaved = self._unsaved[:]
        self._saving = _Save(len(unsaved), concludes)
        try:
            self._go_on(connection) if self._has_begun else self._begin(connection)
        except WrittenElsewhere as refusal:
            self._saving = self._saving._replace(refusal=refusal)
            return
        if unsaved:
            connection.execute(_ADD_CHUNK, {"run": self.run, "attempt": self.attempt, "chunk": pack(unsaved)})
            connection.execute("UPDATE runs SET events = events + ? WHERE id = ?", (len(unsaved), self.run))
        if concludes:
            _conclude(connection, self.run)

    def saved(self, result: None) -> None:
        self._has_begun, self.refusal = True, self._saving.refusal
        del self._unsaved[: self._saving.events]
        if self.refusal:
            super().refused(self.refusal)
        elif self._saving.concludes:
            super().saved(result)

    def refused(self, error: StoreError) -> None:
        if self._is_finished:
            super().refused(error)

    def _begin(self, connection: sqlite3.Connection) -> None:
        """Make this recording the last attempt at the run.

        Raises WrittenElsewhere if another program is writing it, or what is saved is not what the events follow.
        """
        if self._after is None:
            connection.execute("DELETE FROM runs WHERE id = ?", (self.run,))
        else:
            row = _row_of(connection, self.run)
            _refuse_if_written_elsewhere(connection, row)
            if (_SavedText(row["attempt"], row["events"]) if row else _SavedText()) != self._after:
                raise WrittenElsewhere(
                    "What the history holds of this answer is not what stands here.",
                    "Open the conversation again, or go on from one of the steps, which makes a new answer.",
                )
        connection.execute(
            """INSERT INTO runs (id, started, state, owner, attempt) VALUES (?, ?, ?, ?, ?) ON CONFLICT (id)
                DO UPDATE SET state = excluded.state, owner = excluded.owner, attempt = excluded.attempt""",
            (self.run, now(), RunState.RUNNING.value, claim_as_owner(connection), self.attempt),
        )

    def _go_on(self, connection: sqlite3.Connection) -> None:
        """Write on, also if another program has concluded this attempt: it may have taken this program for dead.

        Raises WrittenElsewhere if another attempt has begun since.
        """
        owned = "UPDATE runs SET state = ?, owner = ? WHERE id = ? AND attempt = ?"
        values = (RunState.RUNNING.value, this_process(), self.run, self.attempt)
        if not connection.execute(owned, values).rowcount and (
            connection.execute("SELECT 1 FROM runs WHERE id = ?", (self.run,)).fetchone()
        ):
            raise WrittenElsewhere(
                "Another Baton has taken this answer over.", "What was written here since then is not saved."
            )


_ADD_CHUNK = """INSERT INTO event_chunks
    SELECT id, (SELECT coalesce(max(sequence), -1) + 1 FROM event_chunks WHERE run = runs.id), :chunk
    FROM runs WHERE id = :run AND attempt = :attempt"""
"""Adds nothing to a run that was deleted meanwhile."""


def _row_of(connection: sqlite3.Connection, run: str) -> sqlite3.Row | None:
    """Read who writes a run, and how far it is; None if there is none."""
    found = connection.execute("SELECT state, owner, attempt, events FROM runs WHERE id = ?", (run,))
    row: sqlite3.Row | None = found.fetchone()
    return row


def _refuse_if_written_elsewhere(connection: sqlite3.Connection, row: sqlite3.Row | None) -> None:
    if _is_written_elsewhere(connection, row):
        raise WrittenElsewhere("Another Baton is writing this answer.", "Wait until it is done, or stop it there.")


def _is_written_elsewhere(connection: sqlite3.Connection, row: sqlite3.Row | None) -> bool:
    """Tell whether another program is writing the run. `row`: see `_row_of`."""
    if row is None or row["state"] != RunState.RUNNING.value:
        return False
    return row["owner"] != this_process() and is_alive(connection, row["owner"])


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


def save_whole(connection: sqlite3.Connection, run: str, events: Sequence[Event]) -> None:
    """Save a run that was written elsewhere and has ended, inside a transaction."""
    attempt = uuid.uuid4().hex
    connection.execute(
        "INSERT INTO runs (id, started, state, owner, attempt, events) VALUES (?, ?, ?, '', ?, ?)",
        (run, now(), RunState.ENDED.value, attempt, len(events)),
    )
    connection.execute(_ADD_CHUNK, {"run": run, "attempt": attempt, "chunk": pack(events)})
    _conclude(connection, run)


def recover(connection: sqlite3.Connection) -> None:
    """Conclude the runs whose program has ended."""
    rows = connection.execute("SELECT id, owner FROM runs WHERE state = ?", (RunState.RUNNING.value,)).fetchall()
    for row in rows:
        if not is_alive(connection, row["owner"]):
            _conclude(connection, row["id"], RunState.INTERRUPTED)
