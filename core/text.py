"""Texts in our messages, and untrusted ones made safe to show: what models, servers, files and their errors contain.

A control character can move the cursor, rename the terminal's window or write to the clipboard (OSC 52); a
bidirectional override can make a file name read as another; a lone surrogate cannot be encoded; a message of ten
megabytes hides what matters. Every output of the terminal passes through `safe_text`; exports and views use the same
rules.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Sequence

LONGEST_MESSAGE = 2_000
"""Characters of an error message that are shown."""
LONGEST_QUOTE = 300
"""Characters of a foreign text within one of our messages."""

_NEEDS_NO_QUOTES = re.compile(r"[\w.:/\\=+-]+")
"""Arguments that cmd and PowerShell take as they stand."""
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_NOT_PRINTED_BY_JSON = re.compile(r"[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_SUBSTITUTE = "\ufffd"


def safe_text(text: str) -> str:
    """Replace each control character by its visible picture: ESC becomes “␛”.

    Newlines and tabs stay, a carriage return before a newline is dropped, and every other character that a terminal
    would act on, or that cannot be encoded, becomes U+FFFD. The length of the text changes only at carriage returns.
    """
    return _CONTROLS.sub(_picture, text.replace("\r\n", "\n"))


def one_line(text: str, longest: int = LONGEST_QUOTE) -> str:
    """Make a text safe as `safe_text` does, on one line, printable, with at most `longest` characters."""
    words = " ".join(safe_text(text[: 4 * longest]).split())
    line = "".join(filter(str.isprintable, words))
    return f"{line[: longest - 1]}…" if len(line) > longest or len(text) > 4 * longest else line


def safe_json(encoded: str) -> str:
    """Escape the characters of a JSON document that a terminal acts on or that UTF-8 cannot encode.

    JSON itself escapes what lies below U+0020; the escapes added here are JSON's own, so the values stay the same.
    """
    return _NOT_PRINTED_BY_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", encoded)


def _picture(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else _SUBSTITUTE


def replace_lone_surrogates(text: str) -> str:
    """Replace each lone surrogate by "?": models and JSON files contain them, UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode("utf-8")


def shell_command(arguments: Sequence[str]) -> str:
    """Write a command to be copied, with the quotes of this system's shells: cmd and PowerShell, or POSIX.

    PowerShell still replaces $NAME within quotes, and cmd %NAME%: no quotes keep both from it.
    """
    if sys.platform != "win32":
        return shlex.join(arguments)
    return " ".join(each if _NEEDS_NO_QUOTES.fullmatch(each) else _quoted_on_windows(each) for each in arguments)


def _quoted_on_windows(argument: str) -> str:
    return (
        '"' + subprocess.list2cmdline([f" {argument}"])[2:]
    )  # the blank makes it quote what only a shell would change


def counted(number: int, one: str, many: str = "") -> str:
    """Write a number with its noun: “1 problem”, “1,200 problems”. `many`: a plural that does not only add an s."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def some_of(names: Sequence[str], most: int = 10) -> str:
    """List the first `most` names, and say how many more there are."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most:,} more" if len(names) > most else shown
