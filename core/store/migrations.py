"""Migrations of the database: numbered, append-only, never changed once released.

`PRAGMA user_version` counts the migrations that a file has been through. A migration must keep older rows readable. All
are made in one transaction: one that is killed changes nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from baton_reasoning.core.errors import StoreError
from baton_reasoning.core.store.derived import fill_in

Migration = Sequence[str | Callable[[sqlite3.Connection], object]]
"""Statements, and functions for what SQL cannot do, in order."""

_FIRST = (
    # The columns after `owner` follow from the events and are filled in when the run ends.
    """CREATE TABLE runs (
        id TEXT PRIMARY KEY, started TEXT NOT NULL, state TEXT NOT NULL, owner TEXT NOT NULL,
        finish TEXT, reason TEXT NOT NULL DEFAULT '', answer TEXT NOT NULL DEFAULT '',
        seconds REAL NOT NULL DEFAULT 0, small_tokens INTEGER NOT NULL DEFAULT 0,
        large_tokens INTEGER NOT NULL DEFAULT 0, handoffs INTEGER NOT NULL DEFAULT 0,
        steps INTEGER NOT NULL DEFAULT 0, ribbon TEXT NOT NULL DEFAULT '[]', money REAL NOT NULL DEFAULT 0,
        currency TEXT NOT NULL DEFAULT '', remote_tokens INTEGER NOT NULL DEFAULT 0)""",
    "CREATE INDEX runs_by_state ON runs (state)",
    """CREATE TABLE event_chunks (
        run TEXT NOT NULL REFERENCES runs ON DELETE CASCADE, sequence INTEGER NOT NULL,
        events BLOB NOT NULL, UNIQUE (run, sequence))""",
    # Apart from `runs`, so that lists of runs do not read past large blobs.
    "CREATE TABLE outlines (run TEXT PRIMARY KEY REFERENCES runs ON DELETE CASCADE, pieces BLOB NOT NULL)",
    """CREATE TABLE conversations (
        id TEXT PRIMARY KEY, title TEXT NOT NULL DEFAULT '', leaf TEXT,
        created TEXT NOT NULL, changed TEXT NOT NULL, deleted TEXT)""",
    "CREATE INDEX conversations_by_change ON conversations (changed)",
    # `number` ties an exchange to its text index; a bare rowid could change in a VACUUM.
    """CREATE TABLE exchanges (
        number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
        conversation TEXT NOT NULL REFERENCES conversations ON DELETE CASCADE,
        parent TEXT REFERENCES exchanges (id) ON DELETE CASCADE,
        problem TEXT NOT NULL, settings TEXT NOT NULL, created TEXT NOT NULL)""",
    "CREATE INDEX exchanges_by_conversation ON exchanges (conversation)",
    "CREATE INDEX exchanges_by_parent ON exchanges (parent)",
    """CREATE TRIGGER exchange_deleted AFTER DELETE ON exchanges BEGIN
        DELETE FROM runs WHERE id = old.id; END""",
    """CREATE VIRTUAL TABLE exchange_text USING fts5 (
        problem, answer, tokenize = 'unicode61 remove_diacritics 2')""",
    """CREATE TRIGGER exchange_text_added AFTER INSERT ON exchanges BEGIN
        INSERT INTO exchange_text (rowid, problem, answer) VALUES (new.number, new.problem, ''); END""",
    """CREATE TRIGGER exchange_text_answered AFTER UPDATE OF answer ON runs BEGIN
        UPDATE exchange_text SET answer = new.answer
        WHERE rowid = (SELECT number FROM exchanges WHERE id = new.id); END""",
    """CREATE TRIGGER exchange_text_deleted AFTER DELETE ON exchanges BEGIN
        DELETE FROM exchange_text WHERE rowid = old.number; END""",
    """CREATE TABLE batches (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, settings TEXT NOT NULL, created TEXT NOT NULL, deleted TEXT)""",
    """CREATE TABLE batch_problems (
        batch TEXT NOT NULL REFERENCES batches ON DELETE CASCADE, position INTEGER NOT NULL,
        problem TEXT NOT NULL, PRIMARY KEY (batch, position)) WITHOUT ROWID""",
    """CREATE TABLE batch_arms (
        batch TEXT NOT NULL REFERENCES batches ON DELETE CASCADE, position INTEGER NOT NULL,
        name TEXT NOT NULL, settings TEXT NOT NULL, PRIMARY KEY (batch, position), UNIQUE (batch, name))
        WITHOUT ROWID""",
    """CREATE TABLE jobs (
        id INTEGER PRIMARY KEY, batch TEXT NOT NULL REFERENCES batches ON DELETE CASCADE,
        arm TEXT NOT NULL, problem INTEGER NOT NULL, seed INTEGER NOT NULL,
        state TEXT NOT NULL DEFAULT 'waiting', owner TEXT NOT NULL DEFAULT '', run TEXT NOT NULL UNIQUE,
        attempt INTEGER NOT NULL DEFAULT 0, answer TEXT NOT NULL DEFAULT '', outcome TEXT, how TEXT,
        verdict_reason TEXT NOT NULL DEFAULT '', error TEXT NOT NULL DEFAULT '',
        notices TEXT NOT NULL DEFAULT '[]', conditions TEXT, started TEXT, ended TEXT, note TEXT NOT NULL DEFAULT '',
        UNIQUE (batch, arm, problem, seed))""",
    "CREATE INDEX jobs_in_order ON jobs (batch, state, problem, seed, id)",
    "CREATE TRIGGER job_deleted AFTER DELETE ON jobs BEGIN DELETE FROM runs WHERE id = old.run; END",
)

_PINS = ("ALTER TABLE conversations ADD COLUMN pinned TEXT",)

_COUNTS = """discarded_tokens small_read large_read small_reread large_reread small_decoded large_decoded large_steps
    drafted accepted"""
_COSTS: Migration = (
    *(f"ALTER TABLE runs ADD COLUMN {name} INTEGER NOT NULL DEFAULT 0" for name in _COUNTS.split()),
    "ALTER TABLE runs ADD COLUMN seconds_to_answer REAL",
    "ALTER TABLE runs ADD COLUMN takeovers TEXT NOT NULL DEFAULT '[]'",
    # Whether a second opinion or values were added after the run, so that others need not be searched for them.
    "ALTER TABLE runs ADD COLUMN reviewed INTEGER NOT NULL DEFAULT 0",
    "DROP TABLE outlines",
)

_SEARCH: Migration = (
    "DROP TRIGGER exchange_text_answered",
    "DROP TABLE exchange_text",
    """CREATE VIRTUAL TABLE exchange_text USING fts5 (
        problem, answer, reasoning, tokenize = 'unicode61 remove_diacritics 2')""",
    "INSERT INTO exchange_text (rowid, problem, answer, reasoning) SELECT number, problem, '', '' FROM exchanges",
)

_OWNERS: Migration = (
    "CREATE TABLE owners (name TEXT PRIMARY KEY, renewed TEXT NOT NULL) WITHOUT ROWID",
    # Names the recording that wrote the events last: only that one may add to them.
    "ALTER TABLE runs ADD COLUMN attempt TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE runs ADD COLUMN events INTEGER NOT NULL DEFAULT 0",
    "CREATE INDEX jobs_by_owner ON jobs (owner) WHERE owner <> ''",
)

_FILE_HASHES = (
    """CREATE TABLE file_hashes (
        path TEXT PRIMARY KEY, size INTEGER NOT NULL, modified INTEGER NOT NULL, changed INTEGER NOT NULL,
        sha256 TEXT NOT NULL) WITHOUT ROWID""",
)

_UNSENT = (
    # Apart from `conversations`, in which one that has no exchange yet is not.
    """CREATE TABLE unsent (
        number INTEGER PRIMARY KEY, conversation TEXT NOT NULL UNIQUE, text TEXT NOT NULL, owner TEXT NOT NULL)""",
    """CREATE TRIGGER unsent_deleted AFTER DELETE ON conversations BEGIN
        DELETE FROM unsent WHERE conversation = old.id; END""",
)

_RECOMPUTED: Migration = (
    *(f"ALTER TABLE runs RENAME COLUMN {each}_reread TO {each}_recomputed" for each in ("small", "large")),
    # Of runs from before `_OWNERS`. It writes all columns of `RunCost`: a migration that adds one takes this line over.
    lambda connection: fill_in(connection, "events = 0"),
)

MIGRATIONS: tuple[Migration, ...] = (_FIRST, _PINS, _COSTS, _SEARCH, _OWNERS, _FILE_HASHES, _UNSENT, _RECOMPUTED)


def migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[Migration]) -> None:
    """Make the migrations that the file has not been through. Raises StoreError for a file of a newer version."""
    version = _version(connection)
    if version > len(migrations):
        raise StoreError(
            f"{path} was written by a newer Baton (version {version}; this one knows {len(migrations)}).",
            "Update Baton, or let it use another data folder.",
        )
    if version == len(migrations):
        return  # no lock is taken, which another program may hold
    with connection:  # commits, or rolls back
        connection.execute("BEGIN IMMEDIATE")
        # Read again under the lock: another program may have migrated the file meanwhile.
        for migration in migrations[_version(connection) :]:
            for change in migration:
                if isinstance(change, str):
                    connection.execute(change)
                else:
                    change(connection)
        connection.execute(f"PRAGMA user_version = {len(migrations)}")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
