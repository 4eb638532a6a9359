"""One JSON document: a list of objects, an object that holds such a list or splits of them, or an object of columns."""

from collections.abc import Iterator

from core.batch.reading.columns import is_known_name
from core.batch.reading.formats import json_lines
from core.batch.reading.formats.json_value import NotJson, parse_json
from core.batch.reading.row import Record, Rejected, Value, within_limits
from core.batch.reading.source import ProblemSource
from core.errors import ProblemFileError

_SPLITS = ("test", "validation", "valid", "dev", "eval", "train")
"""The split to read where a document holds several, in this order."""


def read(source: ProblemSource) -> Iterator[Record | Rejected]:
    """A row for each object; lines are the records' numbers, since a document has no lines of its own.

    Raises ProblemFileError when the document is broken or holds no list of records.
    """
    try:
        document = parse_json(source.text)
    except NotJson as error:
        # Many files named .json are JSON Lines: their first line is a complete object.
        if _is_json_lines(source.text):
            yield from json_lines.read(source)
            return
        raise ProblemFileError(f"{source.name} cannot be read. {error}", "Correct the file.") from error
    for number, record in enumerate(_records(document, source), start=1):
        if isinstance(record, str):
            record = {"problem": record}
        if isinstance(record, dict):
            yield within_limits(Record(number, record))
        else:
            yield Rejected(number, "The record is not an object with fields.")


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
    """What the only object inside the document holds, if that is lists of objects: `{"data": {"test": […]}}`.

    The document of a single problem has a text that is known as one.
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
