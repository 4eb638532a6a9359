"""Checks whether the database file is damaged, and describes SQLite's errors.

A damaged file is renamed: it is never deleted, and never written to again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

from baton_reasoning.core.errors import StoreError

_STEPS_BETWEEN_CALLS = 20_000
_MOST_CALLS = 100
"""Together about a quarter of a second: a large file is checked in part, so that the program still starts at once."""

UNREADABLE = (sqlite3.Error, ValueError, KeyError)
"""The errors that reading from a damaged file raises: SQLite's own, UnicodeDecodeError, and JSON or an enum value that
does not parse."""


def is_damaged(path: Path) -> bool:
    """Tell whether SQLite finds a fault within a quarter of a second. Raises StoreError if it cannot open the file."""
    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(path, timeout=5)) as connection:
            calls = iter(range(_MOST_CALLS))
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            connection.set_progress_handler(lambda: next(calls, None) is None, _STEPS_BETWEEN_CALLS)
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok")
    except UnicodeDecodeError:  # SQLite quoted a damaged schema in its error message
        return True
    except sqlite3.Error as error:
        if primary_code(error) == sqlite3.SQLITE_INTERRUPT:
            return False
        # SQLITE_ERROR: a header or schema that SQLite does not understand ("unsupported file format").
        if primary_code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR):
            return True
        raise store_error(error, path) from error


def is_foreign(path: Path) -> bool:
    """Tell whether the file is there and is not ours: it is no database, or has tables of another program alone."""
    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(path, timeout=5)) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    except (sqlite3.Error, UnicodeDecodeError):
        return True
    return bool(tables) and "batches" not in tables


def set_aside(path: Path, fault: str) -> Path:
    """Rename the file and its journals for what is wrong with it; returns its new path. Raises StoreError."""
    stamp = datetime.now().strftime("%Y-%m-%d-%H%M%S-%f")
    aside = path.with_stem(f"{path.stem}-{fault}-{stamp}")
    try:
        # The journal first: a new file must never meet the journal of the old one.
        for suffix in ("-wal", "-shm", ""):
            part = path.with_name(path.name + suffix)
            if part.exists():
                part.rename(aside.with_name(aside.name + suffix))
    except OSError as error:
        raise StoreError(
            f"{path} is {fault} and cannot be renamed: {error.strerror}.",
            "Close every other program that has it open, then start Baton again.",
        ) from error
    return aside


_DESCRIPTIONS = {
    sqlite3.SQLITE_FULL: ("The disk is full, so {name} cannot be saved.", "Free some space."),
    sqlite3.SQLITE_IOERR: ("The disk did not accept a write to {name}.", "Check whether it is full or was removed."),
    sqlite3.SQLITE_READONLY: ("{path} may not be written to.", "Change its permissions, or use another data folder."),
    sqlite3.SQLITE_CANTOPEN: ("{path} cannot be opened.", "Check that its folder exists and that you may write to it."),
    sqlite3.SQLITE_PERM: ("{path} may not be opened.", "Change its permissions, or use another data folder."),
    sqlite3.SQLITE_BUSY: ("Another program keeps {name} locked.", "Wait a moment, or close the other Baton."),
    sqlite3.SQLITE_CORRUPT: ("{path} is damaged.", "Close every Baton, then start one: it saves what can be read."),
    sqlite3.SQLITE_NOTADB: ("{path} is not a database.", "Start Baton again: it sets the file aside."),
}


def primary_code(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code; -1 if the error is not SQLite's own."""
    code: int = getattr(error, "sqlite_errorcode", -1)
    return code & 0xFF if code >= 0 else -1


def is_of_the_file(error: Exception) -> bool:
    """Tell whether the disk, the file or another program refused a change, so that it may be accepted later.

    The other classes (PEP 249) mean that SQLite cannot take the values themselves.
    """
    of_the_values = sqlite3.DataError | sqlite3.IntegrityError | sqlite3.InterfaceError | sqlite3.ProgrammingError
    return isinstance(error, sqlite3.Error) and not isinstance(error, of_the_values)


def store_error(error: Exception, path: Path) -> StoreError:
    """Describe one of the `UNREADABLE` errors."""
    if not isinstance(error, sqlite3.Error):
        return StoreError(f"{path.name} holds a value that cannot be read.", "Everything else in it is still there.")
    default = ("{path} cannot be used: {error}.", "Start Baton again.")
    message, advice = _DESCRIPTIONS.get(primary_code(error), default)
    return StoreError(message.format(path=path, name=path.name, error=error), advice)


@contextmanager
def reported_as_store_error(path: Path) -> Iterator[None]:
    """Raise StoreError for any of the `UNREADABLE` errors inside."""
    try:
        yield
    except UNREADABLE as error:
        raise store_error(error, path) from error
