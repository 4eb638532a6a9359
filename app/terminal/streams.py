"""What a command shares with its shell: standard streams, exit codes and signals.

Ctrl+C, SIGTERM and SIGHUP end the program with one line and an exit code, never a traceback. During a run or a batch,
the first signal stops it, and the second ends the program. A batch takes one Ctrl+C more: the first finishes the
answers that are under way.

This module imports nothing heavy, so that errors can be reported before anything else is loaded.
"""

from __future__ import annotations

import codecs
import errno
import io
import json
import os
import signal
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any, TextIO

import click

from baton_reasoning.app.terminal.command_line import is_quiet
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.text import LONGEST_MESSAGE, one_line, safe_json


class ExitCode(IntEnum):
    ANSWERED = 0
    FAILED = 1
    """A model, a server, the network or the disk failed; the answer could not be saved; or nothing was found."""
    USAGE = 2
    """Something on the command line or in the configuration cannot be used, or a file that it names is missing."""
    INCOMPLETE = 3
    """A limit, a full context or a repetition ended the text, not a model."""
    STOPPED = 130
    """By Ctrl+C; SIGTERM ends with 143, SIGHUP with 129."""
    CLOSED_PIPE = 141
    """The reader of standard output has gone."""


TYPE_IT = "Type it here; Ctrl+D on a line of its own ends it."
TYPE_IT_ON_WINDOWS = "Type it here; Ctrl+Z and Enter on a line of their own end it."
_ERRORS = "baton.terminal"
_IN_ASCII = dict(zip("●◆▣✎✓✗–—−─·“”’×▲▼", '*#=~+x-----""\'x^v', strict=True)) | {
    "…": "...",
    "→": "->",
    "≥": ">=",
    "τ": "tau",
}
"""Replacements for signs that Baton prints, in encodings such as ASCII and cp1252."""


def prepare() -> None:
    """Redirect closed streams to the null device, and replace characters that an encoding lacks.

    Redirected output is UTF-8 on Windows, too, where Python takes the system's old code page, unless another encoding
    was chosen in the environment. Raises SettingsError if standard output is closed.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:  # otherwise the next file or pipe that is opened would take this number
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        sys.stderr = _null()
    codecs.register_error(_ERRORS, _replace)
    keeps_encoding = sys.platform != "win32" or {"PYTHONIOENCODING", "PYTHONUTF8"} & os.environ.keys()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            encoding = stream.encoding if keeps_encoding or stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors=_ERRORS)
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8-sig", errors="strict")
    if sys.stdout is None:
        sys.stdout = _null()
        raise SettingsError("Standard output is closed.", "Redirect it to a file instead.")


@contextmanager
def closed_pipes_named() -> Iterator[None]:
    """Raise BrokenPipeError also on Windows, where a write to a closed pipe is an invalid argument, of no file."""
    try:
        yield
    except OSError as error:
        if sys.platform == "win32" and error.errno == errno.EINVAL and error.filename is None:
            raise BrokenPipeError(*error.args) from error
        raise


def close_output() -> None:
    """Flush standard output. Raises OSError if that fails; later output then goes to the null device."""
    try:
        sys.stdout.flush()
    except OSError:
        sys.stdout = _null()  # or the interpreter would flush the old one when it ends
        raise


def report(sentence: object, program: str = "baton") -> None:
    """Write one line to standard error, made safe and bounded. It is lost if nothing can be written there."""
    try:
        sys.stderr.write(f"{program}: {one_line(str(sentence), LONGEST_MESSAGE)}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        sys.stderr = _null()


def remark(sentence: str) -> None:
    """Write one line to standard error, unless -q was given."""
    if not is_quiet():
        report(sentence)


def write_json(value: Any) -> None:
    """Write one JSON document as a line to standard output."""
    is_unicode = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "") == "utf8"
    sys.stdout.write(safe_json(json.dumps(value, ensure_ascii=not is_unicode)) + "\n")
    sys.stdout.flush()


def write_json_lines(values: Iterable[Any]) -> None:
    """Write JSON documents to standard output, one per line."""
    for value in values:
        write_json(value)


def opened_input() -> TextIO:
    """Return standard input; tell a person at a terminal to type. Raises SettingsError if it is closed."""
    if sys.stdin is None:
        raise SettingsError("Standard input is closed.", "Name a file or a problem instead of -.")
    if sys.stdin.isatty():
        remark(TYPE_IT_ON_WINDOWS if sys.platform == "win32" else TYPE_IT)
    return sys.stdin


def read_input() -> str:
    """Read all of standard input. Raises SettingsError if it is closed or not UTF-8."""
    try:
        return opened_input().read()
    except UnicodeDecodeError as error:
        raise SettingsError("Standard input is not text in UTF-8.", "Convert it to UTF-8 first.") from error


def read_piped_input() -> str:
    """Read what a pipe or a redirected file gives on standard input; return "" if it is anything else.

    A terminal, a socket and /dev/null are not read: they may never end. Raises SettingsError if it is not UTF-8.
    """
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode if sys.stdin else 0
    except (OSError, io.UnsupportedOperation):
        return ""
    return read_input() if stat.S_ISFIFO(mode) or stat.S_ISREG(mode) else ""


def confirmed(question: str, default: bool = False) -> bool:
    """Ask a person, and say so if nothing is to be done. Raises SettingsError if nobody can be asked."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise SettingsError(f"{question} Nobody can be asked here.", "Add --yes.")
    is_confirmed = click.confirm(question, default=default, err=True)
    if not is_confirmed:
        remark("Nothing was done.")
    return is_confirmed


def _null() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123 - it stays open until the program ends


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_IN_ASCII.get(character, "?") for character in error.object[error.start : error.end]), error.end


_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]
_received = signal.SIGINT


@contextmanager
def interruptible() -> Iterator[None]:
    """Let every signal raise KeyboardInterrupt while the block runs."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    with _handled_by(interrupt):
        yield


@contextmanager
def stops_on_interrupt(stop: Callable[[], object], finish: Callable[[], object] | None = None) -> Iterator[None]:
    """Let the first signal stop a run; a second one ends the program.

    `finish`: what the first Ctrl+C does instead; any later signal then stops the run.
    """
    with _handled_by(stop, once=True, first=finish):
        yield


def exit_code_of_signal() -> int:
    """Return 128 plus the number of the last signal: 130 after Ctrl+C."""
    return 128 + _received


@contextmanager
def _handled_by(
    action: Callable[[], object], once: bool = False, first: Callable[[], object] | None = None
) -> Iterator[None]:
    """`once`: later signals are handled as before. `first`: what the first Ctrl+C does instead."""
    before: dict[int, Any] = {}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def handle(number: int, _: object) -> None:
        global _received
        nonlocal first
        _received = signal.Signals(number)
        if first and number == signal.SIGINT:
            finish, first = first, None
            finish()
            return
        if once:
            restore()
        action()

    for number in _SIGNALS:
        handler = signal.getsignal(number)
        if handler != signal.SIG_IGN:  # ignored under nohup, or in the background of a script
            before[number] = handler
            signal.signal(number, handle)
    try:
        yield
    finally:
        restore()
