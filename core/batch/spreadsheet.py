"""CSV that a spreadsheet shows as it is: what a model wrote must never run as a formula.

A cell that starts like a formula gets an apostrophe in front, as OWASP advises; numbers stay numbers.
"""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TextIO

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
