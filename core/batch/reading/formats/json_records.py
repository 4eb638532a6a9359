"""Reads JSON: an object on each line, or one document that holds the records.

A document is a list of objects, an object that holds such a list or splits of them, or an object of columns.
"""

import json
import re
from collections.abc import Iterator

from baton_reasoning.core.batch.reading.columns import is_known_name
from baton_reasoning.core.batch.reading.record import Record, Rejected, Value, within_limits
from baton_reasoning.core.batch.reading.source import ProblemSource
from baton_reasoning.core.errors import ProblemFileError

DEPTH_LIMIT = 64
"""Deepest nesting of lists and objects; Python's parser would end in a RecursionError near 1,000."""
_SPLITS = ("test", "validation", "valid", "dev", "eval", "train")
"""The split to read where a document holds several, in this order."""


# The closing quote is optional, so that an unclosed string is passed once and not tried from each of its quotes.
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)


class NotJson(ValueError):
    """Why the text is not usable JSON, as a sentence."""


def read_lines(source: ProblemSource) -> Iterator[Record | Rejected]:
    """Yield a record for each line of JSON Lines."""
    # Not splitlines(): U+2028 and its like are ordinary characters inside JSON strings.
    for number, line in enumerate(source.text.split("\n"), start=1):
        if line.strip():
            try:
                yield _record(number, parse_json(line))
            except NotJson as error:
                yield Rejected(number, str(error))


def read_document(source: ProblemSource) -> Iterator[Record | Rejected]:
    """Yield a record for each object of a document; its line is its number, since a document has no lines of its own.

    Raises ProblemFileError when the document is broken or holds no list of records.
    """
    try:
        document = parse_json(source.text)
    except NotJson as error:
        # Many files named .json are JSON Lines: their first line is a complete object.
        if _is_json_lines(source.text):
            yield from read_lines(source)
            return
        raise ProblemFileError(f"{source.name} cannot be read. {error}", "Correct the file.") from error
    for number, value in enumerate(_records(document, source), start=1):
        yield _record(number, value)


def parse_json(text: str) -> Value:
    """Parse strict JSON; its depth is checked before the parser runs. Raises NotJson."""
    if _depth(text) > DEPTH_LIMIT:
        raise NotJson(f"Its JSON is nested deeper than {DEPTH_LIMIT} levels.")
    try:
        value: Value = json.loads(text)
    except json.JSONDecodeError as error:
        raise NotJson(f"This is not valid JSON: {error.msg} (column {error.colno}).") from error
    except ValueError as error:
        # An integer with more digits than Python converts.
        raise NotJson("This JSON holds a number that is too long.") from error
    return value


def _depth(text: str) -> int:
    depth = deepest = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        character = match.group()
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


def _record(number: int, value: Value) -> Record | Rejected:
    """Turn an object into a record; a bare string is a problem without further fields."""
    if isinstance(value, str):
        value = {"problem": value}
    if isinstance(value, dict):
        return within_limits(Record(number, value))
    return Rejected(number, "This is JSON, but not an object with fields.")


def _is_json_lines(text: str) -> bool:
    first = text.lstrip().split("\n", 1)[0]
    try:
        return isinstance(parse_json(first), dict)
    except NotJson:
        return False


def _records(document: Value, source: ProblemSource) -> list[Value]:
    if isinstance(document, list):
        return document
    if isinstance(document, dict):
        lists = {key: value for key, value in document.items() if isinstance(value, list)}
        lengths = {len(value) for value in lists.values()}
        holders = {key: value for key, value in lists.items() if value and isinstance(value[0], dict)}
        if len(lists) == len(document) > 1 and len(lengths) == 1 and len(holders) < len(lists):
            return [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]
        if len(holders) == 1:
            return next(iter(holders.values()))
        if chosen := next((split for split in _SPLITS if split in holders), None):
            others = ", ".join(f"“{key}”" for key in holders if key != chosen)
            source.remarks.append(f"{source.label}: only the split “{chosen}” was read, not {others}.")
            return holders[chosen]
        if not holders and (splits := _splits_inside(document)):
            return _records(splits, source)
        if not holders and any(isinstance(value, str) for value in document.values()):
            return [document]
    raise ProblemFileError(
        f"{source.name} holds no list of problems.", "It should be a JSON list of objects, one a problem."
    )


def _splits_inside(document: dict[str, Value]) -> dict[str, Value] | None:
    """Return the only object inside the document if it holds lists of objects: `{"data": {"test": […]}}`.

    A document with a text field of a known name is a single problem instead.
    """
    inside = [value for value in document.values() if isinstance(value, dict)]
    if len(inside) != 1 or any(is_known_name(name) and isinstance(value, str) for name, value in document.items()):
        return None
    lists = inside[0].values()
    return (
        inside[0]
        if lists and all(isinstance(each, list) and each and isinstance(each[0], dict) for each in lists)
        else None
    )
