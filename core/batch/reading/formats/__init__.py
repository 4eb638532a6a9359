"""Readers of problem files, one module for each format. A record that cannot be read is rejected, the rest is read.

A new format is a new module with a `read(source)` and one line in `READERS`.
"""

from collections.abc import Callable, Iterator, Mapping

from core.batch.reading.formats import delimited, json_document, json_lines, parquet, plain_text, spreadsheet
from core.batch.reading.row import Record, Rejected
from core.batch.reading.source import ProblemSource

Reader = Callable[[ProblemSource], Iterator[Record | Rejected]]

READERS: Mapping[str, Reader] = {
    ".jsonl": json_lines.read,
    ".jsonlines": json_lines.read,
    ".ndjson": json_lines.read,
    ".json": json_document.read,
    ".csv": delimited.read,
    ".tsv": delimited.read,
    ".txt": plain_text.read_text,
    ".md": plain_text.read_markdown,
    ".parquet": parquet.read,
    ".xlsx": spreadsheet.read,
}
"""The reader of each file ending, in lower case and without `.gz`."""
