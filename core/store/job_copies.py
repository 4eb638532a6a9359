"""Copies jobs with their runs from one store into another, for a batch that joins others."""

from __future__ import annotations

import sqlite3
import uuid
from typing import Any, NamedTuple

from baton_reasoning.core.store.batch_rows import Conditions, JobState


class JobCopy(NamedTuple):
    """A job of a store, and as what another store gets it."""

    job: int
    arm: str
    position: int
    """Index of the problem."""
    conditions: Conditions | None


def add_copy(connection: sqlite3.Connection, batch: str, copy: JobCopy, source: sqlite3.Connection) -> None:
    """Copy a job that is done, with its run; one that is not waits with a new run. Inside a transaction."""
    job = dict(source.execute("SELECT * FROM jobs WHERE id = ?", (copy.job,)).fetchone())
    place = {"batch": batch, "arm": copy.arm, "problem": copy.position, "seed": job["seed"]}
    if job["state"] != JobState.DONE.value:
        # A text begun elsewhere is not continued: its random numbers follow from the index of its problem there.
        _insert(connection, "jobs", place | {"run": uuid.uuid4().hex})
        return
    del job["id"]
    conditions = copy.conditions.model_dump_json() if copy.conditions else None
    _insert(connection, "jobs", job | place | {"conditions": conditions})
    for table, column in (("runs", "id"), ("event_chunks", "run"), ("outlines", "run")):
        for row in source.execute(f"SELECT * FROM {table} WHERE {column} = ?", (job["run"],)):
            _insert(connection, table, dict(row))


def _insert(connection: sqlite3.Connection, table: str, values: dict[str, Any]) -> None:
    placeholders = ", ".join(f":{column}" for column in values)
    connection.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({placeholders})", values)
