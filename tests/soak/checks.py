"""What must hold whatever happened: what was saved stays, each problem is answered once, and as if undisturbed."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from baton_reasoning.core.engines.local.engine import REPLACED
from baton_reasoning.core.store.event_chunks import unpack
from baton_reasoning.core.thinking.events import Finish, RunEnded, RunStarted, TokenWritten
from baton_reasoning.core.thinking.trace import Trace

_NEXT_STEP = re.compile(r"[.!?…”)] +[A-Z“]")
_TRACEBACK = "Traceback (most recent call last)"
_LOADED_FROM_ANOTHER_FILE = REPLACED.partition("{}")[2]
"""The notice of an answer by a model that may have been damaged when it was loaded."""


class Reference(NamedTuple):
    """An answer that nothing disturbed."""

    text: str
    writers: tuple[tuple[int, str], ...]
    """Where each writer begins, and who."""

    @classmethod
    def of(cls, trace: Trace) -> Reference:
        writers: list[tuple[int, str]] = []
        at = 0
        for piece in trace.pieces:
            if piece.text and (not writers or writers[-1][1] != piece.author.value):
                writers.append((at, piece.author.value))
            at += len(piece.text)
        return cls(trace.text, tuple(writers))

    def same_writers_in(self, other: Reference) -> bool:
        """Whether the same models wrote the same parts, up to where the texts differ."""
        same = next((at for at, (a, b) in enumerate(zip(self.text, other.text, strict=False)) if a != b), None)
        end = min(len(self.text), len(other.text)) if same is None else same
        return [w for w in self.writers if w[0] < end] == [w for w in other.writers if w[0] < end]


@contextlib.contextmanager
def reading(store: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=1)) as connection:
        connection.row_factory = sqlite3.Row
        yield connection


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
        self._seen: dict[int, tuple[str, int, int, bytes]] = {}
        self._anew: set[str] = set()
        """Runs of a batch that failed or were interrupted: their texts go when they are written anew."""

    def look(self) -> None:
        with contextlib.suppress(sqlite3.Error), reading(self._store) as connection:
            written_anew = connection.execute("SELECT run FROM jobs WHERE error <> '' OR attempt > 1")
            self._anew.update(row["run"] for row in written_anew)
            for row in connection.execute(
                "SELECT rowid, run, sequence, events FROM event_chunks WHERE rowid > ?", (self._last,)
            ):
                self._last = row["rowid"]
                self._seen[self._last] = (row["run"], row["sequence"], zlib.crc32(row["events"]), row["events"])

    def lost_tokens(self) -> int:
        """Of the chunks seen before that are gone or changed."""
        with reading(self._store) as connection:
            rows = connection.execute("SELECT run, sequence, events FROM event_chunks")
            there = {(row["run"], row["sequence"]): zlib.crc32(row["events"]) for row in rows}
        lost = [
            events
            for run, sequence, code, events in self._seen.values()
            if there.get((run, sequence)) != code and run not in self._anew
        ]
        self._seen.clear()
        return sum(isinstance(event, TokenWritten) for events in lost for event in unpack(events))


class Findings(NamedTuple):
    """Of one store."""

    lost_or_doubled: int
    other_policy: int
    other_text: int
    answers: int
    messages: tuple[str, ...]
    details: tuple[str, ...]


def findings_of_batch(store: Path, problems: int, references: dict[str, Reference]) -> Findings:
    """Of a batch that is complete."""
    with reading(store) as connection:
        jobs = connection.execute("SELECT * FROM jobs").fetchall()
        texts = [json.loads(row["problem"])["text"] for row in connection.execute(_PROBLEMS)]
        done = Counter((row["problem"], row["seed"], row["arm"]) for row in jobs if row["state"] == "done")
        lost = sum(1 for position in range(problems) if done.total() and not done[position, 0, "chosen"])
        doubled = sum(count - 1 for count in done.values())
        runs = [(row["run"], texts[row["problem"]]) for row in jobs if not row["error"]]
        found = _compared(connection, runs, references)
        errors = tuple(row["error"] for row in jobs if row["error"])
        notices = tuple(notice for row in jobs for notice in json.loads(row["notices"] or "[]"))
    return found._replace(lost_or_doubled=lost + doubled, messages=(*found.messages, *errors, *notices))


_PROBLEMS = "SELECT problem FROM batch_problems ORDER BY position"


def findings_of_chat(store: Path, known: set[str], checked: set[str], references: dict[str, Reference]) -> Findings:
    """`known`: the exchanges that were seen before, which must all be there; `checked`: those compared already."""
    with reading(store) as connection:
        there = {row["id"]: row["problem"] for row in connection.execute("SELECT id, problem FROM exchanges")}
        lost = len(known - set(there))
        known |= set(there)
        fresh = [(run, problem) for run, problem in there.items() if run not in checked]
        found = _compared(connection, fresh, references, checked)
    return found._replace(lost_or_doubled=lost)


def _compared(
    connection: sqlite3.Connection,
    runs: Iterable[tuple[str, str]],
    references: dict[str, Reference],
    checked: set[str] | None = None,
) -> Findings:
    policies = texts = answers = 0
    messages: list[str] = []
    details: list[str] = []
    for run, problem in runs:
        chunks = connection.execute("SELECT events FROM event_chunks WHERE run = ? ORDER BY sequence", (run,))
        trace = Trace.of(event for row in chunks for event in unpack(row["events"]))
        if trace.finish in (None, Finish.STOPPED, Finish.FAILED):
            continue  # still being written, or to be continued
        if checked is not None:
            checked.add(run)
        starts = [event for event in trace.events if isinstance(event, RunStarted)]
        ends = [event for event in trace.events if isinstance(event, RunEnded)]
        messages += [notice.text for notice in trace.notices]
        messages += [event.reason for event in ends if event.finish is Finish.FAILED]
        answers += 1
        found, expected = Reference.of(trace), references.get(problem)
        if len(starts) > 1:
            expected = None  # a conversation that was taken up keeps its text, and may go on in another way
        if len({json.dumps(start.settings, sort_keys=True) for start in starts}) > 1:
            policies += 1
            details.append(f"{run}: continued with other settings")
        elif expected and not found.same_writers_in(expected):
            policies += 1
            details.append(f"{run}: other writers: {found.writers} instead of {expected.writers}")
        is_told = any(_LOADED_FROM_ANOTHER_FILE in notice.text for notice in trace.notices)
        if expected and found.text != expected.text and not is_told:
            texts += 1
            at = next((n for n, (a, b) in enumerate(zip(found.text, expected.text, strict=False)) if a != b), -1)
            part = slice(max(0, at - 20), at + 40)
            details.append(f"{run}: other text at {at}: {found.text[part]!r} instead of {expected.text[part]!r}")
    return Findings(0, policies, texts, answers, tuple(messages), tuple(details))


def has_next_step(message: str) -> bool:
    """Two sentences at least, and no traceback."""
    return bool(_NEXT_STEP.search(message)) and _TRACEBACK not in message
