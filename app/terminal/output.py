"""Print text, tables and progress for people.

All text is made safe here (core/text.py), so that no model, server or file can steer the terminal. Results go to
standard output; progress and remarks go to standard error, and -q leaves them out.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Generic, NamedTuple, TextIO, TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table as Grid
from rich.text import Text

from baton_reasoning.app.terminal.command_line import is_quiet
from baton_reasoning.app.terminal.streams import remark, report, write_json_lines
from baton_reasoning.core.table import Column, Table
from baton_reasoning.core.text import LONGEST_MESSAGE, one_line, safe_text

Row = TypeVar("Row")
LINE_EVERY = 60.0
"""Seconds between two lines of progress where none can update itself."""


class RaisingConsole(Console):
    """A console that raises what a closed pipe raises; rich's own ends the program with exit code 1."""

    def on_broken_pipe(self) -> None:
        raise


def console(stderr: bool = False) -> Console:
    """Return a console for the current stream. Colours follow NO_COLOR, FORCE_COLOR and TERM (https://no-color.org)."""
    return RaisingConsole(stderr=stderr, markup=False, emoji=False, highlight=False, soft_wrap=True)


def is_live(stream: TextIO) -> bool:
    """Return whether text written to the stream can be erased again."""
    return stream.isatty() and not console(stderr=stream is sys.stderr).is_dumb_terminal


def write(text: str = "", style: str | None = None, end: str = "\n") -> None:
    """Write text to standard output without wrapping it."""
    console().out(safe_text(text), style=style, end=end)


class Field(NamedTuple, Generic[Row]):
    """A field of a listing: a key of its JSON objects, a column of its table, or both."""

    key: str
    """In JSON; "" leaves it out there."""
    value: Callable[[Row], Any]
    title: str | None = None
    """Of the column; None leaves it out of the table."""
    shown: Callable[[Any], str] = str
    """Formats the value for the table."""
    is_number: bool = False


def listing(rows: Sequence[Row], fields: Sequence[Field[Row]], json: bool, empty: str) -> None:
    """Write rows to standard output as a table, or as JSON objects, one per line.

    `empty`: the remark in place of a table without rows; JSON has no line then.
    """
    if json:
        write_json_lines(objects_of(rows, fields))
    elif rows:
        shown = [field for field in fields if field.title is not None]
        columns = tuple(Column(field.title or "", is_number=field.is_number) for field in shown)
        write_table(Table("", columns, tuple(tuple(field.shown(field.value(row)) for field in shown) for row in rows)))
    else:
        remark(empty)


def objects_of(rows: Iterable[Row], fields: Sequence[Field[Row]]) -> list[dict[str, Any]]:
    """Return the JSON objects of a listing."""
    return [{field.key: field.value(row) for field in fields if field.key} for row in rows]


def write_table(table: Table) -> None:
    """Write a table to standard output. A terminal wraps its cells; a pipe gets each row on a line."""
    if table.title:
        write(table.title, "bold")
    out = console()
    if not out.is_terminal:
        write(table.as_text())
    else:
        grid = Grid(box=None, pad_edge=False, header_style="bold", show_edge=False)
        for column in table.columns:
            grid.add_column(column.title, justify="right" if column.is_number else "left", overflow="fold")
        for row in table.rows:
            grid.add_row(*(Text(safe_text(cell)) for cell in row))
        out.print(grid, soft_wrap=False)
    for note in table.notes:
        write_paragraph(note)


def write_paragraph(text: str) -> None:
    """Write text to standard output; a terminal wraps it between words."""
    if console().is_terminal:
        console().print(Text(safe_text(text)), soft_wrap=False)
    else:
        write(text)


def write_parts(parts: Iterable[str | Table]) -> None:
    """Write paragraphs and tables to standard output, with an empty line between them."""
    for number, part in enumerate(parts):
        if number:
            write()
        if isinstance(part, Table):
            write_table(part)
        else:
            write_paragraph(part)


def write_figures(text: str) -> None:
    """Write figures about a result to standard error, unless -q was given."""
    if not is_quiet():
        console(stderr=True).out(safe_text(text), style="dim")


class ProgressLine:
    """Shows progress on standard error: a line that updates itself or, in a file or a pipe, a line a minute."""

    def __init__(self, title: str, live: Progress) -> None:
        self._live, self._title = live, title
        self._next = time.monotonic() + LINE_EVERY if not is_live(sys.stderr) else math.inf
        self._task = live.add_task(one_line(title, 60), total=1.0, words="")

    def show(self, fraction: float, words: str = "") -> None:
        """Update the progress. `fraction`: how much is done, from 0 to 1."""
        self._live.update(self._task, completed=fraction, words=one_line(words, 200))
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + LINE_EVERY
            remark(f"{self._title}: {fraction:.0%} · {words}".removesuffix(" · "))

    def remark(self, sentence: str) -> None:
        """Write a line above the progress, unless -q was given."""
        if not is_quiet():
            self.report(sentence)

    def report(self, sentence: str) -> None:
        """Write a line above the progress."""
        if self._live.disable:
            report(sentence)
        else:
            self._live.console.out(f"baton: {one_line(sentence, LONGEST_MESSAGE)}", highlight=False)


@contextmanager
def progress(title: str, json: bool = False) -> Iterator[ProgressLine]:
    """Show progress while the block runs; not if JSON lines go to the same terminal (`json`)."""
    is_shown = not is_quiet() and is_live(sys.stderr) and not (json and sys.stdout.isatty())
    columns = (TextColumn("{task.description}", markup=False), BarColumn(24), TextColumn("{task.percentage:>3.0f}%"))
    words, out = TextColumn("{task.fields[words]}", markup=False), console(stderr=True)
    shown = Progress(*columns, words, console=out, transient=True, redirect_stdout=False, redirect_stderr=False)
    shown.disable = not is_shown
    with shown:
        yield ProgressLine(title, shown)
