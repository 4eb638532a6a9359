"""Lists ids in the store without opening it, for completion in a shell: the store takes a second to import."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

_ANSWERS = """
    SELECT id, 'answer', coalesce(nullif(title, ''), (
        SELECT substr(problem, 1, 200) FROM exchanges WHERE conversation = conversations.id ORDER BY number LIMIT 1
        ), ''), changed
    FROM conversations WHERE deleted IS NULL"""
_BATCHES = "SELECT id, 'batch', name, created FROM batches WHERE deleted IS NULL"
_MOST = 100


class RecentId(NamedTuple):
    """A conversation ("answer") or a batch ("batch")."""

    id: str
    kind: str
    name: str


def recent_ids(path: Path) -> list[RecentId]:
    """List the newest conversations and batches; nothing if the file cannot be read or is of another version."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", timeout=0.1, uri=True)) as connection:
            rows = connection.execute(f"{_ANSWERS} UNION ALL {_BATCHES} ORDER BY changed DESC LIMIT {_MOST}")
            return [RecentId(*row[:3]) for row in rows]
    except sqlite3.Error:
        return []
