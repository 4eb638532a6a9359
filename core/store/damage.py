"""Is the file sound? If not, it is set aside under another name: never deleted, never written to again."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

from core.errors import StoreError

_STEPS_BETWEEN_LOOKS = 20_000
_MOST_LOOKS = 100
"""Together about a quarter of a second: a large file is checked in part, so that the program still starts at once."""


def is_damaged(path: Path) -> bool:
    """Whether SQLite finds the file broken in the time there is. Raises StoreError if it cannot be looked at."""
    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(path, timeout=5)) as connection:
            looks = iter(range(_MOST_LOOKS))
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            connection.set_progress_handler(lambda: next(looks, None) is None, _STEPS_BETWEEN_LOOKS)
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok")
    except sqlite3.Error as error:
        if primary_code(error) == sqlite3.SQLITE_INTERRUPT:
            return False
        if primary_code(error) in DAMAGE:
            return True
        raise store_error(error, path) from error


def set_aside(path: Path) -> str:
    """Rename the file, and what SQLite keeps beside it; returns a sentence that says so. Raises StoreError."""
    stamp = datetime.now().strftime("%Y-%m-%d-%H%M%S-%f")
    aside = path.with_stem(f"{path.stem}-damaged-{stamp}")
    try:
        # The journal first: a new file must never meet the journal of the old one.
        for suffix in ("-wal", "-shm", ""):
            part = path.with_name(path.name + suffix)
            if part.exists():
                part.rename(aside.with_name(aside.name + suffix))
    except OSError as error:
        raise StoreError(
            f"{path} is damaged and cannot be set aside: {error.strerror}.", "Rename it, then start Baton again."
        ) from error
    return f"{path.name} was damaged. It was set aside as {aside.name}, and a new one begun."


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
