"""Lists what was deleted and can be restored, and removes it for good after 30 days."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from baton_reasoning.core.conversation import LONGEST_FULL_NAME, title_of
from baton_reasoning.core.store.timestamps import format_timestamp

KEEP_DELETED = timedelta(days=30)
"""How long deleted conversations and batches can be restored."""


class Deleted(NamedTuple):
    """A conversation or a batch that was deleted."""

    id: str
    name: str
    deleted: datetime
    is_batch: bool

    @property
    def days_left(self) -> int:
        """Days, the last one included, until it is removed for good."""
        return max(0, (self.deleted + KEEP_DELETED - datetime.now(UTC)).days) + 1


def read_deleted(connection: sqlite3.Connection) -> list[Deleted]:
    """List what can be restored, the latest deletion first."""
    rows = connection.execute(
        f"""SELECT id, name, '', deleted, 1 FROM batches WHERE deleted > :before
            UNION ALL SELECT id, title, (SELECT substr(problem, 1, {LONGEST_FULL_NAME}) FROM exchanges
                WHERE conversation = conversations.id ORDER BY number LIMIT 1), deleted, 0
                FROM conversations WHERE deleted > :before ORDER BY deleted DESC""",
        {"before": _last_kept()},
    )
    return [
        Deleted(id, title or title_of(problem), datetime.fromisoformat(deleted), bool(is_batch))
        for id, title, problem, deleted, is_batch in rows
    ]


def purge(connection: sqlite3.Connection) -> None:
    """Remove for good what was deleted long enough ago."""
    for table in ("conversations", "batches"):
        connection.execute(f"DELETE FROM {table} WHERE deleted <= ?", (_last_kept(),))


def _last_kept() -> str:
    return format_timestamp(datetime.now(UTC) - KEEP_DELETED)
