"""Copies what can be read of a damaged or outdated database into a new one. A damaged page costs what stands on it.

SQLite reads rows in the order of their keys until it comes to a damaged page, and begins again at any key beyond it.
(In a table without rowids the first row beyond it is lost, too.) A row that others point to is made anew, as far as
they tell what was in it. If the first pages are damaged, which list the tables, nothing can be read.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from baton_reasoning.core.store.damage import UNREADABLE
from baton_reasoning.core.store.derived import fill_in
from baton_reasoning.core.store.migrations import MIGRATIONS, migrate
from baton_reasoning.core.store.timestamps import now
from baton_reasoning.core.text import counted

_TABLES = ("conversations", "exchanges", "runs", "event_chunks", "batches", "jobs", "unsent")
_TABLES_OF_A_BATCH = ("batch_problems", "batch_arms")
_ONE_BY_ONE = 1000
"""Keys that are tried in order beyond one that cannot be read, which is more than stand on a page; then the distance
doubles, since a page above others is damaged."""
_LARGEST_KEY = 2**62

_MADE_ANEW = (
    """INSERT INTO conversations (id, created, changed) SELECT conversation, min(created), max(created) FROM exchanges
        WHERE conversation NOT IN (SELECT id FROM conversations) GROUP BY conversation""",
    "UPDATE exchanges SET parent = NULL WHERE parent NOT IN (SELECT id FROM exchanges)",
    # It is concluded when the file is opened, as that of a program that has ended.
    """INSERT INTO runs (id, started, state, owner) SELECT DISTINCT run, :now, 'running', '' FROM event_chunks
        WHERE run NOT IN (SELECT id FROM runs)""",
    """INSERT INTO batches (id, name, settings, created) SELECT batch, 'Recovered batch', '{}', :now FROM jobs
        WHERE batch NOT IN (SELECT id FROM batches) GROUP BY batch""",
)


def salvage(damaged: Path, fresh: Path) -> str:
    """Copy what can be read into a new file; returns how much that is, in words, "" if it is nothing.

    Raises sqlite3.Error if the new file cannot be written.
    """
    with (
        closing(sqlite3.connect(damaged)) as source,
        closing(sqlite3.connect(fresh, isolation_level=None)) as target,
    ):
        source.text_factory = lambda text: text.decode("utf-8", errors="replace")
        target.row_factory = sqlite3.Row
        migrate(target, fresh, MIGRATIONS)
        with target:
            target.execute("BEGIN")
            for table in _TABLES:
                _copy(source, target, table, "rowid")
            for (batch,) in target.execute("SELECT id FROM batches UNION SELECT batch FROM jobs").fetchall():
                for table in _TABLES_OF_A_BATCH:
                    _copy(source, target, table, "position", batch)
            for statement in _MADE_ANEW:
                target.execute(statement, {"now": now()})
            fill_in(target)
        saved = [target.execute(f"SELECT count(*) FROM {each}").fetchone()[0] for each in ("conversations", "batches")]
    return f"{counted(saved[0], 'conversation')} and {counted(saved[1], 'batch', 'batches')}" if any(saved) else ""


def _copy(source: sqlite3.Connection, target: sqlite3.Connection, table: str, key: str, batch: str = "") -> None:
    """Copy the rows of a table, or those of a batch, which have an integer as key."""
    try:
        theirs = {name for _, name, *_ in source.execute(f"PRAGMA table_info({table})")}
    except UNREADABLE:
        return
    names = [name for _, name, *_ in target.execute(f"PRAGMA table_info({table})") if name in theirs]
    if not names:
        return
    whose, values = ("batch = ? AND ", (batch,)) if batch else ("", ())
    query = f"SELECT CAST({key} AS INTEGER), {', '.join(names)} FROM {table} WHERE {whose}{key} >= ? ORDER BY {key}"
    insert = f"INSERT OR IGNORE INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
    for row in _rows(lambda start, limit: source.execute(f"{query} LIMIT {limit}", (*values, start))):
        with suppress(sqlite3.IntegrityError):  # a value of a type that it cannot have
            target.execute(insert, row[1:])


def _rows(read: Callable[[int, int], sqlite3.Cursor]) -> Iterator[tuple[Any, ...]]:
    """Yield the rows that can be read, which begin with their key. `read`: those from a key on, at most so many."""

    def is_readable(start: int) -> bool:
        try:
            read(start, 1).fetchone()
        except UNREADABLE:
            return False
        return True

    key: int | None = 0
    while key is not None:
        # Row by row beside what is unreadable: sqlite3 reads one row ahead, and drops the one before an error.
        for most in (-1, 1):
            with suppress(*UNREADABLE):
                for row in read(key, most):
                    if row[0] >= key:  # a damaged tree may lead back
                        yield row
                        key = row[0] + 1
                if most < 0:
                    return
        key = _next_readable(is_readable, key)


def _next_readable(is_readable: Callable[[int], bool], key: int) -> int | None:
    """Return the first key, this or beyond, from which rows can be read; None if there is none."""
    unreadable, tried = key - 1, 0
    while key < _LARGEST_KEY:
        if is_readable(key):
            return bisect_left(range(key), True, unreadable + 1, key=is_readable)
        unreadable, key = key, key + 2 ** max(0, tried - _ONE_BY_ONE)
        tried += 1
    return None
