"""Results as files: one row a job as CSV (safe in a spreadsheet) or JSON lines, and the report.

A new kind of file is a function and a line in `EXPORTS`.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from core.batch.charts import accuracy_against_speed, scatter_chart
from core.batch.report import report_of
from core.batch.report_html import html_report
from core.batch.report_text import markdown_report, report_to_json
from core.errors import StoreError
from core.store.store import Store

HEADER = (
    "id",
    "problem",
    "arm",
    "seed",
    "answer",
    "expected",
    "outcome",
    "reason",
    "error",
    "large_share",
    "small_tokens",
    "large_tokens",
    "handoffs",
    "steps",
    "seconds",
    "money",
    "currency",
    "remote_tokens",
    "finish",
    "source",
    "line",
)


def export_csv(store: Store, batch: str, path: Path) -> None:
    write_csv(path, HEADER, (list(record.values()) for record in _records(store, batch)))


def export_jsonl(store: Store, batch: str, path: Path) -> None:
    """With the metadata of the problems, which may differ from row to row."""
    metadata = [dict(problem.metadata) for problem in store.batches.problems(batch)]
    positions = [row.position for row in store.batches.results(batch)]
    with path.open("w", encoding="utf-8") as file:
        for record, position in zip(_records(store, batch), positions, strict=True):
            file.write(json.dumps(record | {"metadata": metadata[position]}, ensure_ascii=False) + "\n")


def export_html(store: Store, batch: str, path: Path) -> None:
    path.write_text(html_report(report_of(store, batch)), encoding="utf-8")


def export_markdown(store: Store, batch: str, path: Path) -> None:
    path.write_text(markdown_report(report_of(store, batch)), encoding="utf-8")


def export_json(store: Store, batch: str, path: Path) -> None:
    path.write_text(json.dumps(report_to_json(report_of(store, batch)), indent=1, ensure_ascii=False), encoding="utf-8")


def export_svg(store: Store, batch: str, path: Path) -> None:
    path.write_text(scatter_chart(accuracy_against_speed(report_of(store, batch))), encoding="utf-8")


EXPORTS: dict[str, Callable[[Store, str, Path], None]] = {
    ".csv": export_csv,
    ".jsonl": export_jsonl,
    ".html": export_html,
    ".md": export_markdown,
    ".json": export_json,
    ".svg": export_svg,
}


def export(store: Store, batch: str, path: Path) -> None:
    """Write the kind of file that its ending names. Raises StoreError."""
    kind = EXPORTS.get(path.suffix.lower())
    if kind is None:
        raise StoreError(f"{path.name} is no kind of file that can be written.", f"Use one of {', '.join(EXPORTS)}.")
    try:
        kind(store, batch, path)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror or error}.", "Choose another place.") from error


def _records(store: Store, batch: str) -> Iterator[dict[str, Any | Cell]]:
    problems = list(store.batches.problems(batch))
    for row in store.batches.results(batch):
        problem = problems[row.position]
        values = (
            problem.id,
            problem.text,
            row.arm,
            row.seed,
            row.answer,
            problem.expected,
            row.verdict.outcome.value if row.verdict else row.state.value if not row.error else "error",
            row.verdict.reason if row.verdict else "",
            row.error,
            round(row.figures.large_share, 4),
            row.figures.small_tokens,
            row.figures.large_tokens,
            row.figures.handoffs,
            row.figures.steps,
            round(row.figures.seconds, 3),
            row.figures.money,
            row.figures.currency,
            row.figures.remote_tokens,
            row.finish.value if row.finish else "",
            problem.source,
            problem.source_line,
        )
        yield dict(zip(HEADER, values, strict=True))


Cell = str | int | float | bool | None

# The full-width forms count as operators in some East Asian versions of Excel.
_STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def safe_cell(cell: Cell) -> Cell:
    """The cell, or for text that a spreadsheet could run, the same text after an apostrophe."""
    if isinstance(cell, str) and cell.startswith(_STARTS_A_FORMULA) and not _is_number(cell):
        return f"'{cell}"
    return cell


def safe_row(cells: Iterable[Cell]) -> list[Cell]:
    """Every cell made safe."""
    return [safe_cell(cell) for cell in cells]


def write_rows(file: TextIO, header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Write header and rows as CSV, safely, to a file that was opened with `newline=""`."""
    writer = csv.writer(file)
    writer.writerow(safe_row(header))
    for row in rows:
        writer.writerow(safe_row(row))


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Write a CSV file, safely; its byte order mark makes Excel read it as UTF-8. Raises OSError."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        write_rows(file, header, rows)


def _is_number(text: str) -> bool:
    """Whether it is a plain signed number. Not `float()` alone, which strips line breaks and takes `-inf`."""
    if text != text.strip() or not text.isascii() or not set(text) <= set("+-.0123456789eE"):
        return False
    try:
        float(text)
    except ValueError:
        return False
    return True
