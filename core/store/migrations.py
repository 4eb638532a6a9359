"""Makes the tables of a new file (`resources/store.sql`), and changes those of a file of an earlier version.

`PRAGMA user_version` tells how many changes a file has been through. Migrations are numbered, append-only, and never
changed once released. A migration must keep older rows readable. All are made in one transaction: one that is killed
changes nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from baton_reasoning.core.errors import StoreError
from baton_reasoning.resources import resource_text

Migration = Sequence[str | Callable[[sqlite3.Connection], object]]
"""Statements, and functions for what SQL cannot do, in order."""

MIGRATIONS: tuple[Migration, ...] = (resource_text("store.sql").split("\n\n"),)
FIRST = 8
"""The version of a file after the first migration. What is in a file of an earlier one, which was never released, is
copied into a new file (`salvage`)."""


def is_outdated(path: Path) -> bool:
    """Tell whether the file is of a version that was never released. Raises sqlite3.Error."""
    if not path.exists():
        return False
    with closing(sqlite3.connect(path)) as connection:
        return 0 < _version(connection) < FIRST


def migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[Migration]) -> None:
    """Make the migrations that the file has not been through. Raises StoreError for a file of a newer version."""
    version, newest = _version(connection), FIRST + len(migrations) - 1
    if version > newest:
        raise StoreError(
            f"{path} was written by a newer Baton (version {version}; this one knows {newest}).",
            "Update Baton, or let it use another data folder.",
        )
    if version == newest:
        return  # no lock is taken, which another program may hold
    with connection:  # commits, or rolls back
        connection.execute("BEGIN IMMEDIATE")
        # Read again under the lock: another program may have migrated the file meanwhile.
        for migration in migrations[max(0, _version(connection) - FIRST + 1) :]:
            for change in migration:
                if isinstance(change, str):
                    connection.execute(change)
                else:
                    change(connection)
        connection.execute(f"PRAGMA user_version = {newest}")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
