"""Standard input, output and error: whatever they are connected to, text gets out and never raises.

Imports nothing heavy: errors must be reportable before anything else is loaded.
"""

from __future__ import annotations

import codecs
import io
import json
import os
import sys
from typing import Any, TextIO

from core.errors import SettingsError
from core.safe_text import safe_json, safe_line

_ERRORS = "baton.terminal"
_IN_ASCII = {"●": "*", "◆": "#", "▣": "=", "✓": "+", "✗": "x", "–": "-", "—": "-", "−": "-", "─": "-", "·": "-"} | {
    "…": "...",
    "“": '"',
    "”": '"',
    "’": "'",
    "×": "x",
    "≥": ">=",
    "τ": "tau",
}
"""What Baton itself prints, for encodings such as ASCII and cp1252 that lack some of it."""


def prepare() -> None:
    """Make the three streams usable: closed ones lead to the null device, and nothing fails for its encoding.

    Raises SettingsError if standard output is closed: whatever is asked for would be lost.
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
        sys.stdin.reconfigure(encoding="utf-8", errors="strict")
    if sys.stdout is None:
        sys.stdout = _null()
        raise SettingsError("Standard output is closed.", "Redirect it to a file instead.")


def close_output() -> None:
    """Flush standard output; raises OSError if that is not possible. Later output goes to the null device then."""
    try:
        sys.stdout.flush()
    except OSError:
        discard_output()
        raise


def discard_output() -> None:
    """Leave nothing that the interpreter would try to flush when it ends."""
    sys.stdout = _null()


def report(sentence: object, program: str = "baton") -> None:
    """One line on standard error, made safe and bounded; lost where nothing can be written there."""
    try:
        sys.stderr.write(f"{program}: {safe_line(str(sentence))}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        sys.stderr = _null()


def write_json(value: Any) -> None:
    """One JSON document a line on standard output."""
    is_unicode = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "") == "utf8"
    sys.stdout.write(safe_json(json.dumps(value, ensure_ascii=not is_unicode)) + "\n")
    sys.stdout.flush()


def _null() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123 - it stays open until the program ends


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_IN_ASCII.get(character, "?") for character in error.object[error.start : error.end]), error.end
