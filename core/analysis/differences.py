"""Compares texts: finds the step at which several part, and what a takeover corrected in the text before it.

Only numbers show that a takeover corrected something. Either the left side of an equation has another value
(`338 + 649 = 087`, then `= 987`), or the text is mostly that of the lookahead or of the step before, with one number
changed that is a value. What differs more than that, or counts another step, is new text, and nothing is said about it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import NamedTuple

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.trace import Piece, Trace

ALIKE = 0.6
"""Share of common words (difflib's ratio) from which a takeover is alike to the text before it."""
FEWEST_WORDS = 4
"""A shorter takeover says too little to tell what it changed."""
BEFORE = 6
"""A takeover is compared with this many pieces before it."""
LONGEST = 2_000
"""Number of characters of a takeover that are compared."""
LONGEST_LEFT = 80
"""Most characters before the equals sign that can be its left side."""

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_WORD = re.compile(rf"{_NUMBER.pattern}|\w+|[^\w\s]")
"""A number, a word or a mark."""
_ORDINAL = re.compile(
    r"\bsteps?\s+(\d+)|(\d+)(?:st|nd|rd|th)\b"  # step 4, the 4th
    r"|^[\s#>×_-]*(?:\w+\s+(\d+):|\(?(\d{1,2})[.:)](?=[\s×_]+\S))",  # Case 4: …, 4. …, **4.** …
    re.IGNORECASE | re.MULTILINE,
)
"""A number that counts steps, items or places, in one of its groups. `_plain` has made × of the stars of Markdown."""
_LATEX = re.compile(r"\\(?:left|right|,|;|!|quad|[()\[\]])|[${}]")
_OPERATORS = {r"\times": "×", r"\cdot": "×", r"\div": "÷", "*": "×", "−": "-"}
_VALUE = re.compile(rf"=\s*(-?{_NUMBER.pattern})")
_LEFT = re.compile(r"(?:(?<!\w)[A-Za-z](?!\w)|[-+/^×÷#()\d.,\s])+$")
_HAS_OPERATOR = re.compile(r"[-+/^×÷#]")


def differing_numbers(one: str, other: str) -> tuple[str, str] | None:
    """Return the first number of each step that the other has not; None unless both have one, in the same words."""
    if _NUMBER.sub("", one).split() != _NUMBER.sub("", other).split():
        return None
    ours, theirs = _NUMBER.findall(one), _NUMBER.findall(other)
    own, its = Counter(ours) - Counter(theirs), Counter(theirs) - Counter(ours)
    if not own or not its:
        return None
    return next(each for each in ours if each in own), next(each for each in theirs if each in its)


def thinking_steps(trace: Trace) -> list[str]:
    """Return the steps of the thinking, or of the whole text if the model has no thinking tags."""
    tag = trace.closed.tag if trace.closed else ""
    texts = [step.text.strip().removesuffix(tag).strip() for step in trace.steps if not step.in_answer]
    while texts and not texts[-1]:
        texts.pop()  # blanks, or the closing tag
    return texts


def parting(texts: Sequence[Sequence[str]]) -> int | None:
    """Return the index of the first step in which texts differ, white space aside; None if they have not parted.

    A text that has ended before a step does not differ there.
    """
    for index, steps in enumerate(zip_longest(*texts)):
        if len({" ".join(step.split()) for step in steps if step is not None}) > 1:
            return index
    return None


class Correction(NamedTuple):
    """A value that a takeover changed, in the two forms that the text gives it."""

    before: str
    after: str


def correction_by(pieces: Sequence[Piece], index: int) -> Correction | None:
    """Return what the takeover that wrote a piece corrected; None for new text, and for a piece of another author."""
    piece = pieces[index]
    if piece.author is not Author.LARGE or piece.takeover is None:
        return None
    earlier = [other.text for other in pieces[max(0, index - BEFORE) : index] if other.author is not Author.INSERTED]
    return correction_in(piece.text, piece.replaced, earlier)


def correction_in(text: str, replaced: str, earlier: Sequence[str]) -> Correction | None:
    """Compare a text with the lookahead that it replaced, and with the earlier texts, of which the oldest is first."""
    now = _plain(text)
    candidates = [_plain(each) for each in (replaced, *reversed(earlier)) if each.strip()]
    known: dict[str, str] = {}
    for left, value in (equation for candidate in candidates for equation in _equations(candidate)):
        known.setdefault(left, value)  # the newest text comes first
    repeated = [(left, value) for left, value in _equations(now) if left in known]
    if repeated:
        corrected = (Correction(known[left], value) for left, value in repeated if known[left] != value)
        return next(corrected, None)
    nearest = candidates[: 1 + bool(replaced.strip())]  # the lookahead, and the step before
    found = next(filter(None, (_by_words(now, each) for each in nearest)), None)
    return found if found and found.after not in _NUMBER.findall(replaced) else None  # else it repeats the lookahead


def _plain(text: str) -> str:
    """Strip the marks of LaTeX, and write each operator in one form."""
    text = text[:LONGEST]
    for written, plain in _OPERATORS.items():
        text = text.replace(written, plain)
    return _LATEX.sub("", text)


def _equations(text: str) -> Iterator[tuple[str, str]]:
    for match in _VALUE.finditer(text):
        found = _LEFT.search(text[max(0, match.start() - LONGEST_LEFT) : match.start()])
        left = "".join(found[0].split()).lstrip(".,)") if found else ""
        if _HAS_OPERATOR.search(left) and _NUMBER.search(left):
            yield left, match[1]


def _by_words(now: str, before: str) -> Correction | None:
    """Return the one number that differs between two texts that are alike otherwise and share another number, unless it
    only counts steps."""
    if _ORDINAL.findall(before) != _ORDINAL.findall(now):
        return None
    words = [_WORD.findall(text) for text in (before, now)]
    numbers = [list(filter(_NUMBER.fullmatch, each)) for each in words]
    if min(map(len, words)) < FEWEST_WORDS or not 1 < len(numbers[0]) == len(numbers[1]):
        return None
    differing = [Correction(*pair) for pair in zip(*numbers, strict=True) if pair[0] != pair[1]]
    is_alike = SequenceMatcher(None, words[0], words[1], autojunk=False).ratio() >= ALIKE
    return differing[0] if len(differing) == 1 and is_alike else None
