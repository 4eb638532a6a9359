"""The table of docs/measurements.md: printed, and written there in place of the figures that were measured."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.bench.rounds import Row

PAGE = Path(__file__).resolve().parents[2] / "docs" / "measurements.md"
HEAD = ("| | what | goal | measured |", "|---|---|---|---|")


def line(row: Row) -> str:
    missed = "; **missed**" if row.is_met is False else ""
    return f"| {row.figure} | {row.what} | {row.goal} | {row.measured}{missed} |"


def write(rows: Iterable[Row], page: Path = PAGE) -> None:
    """Replace the rows of these figures in the page's table, which is the first that begins with `HEAD`."""
    lines = page.read_text(encoding="utf-8").split("\n")
    start = lines.index(HEAD[1]) + 1
    end = next(number for number in range(start, len(lines)) if not lines[number].startswith("|"))
    lines[start:end] = merged(lines[start:end], [*rows])
    page.write_text("\n".join(lines), encoding="utf-8")


def merged(old: Sequence[str], rows: Sequence[Row]) -> list[str]:
    """The lines of a table in the order of their figures, with those of newly measured figures replaced."""
    new = {row.figure for row in rows}
    kept = [each for each in old if figure_of(each) not in new]
    return sorted([*kept, *map(line, rows)], key=lambda each: _number(figure_of(each)))


def figure_of(table_line: str) -> str:
    return table_line.split("|")[1].strip()


def _number(figure: str) -> tuple[int, str]:
    """Sort P11 after P9, and what has no number last."""
    digits = figure.removeprefix("P")
    return (int(digits), "") if digits.isdigit() else (sys.maxsize, figure)
