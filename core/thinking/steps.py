"""Finds where a step ends: at a boundary pattern, while the text streams in, however tokens split it.

The pattern is a setting of the run (a regular expression); by default two newlines with blanks between them.
"""

from __future__ import annotations

import codecs
import re
from bisect import bisect_left
from functools import lru_cache

from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.text import one_line

BOUNDARY = r"\n[ \t\r]*\n"
"""Two newlines, with blanks allowed between them."""
LONGEST_PATTERN = 100
MOST_REPEATS = 100
"""Maximum number of matches of a repeated character or class of a pattern."""
LONGEST_BOUNDARY = LONGEST_PATTERN + MOST_REPEATS
"""Maximum number of characters that a pattern can match."""
_SEARCHED_AT_ONCE = 10_000
"""Characters: a search cannot be interrupted, so it must be short."""
_ITEM = r"(?:\\[\W_nrtdDsSwW]|\\x[0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\[\^?(?:\\.|[^\\\]])+\]|[^\\()\[\]|*+?{}^$])"
_QUANTIFIED = re.compile(rf"({_ITEM})([*+?]?)")
_ALTERNATIVE = re.compile(rf"((?:{_ITEM}[*+?]?)+)(?:\(\?={_ITEM}+\))?")
_ALLOWED = re.compile(rf"{_ALTERNATIVE.pattern}(?:\|{_ALTERNATIVE.pattern}){{0,9}}")
_SEPARATOR = " \t\r\n"
_MORE_NEWLINES = re.compile(r"[ \t\r\n]*\n")
_SENTENCE_END = re.compile(r"(?:[^\d\s][.?!]|\d[?!]|[。？！]|[.?!][\s\"'”’)\]])[\"'”’)\]]*\s*$|\n\s*$")


_ABBREVIATION = re.compile(
    r"(?:^|[\s(\[])(?:e\.g|i\.e|eqs?|figs?|vs|cf|approx|resp|thm|viz|s\.t|w\.l\.o\.g|et al|dr|mrs?|ms|prof)\.\s*$"
    r"|(?:^|[\s(\[])[ei]\.$",  # the first half of "e.g." and "i.e."
    re.IGNORECASE,
)


class Decoder:
    """Decodes the bytes of tokens, which may split characters. Invalid bytes become U+FFFD."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, data: bytes) -> str:
        return self._decoder.decode(data)

    @property
    def inside_character(self) -> bool:
        """Tell whether the bytes so far end inside a UTF-8 sequence: no handoff here."""
        return bool(self._decoder.getstate()[0])


@lru_cache(maxsize=16)
def boundary_pattern(boundary: str) -> re.Pattern[str]:
    """Compile a pattern, with a bound for each repetition.

    A pattern may come from a stranger's trace. So groups are not allowed, which Python may search for exponential time,
    and of each of up to ten alternatives one character or class may be repeated, `MOST_REPEATS` times at most: the time
    of a search is linear in the text. Each alternative matches at least one character, and no anchor is allowed: steps
    have an end, and what is a boundary in a text stays one when the text grows.

    Raises SettingsError for any other pattern.
    """
    try:
        if len(boundary) <= LONGEST_PATTERN:  # a longer one may be nested too deeply for `re`
            re.compile(boundary)
    except (re.error, OverflowError) as error:
        raise SettingsError(
            f"The step boundary {boundary!r} is no regular expression: {error}.",
            rf"Try {BOUNDARY} (a blank line) or \n (a line).",
        ) from error
    if not boundary.strip(" "):
        raise SettingsError("The step boundary is empty.", f"The default is {BOUNDARY} (a blank line).")
    if len(boundary) > LONGEST_PATTERN or not _ALLOWED.fullmatch(boundary) or not _ends(boundary):
        raise SettingsError(
            f"The step boundary {one_line(boundary)!r} could match nothing, or take too long to search for.",
            "Each alternative needs a character that must be there, and one character or class may be repeated; "
            rf"leave groups and anchors out: {BOUNDARY} for example.",
        )
    return re.compile(_QUANTIFIED.sub(_bounded, boundary))


def _ends(boundary: str) -> bool:
    """Tell whether each alternative has a character that must be there, and at most one repeated item."""
    signs = [[found[2] for found in _QUANTIFIED.finditer(each[1])] for each in _ALTERNATIVE.finditer(boundary)]
    return all(("" in each or "+" in each) and len("".join(each)) <= 1 for each in signs)


def _bounded(quantified: re.Match[str]) -> str:
    item, sign = quantified.groups()
    return f"{item}{{{int(sign == '+')},{MOST_REPEATS}}}" if sign in ("*", "+") else quantified[0]


def _first_boundary(pattern: re.Pattern[str], text: str, start: int) -> re.Match[str] | None:
    """Find the boundary from `start` on that is complete first, as in a text that grows."""
    for begin in range(start, len(text), _SEARCHED_AT_ONCE):
        if found := pattern.search(text, begin, begin + _SEARCHED_AT_ONCE + LONGEST_BOUNDARY):
            first = found.start()
            ends = range(first, min(len(text), first + LONGEST_BOUNDARY) + 1)
            end = ends[bisect_left(ends, True, key=lambda end: bool(pattern.search(text, first, end)))]
            return pattern.search(text, first, end)
    return None


class Splitter:
    """Finds boundaries in a text that grows, starting after `text`.

    A boundary is reported once, as soon as its pattern is complete; white space that follows still belongs to the
    separator and makes no new boundary. White space before the first word of a step makes none either.
    """

    def __init__(self, text: str = "", boundary: str = BOUNDARY) -> None:
        self._pattern = boundary_pattern(boundary)
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
        begin = max(1, known - LONGEST_BOUNDARY)
        while match := _first_boundary(self._pattern, step, begin):
            more = _MORE_NEWLINES.match(step, match.end())
            self.after = len(step) - (more or match).end()
            start, found = _after_separator(step, match.end()), True
            begin = start + 1
        self._found |= found
        self._step = step[max(start, len(step) - 2 * LONGEST_BOUNDARY) :]
        return found

    @property
    def at_boundary(self) -> bool:
        """Tell whether nothing but white space follows the last boundary."""
        return self._found and not self._step


def split(text: str, boundary: str = BOUNDARY) -> list[str]:
    """Split a finished text into its steps, separators included; joined, they are the text again."""
    steps: list[str] = []
    pattern, start = boundary_pattern(boundary), 0
    while match := _first_boundary(pattern, text, _after_separator(text, start) + 1):
        end = _after_separator(text, match.end())
        steps.append(text[start:end])
        start = end
    return [*steps, text[start:]] if start < len(text) else steps


def _after_separator(text: str, start: int) -> int:
    while start < len(text) and text[start] in _SEPARATOR:
        start += 1
    return start


def same_step_twice(text: str, boundary: str = BOUNDARY, longest: int = 2400) -> bool:
    """Tell whether the last two steps are the same. Only the last `longest` characters are compared."""
    steps = split(text[-longest:], boundary)
    return len(steps) >= 2 and steps[-1].strip() == steps[-2].strip() != ""


def ends_sentence(text: str) -> bool:
    """Tell whether the text ends with a sentence or line. A full stop after a digit ("3.") may be a decimal point and
    counts only if white space or a closing quote follows; one after an abbreviation ("e.g.") never counts."""
    end = text[-16:]
    return bool(_SENTENCE_END.search(end)) and (end.endswith("\n") or not _ABBREVIATION.search(end))
