"""The metrics of a run, stored beside its events so that lists and tables need not read them."""

from __future__ import annotations

import json
import sqlite3
from functools import reduce
from typing import NamedTuple

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.usage import Usage
from baton_reasoning.core.store.outline import Segment, ribbon_of
from baton_reasoning.core.thinking.trace import Trace


class RunMetrics(NamedTuple):
    """All 0 until something is written."""

    seconds: float = 0.0
    small_tokens: int = 0
    """Kept tokens, as `large_tokens`."""
    large_tokens: int = 0
    handoffs: int = 0
    steps: int = 0
    ribbon: tuple[Segment, ...] = ()
    money: float = 0.0
    """What servers charge for it, in `currency`; 0 if no prices are known."""
    currency: str = ""
    remote_tokens: int = 0
    """Tokens read and written by servers, discarded ones included."""

    @classmethod
    def of(cls, trace: Trace) -> RunMetrics:
        usage = reduce(Usage.plus, trace.usage.values(), Usage())
        return cls(
            trace.seconds,
            trace.totals[Author.SMALL].kept,
            trace.totals[Author.LARGE].kept,
            trace.handoffs,
            len(trace.steps),
            ribbon_of(trace),
            usage.money,
            usage.currency,
            usage.cost.read + usage.cost.written,
        )

    @classmethod
    def of_row(cls, row: sqlite3.Row) -> RunMetrics:
        """Read the metrics from a row with the columns of `runs`, which are all NULL if there is no run yet."""
        if row["ribbon"] is None:
            return cls()
        ribbon = tuple(Segment(Author(author), tokens) for author, tokens in json.loads(row["ribbon"]))
        return cls(**({column: row[column] for column in cls._fields} | {"ribbon": ribbon}))

    def columns(self) -> dict[str, float | int | str]:
        """Return the values for SQLite."""
        ribbon = json.dumps([(segment.author.value, segment.tokens) for segment in self.ribbon])
        return self._asdict() | {"ribbon": ribbon}

    @property
    def tokens(self) -> int:
        return self.small_tokens + self.large_tokens

    @property
    def large_share(self) -> float:
        """Kept tokens of the large model over those of both, 0 to 1."""
        return self.large_tokens / max(1, self.tokens)
