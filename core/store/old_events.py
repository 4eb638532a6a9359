"""Rewrites events that were stored in schema 1, where tokens in a row by one author were one line of columns."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator
from typing import Any

from baton_reasoning.core.store.event_chunks import json_line
from baton_reasoning.core.thinking.trace_json import Json, upgraded

_DEFAULTS: Json = {
    "logprob": None,
    "alternatives": [],
    "drafted": False,
    "rejected_drafts": 0,
    "entropy": None,
    "ends_step": False,
}
"""Fields of a token that a row leaves out where they have these values; a column was left out if all had them."""
_NEVER_LEFT_OUT = ("at", "id", "text")
_OF_DAMAGE = (zlib.error, ValueError, TypeError, LookupError, RecursionError)


def convert_chunks(connection: sqlite3.Connection) -> None:
    """Rewrite all events, inside a migration. A damaged chunk stays as it is: reading it raises StoreError."""
    for (rowid,) in connection.execute("SELECT rowid FROM event_chunks").fetchall():
        try:
            (chunk,) = connection.execute("SELECT events FROM event_chunks WHERE rowid = ?", (rowid,)).fetchone()
            connection.execute("UPDATE event_chunks SET events = ? WHERE rowid = ?", (converted(chunk), rowid))
        except sqlite3.OperationalError:
            raise  # such as a full disk
        except (sqlite3.DatabaseError, *_OF_DAMAGE):
            pass  # a damaged page or chunk


def converted(chunk: bytes) -> bytes:
    """Return a chunk as it is packed today. Raises an error of `_OF_DAMAGE`."""
    lines = filter(None, zlib.decompress(chunk).split(b"\n"))
    return zlib.compress(b"\n".join(json_line(row) for line in lines for row in _rows(json.loads(line))))


def _rows(line: Any) -> Iterator[Json]:
    if not isinstance(line, dict):
        raise TypeError("A line of this chunk is no event.")
    if line.get("event") != "tokens":
        yield upgraded(line)
        return
    columns = {name: line[name] for name in (*_NEVER_LEFT_OUT, *_DEFAULTS) if line.get(name)}
    row = {"event": "token", "author": line["author"]}
    for values in zip(*columns.values(), strict=True):
        token = zip(columns, values, strict=True)
        yield row | {name: value for name, value in token if name in _NEVER_LEFT_OUT or value != _DEFAULTS[name]}
