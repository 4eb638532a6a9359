"""What must hold whatever happened: what was saved stays, each problem is answered once, and as if undisturbed."""

import contextlib
import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Self

from baton_reasoning.core.engines.local.engine import REPLACED
from baton_reasoning.core.store.event_chunks import unpack
from baton_reasoning.core.thinking.events import Finish, RunEnded, RunStarted, TokenWritten
from baton_reasoning.core.thinking.trace import Trace
from tests.soak.report import POLICY, PROBLEMS, TEXT, Report

_LOADED_FROM_ANOTHER_FILE = REPLACED.partition("{}")[2]
"""The notice of an answer by a model that may have been damaged when it was loaded."""


class Reference(NamedTuple):
    """An answer that nothing disturbed."""

    text: str
    writers: tuple[tuple[int, str], ...]
    """Where each writer begins, and who."""

    @classmethod
    def of(cls, trace: Trace) -> Self:
        writers: list[tuple[int, str]] = []
        at = 0
        for piece in trace.pieces:
            if piece.text and (not writers or writers[-1][1] != piece.author.value):
                writers.append((at, piece.author.value))
            at += len(piece.text)
        return cls(trace.text, tuple(writers))

    def same_writers_in(self, other: Self) -> bool:
        """Whether the same models wrote the same parts, up to where the texts differ."""
        same = next((at for at, (a, b) in enumerate(zip(self.text, other.text, strict=False)) if a != b), None)
        end = min(len(self.text), len(other.text)) if same is None else same
        return [w for w in self.writers if w[0] < end] == [w for w in other.writers if w[0] < end]


@contextlib.contextmanager
def reading(store: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=1)) as connection:
        connection.row_factory = sqlite3.Row
        yield connection


def trace_of(connection: sqlite3.Connection, run: str) -> Trace:
    rows = connection.execute("SELECT events FROM event_chunks WHERE run = ? ORDER BY sequence", (run,))
    return Trace.of(event for row in rows for event in unpack(row["events"]))


def problems_of(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute("SELECT problem FROM batch_problems ORDER BY position")
    return [json.loads(row["problem"])["text"] for row in rows]


def mark_of(store: Path) -> tuple[int, int, int] | None:
    """Changes whenever something is saved; None if the store cannot be read now."""
    try:
        with reading(store) as connection:
            row = connection.execute(
                """SELECT (SELECT count(*) FROM event_chunks), (SELECT count(*) FROM jobs WHERE state = 'done'),
                    (SELECT count(*) FROM runs WHERE finish IS NOT NULL)"""
            ).fetchone()
            return tuple(row)
    except sqlite3.Error:
        return None


class Kept:
    """The chunks of events that a store was seen to hold. Each must stay as it is for good."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._last = 0
        self._seen: dict[tuple[str, int], bytes] = {}
        self._anew: set[str] = set()
        """Runs of a batch that failed or were interrupted: their texts go when they are written anew."""

    def look(self) -> None:
        with contextlib.suppress(sqlite3.Error), reading(self._store) as connection:
            written_anew = connection.execute("SELECT run FROM jobs WHERE error <> '' OR attempt > 1")
            self._anew.update(row["run"] for row in written_anew)
            for row in connection.execute("SELECT rowid, * FROM event_chunks WHERE rowid > ?", (self._last,)):
                self._last = row["rowid"]
                self._seen[row["run"], row["sequence"]] = row["events"]

    def lost_tokens(self) -> int:
        """Of the chunks seen before that are gone or changed."""
        with reading(self._store) as connection:
            rows = connection.execute("SELECT * FROM event_chunks")
            there = {(row["run"], row["sequence"]): row["events"] for row in rows}
        expected = [each for each in self._seen.items() if each[0][0] not in self._anew]
        lost = [events for chunk, events in expected if there.get(chunk) != events]
        self._seen.clear()
        return _tokens_in(lost)

    def seen_tokens(self) -> int:
        """Of the chunks seen since tokens were last counted as lost or not."""
        return _tokens_in(self._seen.values())


def _tokens_in(chunks: Iterable[bytes]) -> int:
    return sum(isinstance(event, TokenWritten) for events in chunks for event in unpack(events))


class Comparison:
    """Of what stores hold with the answers that nothing disturbed, by their problems."""

    def __init__(self, report: Report, references: dict[str, Reference]) -> None:
        self.report, self.references = report, references

    def check_batch(self, store: Path) -> None:
        """Check one that is complete."""
        with reading(store) as connection:
            jobs = connection.execute("SELECT * FROM jobs").fetchall()
            problems = problems_of(connection)
            done = Counter((row["problem"], row["seed"], row["arm"]) for row in jobs if row["state"] == "done")
            lost = sum(not done[position, 0, "chosen"] for position in range(len(self.references)))
            doubled = sum(count - 1 for count in done.values())
            self.report.count(PROBLEMS, lost + doubled, str(store))
            for row in jobs:
                self.report.hear(row["error"], *json.loads(row["notices"] or "[]"))
                if not row["error"]:
                    self._is_compared(connection, row["run"], problems[row["problem"]])

    def check_chat(self, store: Path, known: set[str], compared: set[str]) -> None:
        """`known`: the exchanges that were seen before, which must all be there; `compared`: those that need not be."""
        with reading(store) as connection:
            there = {row["id"]: row["problem"] for row in connection.execute("SELECT id, problem FROM exchanges")}
            self.report.count(PROBLEMS, len(known - there.keys()), str(store))
            known |= there.keys()
            for run in there.keys() - compared:
                if self._is_compared(connection, run, there[run]):
                    compared.add(run)

    def _is_compared(self, connection: sqlite3.Connection, run: str, problem: str) -> bool:
        """Whether the answer has come to its end, so that it could be compared."""
        trace = trace_of(connection, run)
        if trace.finish in (None, Finish.STOPPED, Finish.FAILED):
            return False
        starts = [event for event in trace.events if isinstance(event, RunStarted)]
        ends = [event for event in trace.events if isinstance(event, RunEnded)]
        notices = [notice.text for notice in trace.notices]
        self.report.hear(*notices, *(event.reason for event in ends if event.finish is Finish.FAILED))
        self.report.add_answer()
        found, expected = Reference.of(trace), self.references.get(problem)
        if len({json.dumps(start.settings, sort_keys=True) for start in starts}) > 1:
            self.report.count(POLICY, 1, f"{run}: continued with other settings")
        if not expected or len(starts) > 1:
            return True  # a conversation that was taken up keeps its text, and may go on in another way
        if not found.same_writers_in(expected):
            self.report.count(POLICY, 1, f"{run}: {found.writers} instead of {expected.writers}")
        if found.text != expected.text and not any(_LOADED_FROM_ANOTHER_FILE in notice for notice in notices):
            self.report.count(TEXT, 1, f"{run}: {found.text!r} instead of {expected.text!r}")
        return True
