"""What a search of conversations looks through: problem, answer and reasoning of each exchange, in an FTS5 table."""

from __future__ import annotations

import sqlite3

from baton_reasoning.core.store.run_cost import read_trace
from baton_reasoning.core.text import replace_lone_surrogates
from baton_reasoning.core.thinking.trace import Trace


def save_text(connection: sqlite3.Connection, run: str, trace: Trace) -> None:
    """Save what was written, edited steps included, for searches; nothing for a run that is no exchange."""
    connection.execute(
        """UPDATE exchange_text SET answer = ?, reasoning = ?
            WHERE rowid = (SELECT number FROM exchanges WHERE id = ?)""",
        (replace_lone_surrogates(trace.answer.strip()), replace_lone_surrogates(trace.thinking_text.strip()), run),
    )


def fill_texts(connection: sqlite3.Connection) -> None:
    """Save the texts of the answers that have ended; of a damaged one, what can be read."""
    ended = "SELECT runs.id FROM runs JOIN exchanges ON exchanges.id = runs.id WHERE state <> 'running'"
    for row in connection.execute(ended).fetchall():
        trace, _ = read_trace(connection, row["id"])
        save_text(connection, row["id"], trace)
