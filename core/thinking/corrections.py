"""Finds out whether a takeover corrected a value, or repeated what was there already.

Only numbers show a correction. Either the left side of an equation has another value (`338 + 649 = 087`, then `= 987`),
or the text is mostly that of the lookahead or of the step before, with one number changed. What differs more than that
is new text, and nothing is said about it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from enum import Enum
from typing import NamedTuple

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.trace import Piece

BEFORE = 6
"""A takeover is compared with this many pieces before it."""
LONGEST = 2_000
"""Number of characters of a text that are compared."""
ALIKE = 0.6
"""Share of common words from which two texts say the same, apart from numbers."""
REPEATED = 0.8
"""Share of a takeover's words from which, if they are in an earlier text, it repeats that text."""
FEWEST_WORDS = 4

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_WORD = re.compile(r"\d+(?:[.,]\d+)*|\w+|[^\w\s]")
_LATEX = re.compile(r"\\(?:left|right|,|;|!|quad|[()\[\]])|[${}]")
_OPERATORS = {r"\times": "×", r"\cdot": "×", r"\div": "÷", "*": "×", "−": "-"}
_VALUE = re.compile(r"=\s*(-?\d+(?:[.,]\d+)*)")
_LEFT = re.compile(r"(?:(?<!\w)[A-Za-z](?!\w)|[-+/^×÷#()\d.,\s])+$")
LONGEST_LEFT = 80
"""Most characters before the equals sign that can be its left side."""
_HAS_OPERATOR = re.compile(r"[-+/^×÷#]")


class Effect(Enum):
    """Tells what a takeover did to the text before it."""

    CORRECTED = "corrected"
    REPEATED = "repeated"


class Change(NamedTuple):
    effect: Effect
    before: str = ""
    """The earlier value; empty for a repetition."""
    after: str = ""
    """The new value, as it is in the text."""


def change_of(pieces: Sequence[Piece], index: int) -> Change | None:
    """Return what the takeover that wrote a piece changed; None for new text, and for a piece of another author."""
    piece = pieces[index]
    if piece.author is not Author.LARGE or piece.takeover is None:
        return None
    earlier = [other.text for other in pieces[max(0, index - BEFORE) : index] if other.author is not Author.INSERTED]
    return change(piece.text, piece.replaced, earlier)


def corrections(pieces: Sequence[Piece]) -> int:
    """Count the takeovers that corrected a value."""
    changes = (change_of(pieces, index) for index in range(len(pieces)))
    return sum(change is not None and change.effect is Effect.CORRECTED for change in changes)


def change(text: str, replaced: str, earlier: Sequence[str]) -> Change | None:
    """Compare a text with the lookahead that it replaced, and with the earlier texts, of which the oldest is first."""
    now = _plain(text)
    candidates = [_plain(each) for each in (replaced, *reversed(earlier)) if each.strip()]
    if found := _by_equation(now, candidates):
        return found
    nearest = candidates[: 1 + bool(replaced.strip())]  # the lookahead, and the step before
    return next(filter(None, (_by_words(now, each) for each in nearest)), None)


def _plain(text: str) -> str:
    """Strip the marks of LaTeX, and write each operator in one form."""
    text = text[:LONGEST]
    for written, plain in _OPERATORS.items():
        text = text.replace(written, plain)
    return _LATEX.sub("", text)


def _by_equation(now: str, candidates: Sequence[str]) -> Change | None:
    """Compare the first equation that is also in an earlier text, the newest text first."""
    known: dict[str, str] = {}
    for candidate in candidates:
        for left, value in _equations(candidate):
            known.setdefault(left, value)
    repeated = None
    for left, value in _equations(now):
        if left in known and known[left] != value:
            return Change(Effect.CORRECTED, known[left], value)
        if left in known:
            repeated = Change(Effect.REPEATED)
    return repeated


def _equations(text: str) -> Iterator[tuple[str, str]]:
    for match in _VALUE.finditer(text):
        found = _LEFT.search(text[max(0, match.start() - LONGEST_LEFT) : match.start()])
        left = "".join(found[0].split()).lstrip(".,)") if found else ""
        if _HAS_OPERATOR.search(left) and _NUMBER.search(left):
            yield left, match[1]


def _by_words(now: str, before: str) -> Change | None:
    ours, theirs = _WORD.findall(now), _WORD.findall(before)
    if min(len(ours), len(theirs)) < FEWEST_WORDS:
        return None
    matcher = SequenceMatcher(None, theirs, ours, autojunk=False)
    same = sum(block.size for block in matcher.get_matching_blocks())
    other = [
        (theirs[a], ours[b])
        for kind, a, a_end, b, b_end in matcher.get_opcodes()
        if kind == "replace" and a_end - a == b_end - b
        for a, b in zip(range(a, a_end), range(b, b_end), strict=True)
        if _NUMBER.fullmatch(theirs[a]) and _NUMBER.fullmatch(ours[b])
    ]
    if len(other) == 1 and matcher.ratio() >= ALIKE and _numbers_but_one(theirs, ours):
        return Change(Effect.CORRECTED, *other[0])
    if not other and same >= REPEATED * len(ours):
        return Change(Effect.REPEATED)
    return None


def _numbers_but_one(theirs: list[str], ours: list[str]) -> bool:
    """Tell whether exactly one number differs between the two, and at least one is the same."""
    before, now = ([word for word in words if _NUMBER.fullmatch(word)] for words in (theirs, ours))
    differing = sum(a != b for a, b in zip(before, now, strict=False))
    return len(before) == len(now) > 1 and differing == 1
