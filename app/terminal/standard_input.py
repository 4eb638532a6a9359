"""Read standard input: where - stands for a file or a problem, and what is piped into a command."""

from __future__ import annotations

import io
import os
import stat
import sys
from typing import TextIO

import click

from baton_reasoning.app.terminal.output import remark
from baton_reasoning.core.batch.reading.source import ProblemSource
from baton_reasoning.core.errors import ProblemFileError, SettingsError

TYPE_IT = "Type it here; Ctrl+D on a line of its own ends it."


def read_input() -> str:
    """Read all of standard input. Raises SettingsError if it is closed or not UTF-8."""
    try:
        return _opened().read()
    except UnicodeDecodeError as error:
        raise SettingsError(
            "Standard input is not text in UTF-8.", "Convert it first, with iconv for example."
        ) from error


def _opened() -> TextIO:
    """Return standard input; tell a person at a terminal to type."""
    if sys.stdin is None:
        raise SettingsError("Standard input is closed.", "Name a file or a problem instead of -.")
    if sys.stdin.isatty():
        remark(TYPE_IT)
    return sys.stdin


def read_piped_input() -> str:
    """Read what a pipe or a redirected file gives on standard input; return "" if it is anything else.

    A terminal, a socket and /dev/null are not read: they may never end. Raises SettingsError if it is not UTF-8.
    """
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode if sys.stdin else 0
    except (OSError, io.UnsupportedOperation):
        return ""
    return read_input() if stat.S_ISFIFO(mode) or stat.S_ISREG(mode) else ""


def confirmed(question: str) -> bool:
    """Ask a person to confirm a deletion. Raises SettingsError if standard input is not a terminal."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise SettingsError(f"{question} Nobody can be asked here.", "Add --yes.")
    return click.confirm(question, err=True)


def read_problem_input() -> ProblemSource:
    """Read a file of problems from standard input. Raises SettingsError if it is closed, and ProblemFileError."""
    source = ProblemSource.read("standard-input", _opened().buffer)
    if not source.data.strip():
        raise ProblemFileError("Nothing came on standard input.", "Pipe problems into it, or name a file instead of -.")
    return source
