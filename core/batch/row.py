"""What a reader gives for each record: its fields, or the reason why it cannot be used."""

from collections.abc import Mapping
from dataclasses import dataclass

from core.batch.source import FIELD_LIMIT

Value = str | int | float | bool | None | list["Value"] | dict[str, "Value"]
"""What JSON can say; delimited files only ever give strings."""


@dataclass(frozen=True)
class Record:
    """One record and the line on which it starts, counted from 1."""

    line: int
    fields: Mapping[str, Value]


@dataclass(frozen=True)
class Rejected:
    """A record that was left out: where it starts (0 is the file itself) and why, as a sentence."""

    line: int
    reason: str
    source: str = ""
    """The file's name; readers leave it to `read_problems`."""


def within_limits(row: Record) -> Record | Rejected:
    """The row, or its rejection when one of its fields is too long to be meant."""
    for name, value in row.fields.items():
        if isinstance(value, str) and len(value) > FIELD_LIMIT:
            return Rejected(
                row.line,
                f"The field “{name[:40]}” has {len(value):,} characters; {FIELD_LIMIT:,} are the limit.",
            )
    return row
