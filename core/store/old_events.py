"""Reads and rewrites events that were stored in schema 1: tokens in a row by one author were one line of columns."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator
from typing import Any

from baton_reasoning.core.thinking.trace_json import Json, upgraded

DAMAGE = (zlib.error, ValueError, TypeError, LookupError, RecursionError)
"""The errors that a damaged chunk raises."""
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


def convert_chunks(connection: sqlite3.Connection) -> None:
    """Rewrite the events of all runs, inside a migration. What is damaged stays as it is, and reading reports it."""
    for (rowid,) in connection.execute("SELECT rowid FROM event_chunks").fetchall():
        try:
            (chunk,) = connection.execute("SELECT events FROM event_chunks WHERE rowid = ?", (rowid,)).fetchone()
            connection.execute("UPDATE event_chunks SET events = ? WHERE rowid = ?", (_converted(chunk), rowid))
        except sqlite3.OperationalError:
            raise  # such as a full disk
        except (sqlite3.DatabaseError, *DAMAGE):
            pass  # a damaged page, or a damaged chunk


def rows_of(line: Any) -> Iterator[Json]:
    """Yield the events of a stored line as objects of today. Raises an error of `DAMAGE`."""
    if not isinstance(line, dict):
        raise TypeError("The line is no object.")
    if line.get("event") != "tokens":
        yield upgraded(line)
        return
    columns = {name: line[name] for name in (*_NEVER_LEFT_OUT, *_DEFAULTS) if line.get(name)}
    row = {"event": "token", "author": line["author"]}
    for values in zip(*columns.values(), strict=True):
        token = zip(columns, values, strict=True)
        yield row | {name: value for name, value in token if name in _NEVER_LEFT_OUT or value != _DEFAULTS[name]}


def _converted(chunk: bytes) -> bytes:
    lines = filter(None, zlib.decompress(chunk).split(b"\n"))
    rows = (json.dumps(row, separators=(",", ":")) for line in lines for row in rows_of(json.loads(line)))
    return zlib.compress("\n".join(rows).encode("ascii"))
