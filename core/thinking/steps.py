"""Where a step ends: a run of two or more newlines, found while the text streams in, however tokens split it."""

from __future__ import annotations

import codecs
import re

_BOUNDARY = re.compile(r"(?<=[^ \t\r\n])[ \t\r]*\n[ \t\r]*\n[ \t\r\n]*")
_SEPARATOR = " \t\r\n"
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


class Splitter:
    """Finds boundaries in a text that grows, starting after `text`.

    A boundary is reported once, as soon as its second newline is there; white space that follows still belongs
    to the separator and makes no new boundary. Newlines before the first word make none either.
    """

    def __init__(self, text: str = "") -> None:
        words = text.rstrip(_SEPARATOR)
        self._started = bool(words)
        self._newlines = text.count("\n", len(words))

    def feed(self, text: str) -> bool:
        """Take the next piece of text; True if a boundary was completed in it."""
        found = False
        for character in text:
            if character not in _SEPARATOR:
                self._started, self._newlines = True, 0
            elif character == "\n":
                self._newlines += 1
                found |= self._started and self._newlines == 2
        return found

    @property
    def at_boundary(self) -> bool:
        """True from a boundary's second newline until something else than white space follows."""
        return self._started and self._newlines >= 2


def split(text: str) -> list[str]:
    """The steps of a finished text, separators included; joined, they are the text again."""
    steps: list[str] = []
    start = 0
    for boundary in _BOUNDARY.finditer(text):
        steps.append(text[start : boundary.end()])
        start = boundary.end()
    return [*steps, text[start:]] if start < len(text) else steps


def same_step_twice(text: str, longest: int = 2400) -> bool:
    """Whether the last two steps are the same. Only the last `longest` characters are compared."""
    steps = split(text[-longest:])
    return len(steps) > 1 and steps[-1].strip() == steps[-2].strip() != ""


def ends_sentence(text: str) -> bool:
    """Whether the text ends at the end of a sentence or line. A full stop after a digit ("3.") may be a decimal
    point and counts only when white space or a closing quote follows; one after an abbreviation ("e.g.") never."""
    end = text[-16:]
    return bool(_SENTENCE_END.search(end)) and (end.endswith("\n") or not _ABBREVIATION.search(end))
