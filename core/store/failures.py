"""SQLite's errors in words a person can act on."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import StoreError

_SAID = {
    sqlite3.SQLITE_FULL: ("The disk is full, so {name} cannot be saved.", "Free some space; nothing is lost so far."),
    sqlite3.SQLITE_IOERR: (
        "The disk did not take what was to be saved in {name}.",
        "Is it full, or was it taken out? Nothing is lost so far.",
    ),
    sqlite3.SQLITE_READONLY: (
        "{path} may not be written to.",
        "Change its permissions, or use another data folder.",
    ),
    sqlite3.SQLITE_CANTOPEN: ("{path} cannot be opened.", "Is its folder there, and may you write to it?"),
    sqlite3.SQLITE_PERM: ("{path} may not be opened.", "Change its permissions, or use another data folder."),
    sqlite3.SQLITE_BUSY: ("Another program keeps {name} locked.", "Wait a moment, or close the other Baton."),
    sqlite3.SQLITE_LOCKED: ("Another program keeps {name} locked.", "Wait a moment, or close the other Baton."),
    sqlite3.SQLITE_CORRUPT: ("{path} is damaged.", "Start Baton again: it sets the file aside and begins a new one."),
    sqlite3.SQLITE_NOTADB: ("{path} is not a database.", "Start Baton again: it sets the file aside."),
}
DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's primary result code, without its extension; -1 if the error is not SQLite's own."""
    code: int = getattr(error, "sqlite_errorcode", -1)
    return code & 0xFF if code >= 0 else -1


def store_error(error: sqlite3.Error, path: Path) -> StoreError:
    what, advice = _SAID.get(primary_code(error), ("{path} cannot be used: {error}.", "Start Baton again."))
    return StoreError(what.format(path=path, name=path.name, error=error), advice)


@contextmanager
def in_words(path: Path) -> Iterator[None]:
    """Raises StoreError for any error of SQLite inside."""
    try:
        yield
    except sqlite3.Error as error:
        raise store_error(error, path) from error
