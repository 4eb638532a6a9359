"""JSON Lines: one object a line."""

from collections.abc import Iterator

from core.batch.reading.formats.json_value import NotJson, parse_json
from core.batch.reading.row import Record, Rejected, within_limits
from core.batch.reading.source import ProblemSource


def read(source: ProblemSource) -> Iterator[Record | Rejected]:
    """A row for each line; a bare string on a line is a problem without further fields."""
    # Not splitlines(): U+2028 and its like are ordinary characters inside JSON strings.
    for number, line in enumerate(source.text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = parse_json(line)
        except NotJson as error:
            yield Rejected(number, str(error))
            continue
        if isinstance(value, str):
            value = {"problem": value}
        if isinstance(value, dict):
            yield within_limits(Record(number, value))
        else:
            yield Rejected(number, "The line is JSON, but not an object with fields.")
