"""Print text, tables and progress for people.

All text is made safe here (core/safe_text.py), so that no model, server or file can steer the terminal. Results go to
standard output; progress and remarks go to standard error, and -q leaves them out.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from baton_reasoning.app.terminal.command_line import is_quiet
from baton_reasoning.app.terminal.streams import report
from baton_reasoning.core.safe_text import safe_line, safe_text


class RaisingConsole(Console):
    """A console that raises BrokenPipeError if its reader has gone; rich's own ends the program with exit code 1."""

    def on_broken_pipe(self) -> None:
        raise


def console(stderr: bool = False) -> Console:
    """Return a console for the current stream. Colours follow NO_COLOR, FORCE_COLOR and TERM (https://no-color.org)."""
    return RaisingConsole(stderr=stderr, markup=False, emoji=False, highlight=False, soft_wrap=True)


def is_live(stream: TextIO) -> bool:
    """Return whether text written to the stream can be erased again."""
    return stream.isatty() and not console(stderr=stream is sys.stderr).is_dumb_terminal


def terminal_width() -> int:
    """Return the width of the terminal in characters; 0 if standard output is none."""
    return console().width if console().is_terminal else 0


def write(text: str = "", style: str | None = None, end: str = "\n") -> None:
    """Write text to standard output without wrapping it."""
    console().out(safe_text(text), style=style, highlight=False, end=end)


def write_table(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> None:
    """Write a table without a frame. `right`: indices of right-aligned columns. Cells wrap in a terminal."""
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(safe_text(cell)) for cell in row))
    out = console()
    if out.is_terminal:
        out.print(table, soft_wrap=False)
        return
    out.width = 10_000  # one row per line, for programs that read the table
    with out.capture() as captured:
        out.print(table, soft_wrap=False)
    write("\n".join(line.rstrip() for line in captured.get().splitlines()))


def remark(sentence: str) -> None:
    """Write one line to standard error, unless -q was given."""
    if not is_quiet():
        report(sentence)


def write_figures(text: str) -> None:
    """Write figures about a result to standard error, unless -q was given."""
    if not is_quiet():
        console(stderr=True).out(safe_text(text), style="dim", highlight=False)


class ProgressLine:
    """Shows the progress of a task as a line on standard error that updates itself; only a terminal can show that."""

    def __init__(self, title: str, live: Progress | None) -> None:
        self._live = live
        self._task: TaskID | None = live.add_task(safe_line(title, 60), total=1.0, words="") if live else None

    def show(self, fraction: float, words: str = "") -> None:
        """Update the progress. `fraction`: how much is done, from 0 to 1."""
        if self._live and self._task is not None:
            self._live.update(self._task, completed=fraction, words=safe_line(words, 200))

    def remark(self, sentence: str) -> None:
        """Write a line above the progress, unless -q was given."""
        if not is_quiet():
            self.report(sentence)

    def report(self, sentence: str) -> None:
        """Write a line above the progress."""
        if self._live:
            self._live.console.out(f"baton: {safe_line(sentence)}", highlight=False)
        else:
            report(sentence)


@contextmanager
def progress(title: str, json: bool = False) -> Iterator[ProgressLine]:
    """Show progress in a terminal while the block runs. `json`: JSON lines go to standard output, perhaps there too."""
    live = not is_quiet() and is_live(sys.stderr) and not (json and sys.stdout.isatty())
    if not live:
        yield ProgressLine(title, None)
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(24), TextColumn("{task.percentage:>3.0f}%"))
    words = TextColumn("{task.fields[words]}", markup=False)
    out = console(stderr=True)
    with Progress(*columns, words, console=out, transient=True, redirect_stdout=False, redirect_stderr=False) as shown:
        yield ProgressLine(title, shown)
