"""Saves what follows from the trace of a run, computed once, when the run ends.

Its cost stands in columns of the table `runs`, which reports, exports and the history read; its text in an FTS5 table,
which searches look through. Only who needs more reads its events.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import msgspec

from baton_reasoning.core.analysis.run_cost import RunCost, Segment, Takeover
from baton_reasoning.core.errors import StoreError
from baton_reasoning.core.store.event_chunks import unpack
from baton_reasoning.core.text import replace_lone_surrogates
from baton_reasoning.core.thinking.trace import Trace

LARGEST_INTEGER = 2**63 - 1
"""Of SQLite; a foreign trace may count more."""


COLUMNS = ", ".join(f"runs.{name}" for name in RunCost.model_fields)
_LISTS: dict[str, msgspec.json.Decoder[Any]] = {
    "takeovers": msgspec.json.Decoder(tuple[Takeover, ...]),
    "ribbon": msgspec.json.Decoder(tuple[Segment, ...]),
}
"""The columns that hold lists as JSON."""


def cost_in(row: sqlite3.Row) -> RunCost:
    """Read the cost from a row that ends with `COLUMNS`; they are all NULL where there is no run yet."""
    values = dict(zip(RunCost.model_fields, row[-len(RunCost.model_fields) :], strict=True))
    if values["ribbon"] is None:
        return RunCost()
    return RunCost(**values | {name: decoder.decode(values[name]) for name, decoder in _LISTS.items()})


def read_trace(connection: sqlite3.Connection, run: str) -> tuple[Trace, StoreError | None]:
    """Read a run as far as it is not damaged, and what is wrong with the rest."""
    trace = Trace()
    found = connection.execute("SELECT events, sequence FROM event_chunks WHERE run = ? ORDER BY sequence", (run,))
    with closing(found) as chunks:  # a damaged part leaves it unread, and SQLite would keep the table locked
        try:
            for number, chunk in enumerate(chunks):
                if chunk["sequence"] != number:
                    raise StoreError("A part of this run is lost.", "What came before it is shown.")
                for event in unpack(chunk["events"]):
                    trace.apply(event)
        except StoreError as error:
            return trace, error
    return trace, None


def save_cost(connection: sqlite3.Connection, run: str, trace: Trace, **others: str | None) -> None:
    """Write what follows from the trace into the row of its run, with the values of other columns."""
    cost = dict(RunCost.of(trace))
    columns = {name: min(value, LARGEST_INTEGER) if isinstance(value, int) else value for name, value in cost.items()}
    columns |= {name: msgspec.json.encode(cost[name]).decode() for name in _LISTS}
    columns |= others | {"reviewed": bool(trace.opinion or trace.values)}
    changes = ", ".join(f"{column} = :{column}" for column in columns)
    connection.execute(f"UPDATE runs SET {changes} WHERE id = :run", columns | {"run": run})


def save_text(connection: sqlite3.Connection, run: str, trace: Trace) -> None:
    """Save what was written, edited steps included, for searches; nothing for a run that is no exchange."""
    connection.execute(
        """UPDATE exchange_text SET answer = ?, reasoning = ?
            WHERE rowid = (SELECT number FROM exchanges WHERE id = ?)""",
        (replace_lone_surrogates(trace.answer.strip()), replace_lone_surrogates(trace.thinking_text.strip()), run),
    )


def fill_in(connection: sqlite3.Connection) -> None:
    """Derive anew what follows from the events of all runs; of a damaged one, what can be read, but not its cost.

    What a run costs, and its text, follow when it ends.
    """
    for run, state in connection.execute("SELECT id, state FROM runs").fetchall():
        trace, damage = read_trace(connection, run)
        connection.execute("UPDATE runs SET events = ? WHERE id = ?", (len(trace.events), run))
        if state != "running":
            save_text(connection, run, trace)
            if not damage:
                save_cost(connection, run, trace)
