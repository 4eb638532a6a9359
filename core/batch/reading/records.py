"""Reads the records of a file, whose format follows from its content: JSON, a table, text, Excel or Parquet.

Where the content fits several formats, the file's ending decides.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import TypeGuard

from baton_reasoning.core.batch.reading.columns import CHOICES, is_known_name
from baton_reasoning.core.batch.reading.source import FILE_LIMIT, ProblemSource, Record, Rejected, Value
from baton_reasoning.core.batch.reading.tabular import (
    Sample,
    markdown_rows,
    read_delimited,
    read_markdown_table,
    read_parquet,
    read_workbook,
    tables_in,
)
from baton_reasoning.core.errors import ProblemFileError

Reader = Callable[[ProblemSource], Iterator[Record | Rejected]]

_JSON_LINES = (".jsonl", ".jsonlines", ".ndjson")
ENDINGS = (*_JSON_LINES, ".json", ".csv", ".tsv", ".txt", ".parquet", ".xlsx")
"""The endings of files that can hold problems, in lower case."""

_JSON = re.compile(r'\s*(\{\s*["}]|\[\s*[{"\]])')
# In text: a rule such as --- between problems, or a line with the expected answer after each.
_RULE = re.compile(r"\s*([-=*_])\1{2,}\s*$")
_ANSWER, _ANSWER_OR_A = (
    re.compile(rf"\s*\**(?:{heads})\**\s*(?P<answer>.*)$", re.IGNORECASE)
    for words in [r"(?:(?:correct |expected |final )?answer|expected|ans|antwort)\**\s*[:=]"]
    for heads in (words, rf"{words}|(?-i:A)\**:")
)
_SOLUTION = re.compile(
    r"^\s*\**(?:(?:worked )?solution|explanation|reasoning|lösung(?:sweg)?|rechenweg)\**\s*:\**\s*", re.IGNORECASE
)
_OPTION_B = re.compile(r"\s*\**B\**:")
"""Where a text has such a line, `A:` is an option, too, and no answer."""


def is_readable(name: str) -> bool:
    """Tell whether a file of this name can hold problems."""
    return name.lower().endswith(ENDINGS)


def read_records(source: ProblemSource) -> Iterator[Record | Rejected]:
    """Yield the records, their nested fields flattened; those that cannot be read are rejected.

    Raises ProblemFileError if the file as a whole cannot be read.
    """
    size = 0
    for record in _reader_of(source)(source):
        if isinstance(record, Rejected):
            yield record
            continue
        # A workbook and a Parquet file hold a text once that a thousand rows share.
        if (size := size + sum(len(str(value)) for value in record.fields.values())) > FILE_LIMIT:
            raise ProblemFileError(f"{source.name} unpacks to more than {FILE_LIMIT // 2**20} MiB.", "Split it first.")
        yield Record(record.line, dict(_flattened(record.fields)))


def _reader_of(source: ProblemSource) -> Reader:
    """Detect the format and return its reader. A new format is a function and a line here."""
    suffix, data = source.suffix, source.data
    if suffix == ".parquet" or data.startswith(b"PAR1"):
        return read_parquet
    if suffix == ".xlsx" or (data.startswith(b"PK\x03\x04") and b"xl/workbook.xml" in data):
        return read_workbook
    if _JSON.match(source.text):
        return _read_json
    if suffix in ("", ".txt") and markdown_rows(source.text):
        return read_markdown_table
    sample = Sample.of(source.text)
    if sample.has_header() or suffix in (".csv", ".tsv") or (not suffix and sample.may_be_table()):
        return read_delimited
    return _read_text if suffix in ("", ".txt") else _read_json


def _read_json(source: ProblemSource) -> Iterator[Record | Rejected]:
    """Yield the records of a document, or of JSON Lines: an object on each line.

    A document is a list of objects, an object that holds one such list, or a single record. A record's line is its
    number in it, since a document has no lines of its own.
    """
    is_lines = source.suffix in _JSON_LINES
    first = source.text.lstrip().partition("\n")[0].rstrip()
    starts_with_an_object = first.startswith("{") and first.endswith("}")
    if not (is_lines and starts_with_an_object):
        try:
            document = json.loads(source.text)
        except ValueError as error:
            if not (is_lines or starts_with_an_object):
                raise ProblemFileError(
                    f"{source.name} cannot be read. {_not_json(error)}", "Correct the file."
                ) from error
        else:
            yield from (
                _json_record(number, value) for number, value in enumerate(_records_of(document, source), start=1)
            )
            return
    # Not splitlines(): U+2028 and its like are ordinary characters inside JSON strings.
    for number, line in enumerate(source.text.split("\n"), start=1):
        if line.strip():
            try:
                yield _json_record(number, json.loads(line))
            except ValueError as error:
                yield Rejected(number, _not_json(error))


def _not_json(error: ValueError) -> str:
    """Say why a text is no JSON: it is broken, or has an integer with more digits than Python converts."""
    if isinstance(error, json.JSONDecodeError):
        return f"This is not valid JSON: {error.msg} (column {error.colno})."
    return "This JSON holds a number that is too long."


def _records_of(document: Value, source: ProblemSource) -> list[Value]:
    """Find the list of records in a JSON document; a list with a known column name, such as `messages`, is a field."""
    if isinstance(document, list):
        return document
    if isinstance(document, dict):
        lists = [each for name, each in document.items() if _are_objects(each) and not is_known_name(name)]
        if len(lists) == 1:
            return lists[0]
        if not lists and any(is_known_name(part) for name, _ in _flattened(document) for part in name.split(".")):
            return _rows_of(document) or [document]
    raise ProblemFileError(
        f"{source.name} does not hold one list of problems.", "It should be a JSON list of objects, one a problem."
    )


def _rows_of(document: dict[str, Value]) -> list[Value]:
    """Return the records of a document of columns, as pandas writes it; none of any other document."""
    columns: list[list[Value]] = []
    for column in document.values():
        values = [*column.values()] if isinstance(column, dict) and all(map(str.isdigit, column)) else column
        if not isinstance(values, list) or _are_objects(values):
            return []
        columns.append(values)
    if len(columns) < 2 or len(set(map(len, columns))) > 1:
        return []
    return [dict(zip(document, row, strict=True)) for row in zip(*columns, strict=True)]


def _are_objects(value: Value) -> TypeGuard[list[Value]]:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _json_record(number: int, value: Value) -> Record | Rejected:
    """Convert a JSON object to a record; a string is a problem without other fields."""
    if isinstance(value, str):
        value = {"problem": value}
    if isinstance(value, dict):
        return Record(number, value)
    return Rejected(number, "This is JSON, but not an object with fields.")


def _read_text(source: ProblemSource) -> Iterator[Record | Rejected]:
    """Split the text at rules; without any after each answer; without answers at blank lines; else into lines."""
    text = source.text.strip()
    lines = text.split("\n")
    answer = _ANSWER if any(map(_OPTION_B.match, lines)) else _ANSWER_OR_A
    first = 1 + source.text.partition(text)[0].count("\n")
    ends = sorted({*_ends_of_problems(lines, answer), len(lines) - 1})
    for start, end in pairwise([-1, *ends]):
        yield from _text_record([(first + at, lines[at]) for at in range(start + 1, end + 1)], answer)


def _ends_of_problems(lines: list[str], answer: re.Pattern[str]) -> set[int]:
    """Find the lines after which another problem begins. The answer may stand on the line below its heading."""
    if rules := {at for at, line in enumerate(lines) if _RULE.match(line)}:
        return rules
    if answers := {at: mark for at, line in enumerate(lines) if (mark := answer.match(line))}:
        return {
            at if mark["answer"] or not "".join(lines[at + 1 : at + 2]).strip() else at + 1
            for at, mark in answers.items()
        }
    blank = {at for at, line in enumerate(lines) if not line.strip()}
    return (blank or {*range(len(lines))}) - _inside_problems(lines)


def _inside_problems(lines: list[str]) -> set[int]:
    """Find the lines of tables, which belong to the text before them and, unless it asked already, to that below."""
    found: set[int] = set()
    for table in tables_in(lines):
        before = next((at for at in reversed(range(table.start)) if lines[at].strip()), table.start)
        below = next((at for at in range(table.stop, len(lines)) if lines[at].strip()), len(lines))
        found.update(range(before, table.stop - 1 if lines[before].rstrip().endswith("?") else below))
    return found


def _text_record(block: list[tuple[int, str]], answer: re.Pattern[str]) -> Iterator[Record | Rejected]:
    """Yield the problem of a block of numbered lines, its answer, and its solution, which stands above or below that.

    A solution is no part of the problem: the models would read it.
    """
    written = [(number, line) for number, line in block if line.strip() and not _RULE.match(line)]
    marks = [(place, mark) for place, (_, line) in enumerate(written) if (mark := answer.match(line))]
    if len(marks) > 1:
        yield Rejected(written[0][0], "It has several answers; write a rule such as --- between problems.")
    elif marks and marks[0][0] == 0:
        yield Rejected(written[0][0], "It is an answer without a problem above it.")
    elif written:
        place, mark = marks[0] if marks else (len(written), None)
        solved = next((at for at in range(1, place) if _SOLUTION.match(written[at][1])), place)
        last = written[solved - 1][0]
        fields: dict[str, Value] = {"problem": "\n".join(line for number, line in block if number <= last).strip()}
        solution, below = ([line for _, line in part] for part in (written[solved:place], written[place + 1 :]))
        if mark and (said := [*filter(None, [mark["answer"]]), *below]):
            fields["answer"] = said[0].strip()
            solution += said[1:]
        if solution:
            fields["solution"] = _SOLUTION.sub("", "\n".join(solution), count=1)
        yield Record(written[0][0], fields)


def _flattened(fields: Mapping[str, Value], depth: int = 2) -> Iterator[tuple[str, Value]]:
    """Yield the fields; those of nested objects as `outer.inner`, such as ARC's `question.stem`."""
    for name, value in fields.items():
        if isinstance(value, dict) and depth and not _holds_options(name, value):
            yield from _flattened({f"{name}.{inner}": each for inner, each in value.items()}, depth - 1)
        elif isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
            yield name, value[0]  # OlympiadBench's final_answer
        else:
            yield name, value


def _holds_options(name: str, value: Mapping[str, Value]) -> bool:
    return name.rpartition(".")[2].lower() in CHOICES or isinstance(value.get("text"), list)
