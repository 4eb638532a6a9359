"""Make standard input, output and error usable, whatever they are connected to.

This module imports nothing heavy, so that errors can be reported before anything else is loaded.
"""

from __future__ import annotations

import codecs
import io
import json
import os
import sys
from collections.abc import Iterable
from typing import Any, TextIO

from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.text import safe_json, safe_line

_ERRORS = "baton.terminal"
_IN_ASCII = {
    "●": "*",
    "◆": "#",
    "▣": "=",
    "✎": "~",
    "✓": "+",
    "✗": "x",
    "–": "-",
    "—": "-",
    "−": "-",
    "─": "-",
    "·": "-",
} | {
    "…": "...",
    "“": '"',
    "”": '"',
    "’": "'",
    "×": "x",
    "→": "->",
    "▲": "^",
    "▼": "v",
    "≥": ">=",
    "τ": "tau",
}
"""Replacements for signs that Baton prints, in encodings such as ASCII and cp1252."""


def prepare() -> None:
    """Redirect closed streams to the null device, and replace characters that an encoding lacks.

    Raises SettingsError if standard output is closed.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:  # otherwise the next file or pipe that is opened would take this number
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        sys.stderr = _null()
    codecs.register_error(_ERRORS, _replace)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8-sig", errors="strict")
    if sys.stdout is None:
        sys.stdout = _null()
        raise SettingsError("Standard output is closed.", "Redirect it to a file instead.")


def close_output() -> None:
    """Flush standard output. Raises OSError if that fails; later output then goes to the null device."""
    try:
        sys.stdout.flush()
    except OSError:
        discard_output()
        raise


def discard_output() -> None:
    """Replace standard output, so that the interpreter does not flush the old one when it ends."""
    sys.stdout = _null()


def report(sentence: object, program: str = "baton") -> None:
    """Write one line to standard error, made safe and bounded. It is lost if nothing can be written there."""
    try:
        sys.stderr.write(f"{program}: {safe_line(str(sentence))}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        sys.stderr = _null()


def write_json(value: Any) -> None:
    """Write one JSON document as a line to standard output."""
    is_unicode = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "") == "utf8"
    sys.stdout.write(safe_json(json.dumps(value, ensure_ascii=not is_unicode)) + "\n")
    sys.stdout.flush()


def write_json_lines(values: Iterable[Any]) -> None:
    """Write JSON documents to standard output, one per line."""
    for value in values:
        write_json(value)


def _null() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123 - it stays open until the program ends


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_IN_ASCII.get(character, "?") for character in error.object[error.start : error.end]), error.end
