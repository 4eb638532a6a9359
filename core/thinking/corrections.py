"""What a takeover changed: whether the large model corrected a value, or repeated what stood there already.

A correction is seen in numbers alone. The same left side of an equation has another value (`338 + 649 = 087`, then
`= 987`), or the text is mostly that of the lookahead or of the step before, with one number otherwise. What changes
more than that is new text, of which nothing is said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from enum import Enum
from typing import NamedTuple

from core.engines.body import Author
from core.thinking.trace import Piece

BEFORE = 6
"""Pieces before a takeover with which it is compared."""
LONGEST = 2_000
"""Characters of a text that are compared."""
ALIKE = 0.6
"""Share of common words from which two texts say the same, numbers aside."""
REPEATED = 0.8
"""Share of its words that stand in the earlier text, from which a takeover repeats it."""
FEWEST_WORDS = 4

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_WORD = re.compile(r"\d+(?:[.,]\d+)*|\w+|[^\w\s]")
_LATEX = re.compile(r"\\(?:left|right|,|;|!|quad|[()\[\]])|[${}]")
_OPERATORS = {r"\times": "×", r"\cdot": "×", r"\div": "÷", "*": "×", "−": "-"}
_VALUE = re.compile(r"=\s*(-?\d+(?:[.,]\d+)*)")
_LEFT = re.compile(r"(?:(?<!\w)[A-Za-z](?!\w)|[-+/^×÷#()\d.,\s])+$")
LONGEST_LEFT = 80
"""Characters before the sign of equality that can be its left side."""
_HAS_OPERATOR = re.compile(r"[-+/^×÷#]")


class Effect(Enum):
    """What a takeover did to what stood there."""

    CORRECTED = "corrected"
    REPEATED = "repeated"


class Change(NamedTuple):
    effect: Effect
    before: str = ""
    """The value as it was; empty for a repetition."""
    after: str = ""
    """The value as it is now, as it stands in the text."""


def change_of(pieces: Sequence[Piece], index: int) -> Change | None:
    """What the takeover that wrote a piece of a trace changed; None for new text, and for any other author."""
    piece = pieces[index]
    if piece.author is not Author.LARGE or piece.takeover is None:
        return None
    earlier = [other.text for other in pieces[max(0, index - BEFORE) : index] if other.author is not Author.INSERTED]
    return change(piece.text, piece.replaced, earlier)


def corrections(pieces: Sequence[Piece]) -> int:
    """How many takeovers corrected a value."""
    changes = (change_of(pieces, index) for index in range(len(pieces)))
    return sum(change is not None and change.effect is Effect.CORRECTED for change in changes)


def change(text: str, replaced: str, earlier: Sequence[str]) -> Change | None:
    """`replaced`: the lookahead that was discarded for the text; `earlier`: the texts before it, oldest first."""
    now = _plain(text)
    candidates = [_plain(each) for each in (replaced, *reversed(earlier)) if each.strip()]
    if found := _by_equation(now, candidates):
        return found
    nearest = candidates[: 1 + bool(replaced.strip())]  # the lookahead, and the step before
    return next(filter(None, (_by_words(now, each) for each in nearest)), None)


def _plain(text: str) -> str:
    """Without the marks of LaTeX, operators in one form."""
    text = text[:LONGEST]
    for written, plain in _OPERATORS.items():
        text = text.replace(written, plain)
    return _LATEX.sub("", text)


def _by_equation(now: str, candidates: Sequence[str]) -> Change | None:
    """The first equation that also stands in an earlier text, the newest one first."""
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
    """Whether both have the same numbers in the same order but for one, and another that is the same."""
    before, now = ([word for word in words if _NUMBER.fullmatch(word)] for words in (theirs, ours))
    differing = sum(a != b for a, b in zip(before, now, strict=False))
    return len(before) == len(now) > 1 and differing == 1
