"""A record of a problem file, or the reason why it was rejected."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from baton_reasoning.core.batch.reading.source import FIELD_LIMIT

Value = str | int | float | bool | None | list["Value"] | dict[str, "Value"]
"""A JSON value; delimited files give strings only."""


@dataclass(frozen=True)
class Record:
    """The fields of a record, and the line on which it starts, counted from 1."""

    line: int
    fields: Mapping[str, Value]


@dataclass(frozen=True)
class Rejected:
    """A record that was left out: its line (0 for the whole file), and the reason as a sentence."""

    line: int
    reason: str
    source: str = ""
    """The file's name, which `read_problems` fills in."""


def is_missing(value: Value) -> bool:
    """Tell whether it is null, or not a number (NaN), which pandas writes for a missing value."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def within_limits(row: Record) -> Record | Rejected:
    """Return the record, or its rejection if a field exceeds `FIELD_LIMIT`."""
    for name, value in row.fields.items():
        if isinstance(value, str) and len(value) > FIELD_LIMIT:
            return Rejected(
                row.line,
                f"The field “{name[:40]}” has {len(value):,} characters; {FIELD_LIMIT:,} are the limit.",
            )
    return row
