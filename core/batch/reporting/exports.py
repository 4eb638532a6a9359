"""Writes the results as CSV (safe in a spreadsheet) or JSON lines, and the report as HTML, Markdown or JSON.

A new kind of file is a function and a line in `EXPORTS`.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from baton_reasoning.core.batch.reporting.failures import analyse
from baton_reasoning.core.batch.reporting.page import html_report
from baton_reasoning.core.batch.reporting.results import Results
from baton_reasoning.core.batch.reporting.tables import markdown_report
from baton_reasoning.core.errors import StoreError
from baton_reasoning.core.files import make_private
from baton_reasoning.core.store.store import Store

HEADER = (
    *("id", "problem", "arm", "seed", "answer", "expected", "outcome", "graded_by", "reason", "error", "notices"),
    *("large_share", "small_tokens", "large_tokens", "discarded_tokens", "small_read", "large_read", "small_reread"),
    *(
        "large_reread",
        "small_decoded",
        "large_decoded",
        "handoffs",
        "steps",
        "large_steps",
        "seconds",
        "seconds_to_answer",
        "started",
    ),
    *("money", "currency", "remote_tokens", "finish", "source", "line", "note"),
)


def export_csv(results: Results, path: Path) -> None:
    """Write a row for each job, without the texts, which results.jsonl has."""
    write_csv(path, HEADER, _csv_rows(results))


def export_jsonl(results: Results, path: Path) -> None:
    """Write an `ExportedResult` a line (docs/batch.md)."""
    with path.open("w", encoding="utf-8", errors="replace") as file:
        for result in results.exported():
            file.write(result.model_dump_json(by_alias=True) + "\n")


def export_html(results: Results, path: Path) -> None:
    _write(path, html_report(results.report, analyse(results.store, results.batch.id)))


def export_markdown(results: Results, path: Path) -> None:
    _write(path, markdown_report(results.report))


def export_json(results: Results, path: Path) -> None:
    """Write the `Report` (docs/batch.md)."""
    data = results.report.model_dump(mode="json", by_alias=True)
    _write(path, json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False))


EXPORTS: dict[str, Callable[[Results, Path], None]] = {
    ".csv": export_csv,
    ".jsonl": export_jsonl,
    ".html": export_html,
    ".md": export_markdown,
    ".json": export_json,
}


def export(store: Store, batch: str, path: Path) -> None:
    """Write the kind of file that the path's ending names. Raises StoreError."""
    write_export(Results.read(store, batch), path)


def write_export(results: Results, path: Path) -> None:
    """Write the kind of file that the path's ending names, readable by its owner alone. Raises StoreError."""
    kind = EXPORTS.get(path.suffix.lower())
    if kind is None:
        raise StoreError(f"{path.name} is no kind of file that can be written.", f"Use one of {', '.join(EXPORTS)}.")
    try:
        make_private(path)
        kind(results, path)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror or error}.", "Choose another place.") from error


def _write(path: Path, text: str) -> None:
    """As UTF-8; a lone surrogate, which models do write, becomes a question mark."""
    path.write_text(text, encoding="utf-8", errors="replace")


def _csv_rows(results: Results) -> Iterator[Sequence[Cell]]:
    for result in results.exported(with_text=False):
        fields = result.model_dump(mode="json", include=set(HEADER))
        yield [" ".join(cell) if isinstance(cell := fields[name], list) else cell for name in HEADER]


Cell = str | int | float | bool | None

# The full-width forms count as operators in some East Asian versions of Excel; blanks and invisible marks may
# be dropped by the program that reads the cell. Where the decimal sign is a comma, Excel begins another cell after each
# semicolon.
_UNSEEN = r"[\s\0-\x1f\xad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]*"
_FORMULA = re.compile(rf"{_UNSEEN}[=+\-@＝＋－＠]|[\t\r\n]")
_LATER_FORMULA = re.compile(rf"(?<=;)(?={_UNSEEN}(?:[=@＝＠]|[+\-＋－][^;]*[^\W\d_]))")
"""A sum of numbers, as in `(1;-2)`, runs nothing; a formula that runs something has a letter."""


def safe_cell(cell: Cell) -> Cell:
    """Put an apostrophe before each place in the cell where a spreadsheet could begin to run a formula."""
    if not isinstance(cell, str) or _is_number(cell):
        return cell
    cell = _LATER_FORMULA.sub("'", cell)
    return f"'{cell}" if _FORMULA.match(cell) else cell


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Write a CSV file, safely; its byte order mark makes Excel read it as UTF-8. Raises OSError."""
    with path.open("w", encoding="utf-8-sig", errors="replace", newline="") as file:
        csv.writer(file).writerows(map(safe_cell, row) for row in chain([header], rows))


def _is_number(text: str) -> bool:
    """Tell whether it is a plain signed number. Not `float()` alone, which strips line breaks and takes `-inf`."""
    if text != text.strip() or not text.isascii() or not set(text) <= set("+-.0123456789eE"):
        return False
    try:
        float(text)
    except ValueError:
        return False
    return True
