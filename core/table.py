"""Defines tables as data, with plain text and Markdown; terminal, HTML pages and window show them in their way."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

NOTHING = "–"
"""The text of a cell without a value."""


class Column(NamedTuple):
    title: str
    is_number: bool = True
    """Numbers are aligned to the right."""


def columns_of(titles: Iterable[str]) -> tuple[Column, ...]:
    """Return columns of which all but the first hold numbers."""
    return tuple(Column(title, is_number=number > 0) for number, title in enumerate(titles))


class Table(NamedTuple):
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    """Sentences below the table that a reader needs to understand it."""

    @property
    def headings(self) -> tuple[str, ...]:
        return tuple(column.title for column in self.columns)

    def without_empty(self) -> Table:
        """Leave out columns without a value, except for the first."""
        if not self.rows:
            return self
        kept = [
            index
            for index, cells in enumerate(zip(*self.rows, strict=True))
            if not index or any(cell not in ("", NOTHING) for cell in cells)
        ]
        rows = tuple(tuple(row[index] for index in kept) for row in self.rows)
        return self._replace(columns=tuple(self.columns[index] for index in kept), rows=rows)

    def as_text(self) -> str:
        """Return aligned plain text, a line for each row."""
        columns = []
        for column, *cells in zip(self.columns, *self._lines(), strict=True):
            width = max(map(len, cells))
            columns.append([cell.rjust(width) if column.is_number else cell.ljust(width) for cell in cells])
        return "\n".join("  ".join(cells).rstrip() for cells in zip(*columns, strict=True))

    def as_markdown(self) -> str:
        """Return a table in GitHub Flavored Markdown."""
        titles, *rows = ([cell.replace("|", r"\|") for cell in line] for line in self._lines())
        marks = ["---:" if column.is_number else "---" for column in self.columns]
        return "\n".join(f"| {' | '.join(line)} |" for line in (titles, marks, *rows))

    def _lines(self) -> list[list[str]]:
        """Return the titles, then the cells of each row, without line breaks."""
        return [[" ".join(cell.split()) for cell in line] for line in (self.headings, *self.rows)]
