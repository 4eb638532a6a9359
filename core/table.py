"""A table as data: made once, and shown by the terminal, HTML pages, Markdown and the window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

NOTHING = "–"
"""The cell of a value that there is not."""


class Column(NamedTuple):
    title: str
    unit: str = ""
    is_number: bool = True
    """Aligned to the right."""

    @property
    def heading(self) -> str:
        return f"{self.title} ({self.unit})" if self.unit else self.title


class Table(NamedTuple):
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    """Sentences that a reader of the table has to know, and acts on."""

    @property
    def headings(self) -> tuple[str, ...]:
        return tuple(column.heading for column in self.columns)

    def without_empty(self) -> Table:
        """Leave out each column after the first in which no row has a value."""
        if not self.rows:
            return self
        kept = [
            index
            for index, cells in enumerate(zip(*self.rows, strict=True))
            if not index or any(cell not in ("", NOTHING) for cell in cells)
        ]
        rows = tuple(tuple(row[index] for index in kept) for row in self.rows)
        return self._replace(columns=tuple(self.columns[index] for index in kept), rows=rows)

    def as_text(self, width: int = 0) -> str:
        """Return a line for each row, heading first.

        Columns that do not fit into `width` characters follow in a block of their own, which repeats the first column;
        0 is no limit.
        """
        first, *others = (
            _aligned(column, cells)
            for column, cells in zip(self.columns, zip(self.headings, *self.rows, strict=True), strict=True)
        )
        blocks = [first]
        for cells in others:
            is_too_wide = len(blocks[-1][0]) + 2 + len(cells[0]) > width > 0
            if is_too_wide and blocks[-1] is not first:
                blocks.append(first)
            blocks[-1] = [f"{line}  {cell}" for line, cell in zip(blocks[-1], cells, strict=True)]
        return "\n\n".join("\n".join(line.rstrip() for line in lines) for lines in blocks)

    def as_markdown(self) -> str:
        """Return a table of GitHub's Markdown."""
        marks = ["---:" if column.is_number else "---" for column in self.columns]
        lines = (self.headings, marks, *self.rows)
        return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _aligned(column: Column, cells: Sequence[str]) -> list[str]:
    width = max(map(len, cells))
    return [cell.rjust(width) if column.is_number else cell.ljust(width) for cell in cells]
