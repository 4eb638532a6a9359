"""Where a step ends: at a boundary pattern, found while the text streams in, however tokens split it.

The pattern is a setting of the run (a regular expression); by default two newlines with blanks between them.
"""

from __future__ import annotations

import codecs
import re
from functools import lru_cache

from core.errors import SettingsError
from core.text import one_line

BOUNDARY = r"\n[ \t\r]*\n"
"""Two newlines, blanks allowed between them."""
LONGEST_PATTERN = 100
LONGEST_BOUNDARY = 200
"""Characters before the newest text in which a boundary may begin."""
_ITEM = r"(?:\\.|\[\^?(?:\\.|[^\\\]])+\]|[^\\()\[\]|*+?{}])"
_SEQUENCE = rf"{_ITEM}*(?:{_ITEM}[*+?])?{_ITEM}*(?:\(\?={_ITEM}+\))?"
_ALLOWED = re.compile(rf"{_SEQUENCE}(?:\|{_SEQUENCE}){{0,9}}")
_SEPARATOR = " \t\r\n"
_MORE_NEWLINES = re.compile(r"[ \t\r\n]*\n")
_SENTENCE_END = re.compile(r"(?:[^\d\s][.?!]|\d[?!]|[。？！]|[.?!][\s\"'”’)\]])[\"'”’)\]]*\s*$|\n\s*$")


_ABBREVIATION = re.compile(
    r"(?:^|[\s(\[])(?:e\.g|i\.e|eqs?|figs?|vs|cf|approx|resp|thm|viz|s\.t|w\.l\.o\.g|et al|dr|mrs?|ms|prof)\.\s*$"
    r"|(?:^|[\s(\[])[ei]\.$",  # the first half of "e.g." and "i.e."
    re.IGNORECASE,
)


class Decoder:
    """Bytes of tokens to text; characters may be split across tokens. Invalid bytes become U+FFFD."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, data: bytes) -> str:
        return self._decoder.decode(data)

    @property
    def inside_character(self) -> bool:
        """True while the bytes so far end inside a UTF-8 sequence: no handoff here."""
        return bool(self._decoder.getstate()[0])


@lru_cache(maxsize=16)
def boundary_pattern(boundary: str) -> re.Pattern[str]:
    """The compiled pattern. Raises SettingsError if it is no regular expression, is empty, or could take long.

    A pattern may come from a stranger's trace, and Python's search takes exponential time for some. So groups are not
    allowed, and of each of up to ten alternatives one character or class may be repeated: searching n characters then
    takes at most n² steps.
    """
    try:
        pattern = re.compile(boundary)
    except re.error as error:
        raise SettingsError(
            f"The step boundary {boundary!r} is no regular expression: {error}.",
            rf"Try {BOUNDARY} (a blank line) or \n (a line).",
        ) from error
    if not boundary.strip(" "):
        raise SettingsError("The step boundary is empty.", f"The default is {BOUNDARY} (a blank line).")
    if len(boundary) > LONGEST_PATTERN or not _ALLOWED.fullmatch(boundary):
        raise SettingsError(
            f"The step boundary {one_line(boundary)!r} could take too long to search for.",
            rf"Leave groups out, and repeat one character or class at most: {BOUNDARY} for example.",
        )
    return pattern


class Splitter:
    """Finds boundaries in a text that grows, starting after `text`.

    A boundary is reported once, as soon as its pattern is complete; white space that follows still belongs to the
    separator and makes no new boundary. White space before the first word of a step makes none either.
    """

    def __init__(self, text: str = "", boundary: str = BOUNDARY) -> None:
        self._pattern = boundary_pattern(boundary)
        self._step = ""
        """The end of the step that is being written; empty before its first word."""
        self._found = False
        self.after = 0
        """Characters of the text fed last that follow its last boundary."""
        self.feed(text)

    def feed(self, text: str) -> bool:
        """Take the next piece of text; True if a boundary was completed in it."""
        known = len(self._step)
        self._step = (self._step + text) if known else text.lstrip(_SEPARATOR)
        found = False
        # A match at the first character is none: a step has at least one.
        while self._step and (match := self._pattern.search(self._step, max(1, known - LONGEST_BOUNDARY))):
            rest = self._step[match.end() :]
            more = _MORE_NEWLINES.match(rest)
            self.after = len(rest) - (more.end() if more else 0)
            self._step, known, found = rest.lstrip(_SEPARATOR), 0, True
        self._found |= found
        self._step = self._step[-2 * LONGEST_BOUNDARY :]
        return found

    @property
    def at_boundary(self) -> bool:
        """True from the end of a boundary until something else than white space follows."""
        return self._found and not self._step


def split(text: str, boundary: str = BOUNDARY) -> list[str]:
    """The steps of a finished text, separators included; joined, they are the text again."""
    steps: list[str] = []
    pattern, start = boundary_pattern(boundary), 0
    while match := pattern.search(text, _after_separator(text, start) + 1):
        end = _after_separator(text, match.end())
        steps.append(text[start:end])
        start = end
    return [*steps, text[start:]] if start < len(text) else steps


def _after_separator(text: str, start: int) -> int:
    while start < len(text) and text[start] in _SEPARATOR:
        start += 1
    return start


def same_step_twice(text: str, boundary: str = BOUNDARY, longest: int = 2400) -> bool:
    """Whether the last two steps are the same. Only the last `longest` characters are compared."""
    steps = split(text[-longest:], boundary)
    return len(steps) > 1 and steps[-1].strip() == steps[-2].strip() != ""


def ends_sentence(text: str) -> bool:
    """Whether the text ends at the end of a sentence or line. A full stop after a digit ("3.") may be a decimal
    point and counts only when white space or a closing quote follows; one after an abbreviation ("e.g.") never."""
    end = text[-16:]
    return bool(_SENTENCE_END.search(end)) and (end.endswith("\n") or not _ABBREVIATION.search(end))
