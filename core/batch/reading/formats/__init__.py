"""Readers of problem files, one module for each format. A record that cannot be read is rejected, the rest is read.

A new format is a new module with a `read(source)` and one line in `READERS`.
"""

from collections.abc import Callable, Iterator, Mapping

from baton_reasoning.core.batch.reading.formats import delimited, json_records, parquet, plain_text, spreadsheet
from baton_reasoning.core.batch.reading.record import Record, Rejected
from baton_reasoning.core.batch.reading.source import ProblemSource

Reader = Callable[[ProblemSource], Iterator[Record | Rejected]]

READERS: Mapping[str, Reader] = {
    ".jsonl": json_records.read_lines,
    ".jsonlines": json_records.read_lines,
    ".ndjson": json_records.read_lines,
    ".json": json_records.read_document,
    ".csv": delimited.read,
    ".tsv": delimited.read,
    ".txt": plain_text.read,
    ".parquet": parquet.read,
    ".xlsx": spreadsheet.read,
}
"""The reader of each file ending, in lower case and without `.gz`."""


def ending_of(text: str) -> str:
    """Tell by its content which ending fits a text without a name: `.jsonl`, `.json`, `.csv` or `.txt`."""
    if text.lstrip().startswith(("{", "[")):
        return ".jsonl" if json_records.is_json_lines(text) else ".json"
    return ".csv" if delimited.is_table(text) else ".txt"
