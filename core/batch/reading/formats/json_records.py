"""Reads JSON: an object on each line, or one document that holds the records.

A document is a list of objects, an object that holds one such list, or a single record.
"""

import json
from collections.abc import Iterator

from baton_reasoning.core.batch.reading.record import Record, Rejected, Value, within_limits
from baton_reasoning.core.batch.reading.source import ProblemSource
from baton_reasoning.core.errors import ProblemFileError


class _NotJson(ValueError):
    """Why the text is not usable JSON, as a sentence."""


def read_lines(source: ProblemSource) -> Iterator[Record | Rejected]:
    """Yield a record for each line of JSON Lines."""
    # Not splitlines(): U+2028 and its like are ordinary characters inside JSON strings.
    for number, line in enumerate(source.text.split("\n"), start=1):
        if line.strip():
            try:
                yield _record(number, _parsed(line))
            except _NotJson as error:
                yield Rejected(number, str(error))


def read_document(source: ProblemSource) -> Iterator[Record | Rejected]:
    """Yield a record for each object of a document; its line is its number, since a document has no lines of its own.

    Raises ProblemFileError when the document is broken or holds no list of records.
    """
    try:
        document = _parsed(source.text)
    except _NotJson as error:
        # Many files named .json are JSON Lines.
        if is_json_lines(source.text):
            yield from read_lines(source)
            return
        raise ProblemFileError(f"{source.name} cannot be read. {error}", "Correct the file.") from error
    for number, value in enumerate(_records(document, source), start=1):
        yield _record(number, value)


def is_json_lines(text: str) -> bool:
    """Tell whether the first line alone holds an object, from its first brace to its last."""
    first = text.lstrip().partition("\n")[0].rstrip()
    return first.startswith("{") and first.endswith("}")


def _parsed(text: str) -> Value:
    """Parse strict JSON. Raises _NotJson."""
    try:
        value: Value = json.loads(text)
    except json.JSONDecodeError as error:
        raise _NotJson(f"This is not valid JSON: {error.msg} (column {error.colno}).") from error
    except ValueError as error:
        # An integer with more digits than Python converts.
        raise _NotJson("This JSON holds a number that is too long.") from error
    return value


def _record(number: int, value: Value) -> Record | Rejected:
    """Turn an object into a record; a bare string is a problem without further fields."""
    if isinstance(value, str):
        value = {"problem": value}
    if isinstance(value, dict):
        return within_limits(Record(number, value))
    return Rejected(number, "This is JSON, but not an object with fields.")


def _records(document: Value, source: ProblemSource) -> list[Value]:
    if isinstance(document, list):
        return document
    if isinstance(document, dict):
        holders = [value for value in document.values() if isinstance(value, list) and value]
        holders = [value for value in holders if isinstance(value[0], dict)]
        if len(holders) == 1:
            return holders[0]
        if not holders and any(isinstance(value, str) for value in document.values()):
            return [document]
    raise ProblemFileError(
        f"{source.name} does not hold one list of problems.", "It should be a JSON list of objects, one a problem."
    )
