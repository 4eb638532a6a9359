"""One JSON document: a list of objects, an object that holds such a list, or an object of columns."""

from collections.abc import Iterator

from core.batch.readers import json_lines
from core.batch.readers.json_value import NotJson, parse_json
from core.batch.row import Record, Rejected, Value, within_limits
from core.batch.source import ProblemSource
from core.errors import ProblemFileError


def read(source: ProblemSource) -> Iterator[Record | Rejected]:
    """A row for each object; lines are the records' numbers, since a document has no lines of its own.

    Raises ProblemFileError when the document is broken or holds no list of records.
    """
    try:
        document = parse_json(source.text)
    except NotJson as error:
        # Many files called .json are JSON Lines in truth: their first line is a whole object.
        if _is_json_lines(source.text):
            yield from json_lines.read(source)
            return
        raise ProblemFileError(f"{source.name} cannot be read. {error}", "Correct the file.") from error
    for number, record in enumerate(_records(document, source.name), start=1):
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


def _records(document: Value, name: str) -> list[Value]:
    if isinstance(document, list):
        return document
    if isinstance(document, dict):
        lists = {key: value for key, value in document.items() if isinstance(value, list)}
        lengths = {len(value) for value in lists.values()}
        if len(lists) == len(document) > 1 and len(lengths) == 1:
            return [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]
        holders = [value for value in lists.values() if value and isinstance(value[0], dict)]
        if len(holders) == 1:
            return holders[0]
        if not holders and any(isinstance(value, str) for value in document.values()):
            return [document]
    raise ProblemFileError(f"{name} holds no list of problems.", "It should be a JSON list of objects, one a problem.")
