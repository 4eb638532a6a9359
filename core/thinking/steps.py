"""Finds where a step ends while the text streams in, however tokens split it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from typing import Any

_SEPARATOR = " \t\r\n"
_MOST_BLANKS = 100
"""Most blanks between the two newlines of a boundary: with a bound, the end of a text is enough to find one."""
_LONGEST_BOUNDARY = _MOST_BLANKS + 2
_MORE_NEWLINES = re.compile(r"[ \t\r\n]*\n")
_SENTENCE_END = re.compile(r"(?:[^\d\s][.?!]|\d[?!]|[。？！]|[.?!][\s\"'”’)\]])[\"'”’)\]]*\s*$|\n\s*$")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\[])(?:e\.g|i\.e|eqs?|figs?|vs|cf|approx|resp|thm|viz|s\.t|w\.l\.o\.g|et al|dr|mrs?|ms|prof)\.\s*$"
    r"|(?:^|[\s(\[])[ei]\.$",  # the first half of "e.g." and "i.e."
    re.IGNORECASE,
)


class Boundary(Enum):
    """Where a step ends."""

    BLANK_LINE = "blank line"
    """At two or more newlines, with blanks allowed between them."""
    LINE = "line"
    """At each newline."""
    SENTENCE = "sentence"
    """At a full stop, question or exclamation mark that white space follows."""


_PATTERNS = {
    Boundary.BLANK_LINE: re.compile(rf"\n[ \t\r]{{0,{_MOST_BLANKS}}}\n"),
    Boundary.LINE: re.compile(r"\n"),
    Boundary.SENTENCE: re.compile(r"[.!?]\s"),
}
"""What matches a boundary; white space that follows belongs to it, too."""


def recorded_boundary(settings: Mapping[str, Any]) -> Boundary:
    """Return what ended a step in a recorded run, by its settings; a blank line where that is not known."""
    try:
        return Boundary(settings.get("boundary"))
    except ValueError:
        return Boundary.BLANK_LINE


class Splitter:
    """Finds boundaries in a text that grows, starting after `text`.

    A boundary is reported once, as soon as it is complete; white space that follows still belongs to the
    separator and makes no new boundary. White space before the first word of a step makes none either.
    """

    def __init__(self, text: str = "", boundary: Boundary = Boundary.BLANK_LINE) -> None:
        self._pattern = _PATTERNS[boundary]
        self._step = ""
        """The end of the current step; empty before its first word."""
        self._found = False
        self.after = 0
        """Number of characters after the last boundary in the text fed last."""
        self.feed(text)

    def feed(self, text: str) -> bool:
        """Take the next piece of text; returns True if it completes a boundary."""
        known, start, found = len(self._step), 0, False
        step = (self._step + text) if known else text.lstrip(_SEPARATOR)
        # A match at the first character does not count: a step has at least one.
        begin = max(1, known - _LONGEST_BOUNDARY)
        while match := self._pattern.search(step, begin):
            more = _MORE_NEWLINES.match(step, match.end())
            self.after = len(step) - (more or match).end()
            start, found = _after_separator(step, match.end()), True
            begin = start + 1
        self._found |= found
        self._step = step[max(start, len(step) - 2 * _LONGEST_BOUNDARY) :]
        return found

    @property
    def at_boundary(self) -> bool:
        """Tell whether nothing but white space follows the last boundary."""
        return self._found and not self._step


def split(text: str, boundary: Boundary = Boundary.BLANK_LINE) -> list[str]:
    """Split a finished text into its steps, separators included; joined, they are the text again."""
    steps: list[str] = []
    start = 0
    while match := _PATTERNS[boundary].search(text, _after_separator(text, start) + 1):
        end = _after_separator(text, match.end())
        steps.append(text[start:end])
        start = end
    return [*steps, text[start:]] if start < len(text) else steps


def _after_separator(text: str, start: int) -> int:
    while start < len(text) and text[start] in _SEPARATOR:
        start += 1
    return start


def ends_sentence(text: str) -> bool:
    """Tell whether the text ends with a sentence or line. A full stop after a digit ("3.") may be a decimal point and
    counts only if white space or a closing quote follows; one after an abbreviation ("e.g.") never counts."""
    end = text[-16:]
    return bool(_SENTENCE_END.search(end)) and (end.endswith("\n") or not _ABBREVIATION.search(end))
