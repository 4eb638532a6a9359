"""Compares texts: lines up the steps of several, and finds out what a takeover changed in the text before it.

    first    a   b   c           e
    second   a   b   x   c alike e
             =   =   ≠   ≈       =

Numbers decide: steps of which each has a number that the other has not are different, however alike their words are;
and only numbers show that a takeover corrected something. Either the left side of an equation has another value
(`338 + 649 = 087`, then `= 987`), or the text is mostly that of the lookahead or of the step before, with one number
changed. What differs more than that is new text, and nothing is said about it.

Two texts are lined up in three passes: the beginning that they share; then steps that are the same (difflib); then,
between those, the pairs of steps that are most alike together. Steps that are left over between two matches are paired
by their number. A third text is lined up with the rows of the first two.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from enum import Enum
from functools import lru_cache
from itertools import pairwise, takewhile
from typing import NamedTuple

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.trace import Piece, Trace

ALIKE = 0.6
"""Share of common words from which two texts are alike."""
FEW_WORDS = 3
"""A shorter step ("So.") says too little to line two texts up by."""
FEWEST_WORDS = 4
"""A shorter takeover says too little to tell what it changed."""
BEFORE = 6
"""A takeover is compared with this many pieces before it."""
LONGEST = 2_000
"""Number of characters of a takeover that are compared."""
LONGEST_LEFT = 80
"""Most characters before the equals sign that can be its left side."""
MOST_PAIRS = 60_000
"""Most pairs of steps that are compared between two matches; if there are more, steps are paired by number."""

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_WORD = re.compile(rf"{_NUMBER.pattern}|\w+|[^\w\s]")
"""A number, a word or a mark."""
_LATEX = re.compile(r"\\(?:left|right|,|;|!|quad|[()\[\]])|[${}]")
_OPERATORS = {r"\times": "×", r"\cdot": "×", r"\div": "÷", "*": "×", "−": "-"}
_VALUE = re.compile(rf"=\s*(-?{_NUMBER.pattern})")
_LEFT = re.compile(r"(?:(?<!\w)[A-Za-z](?!\w)|[-+/^×÷#()\d.,\s])+$")
_HAS_OPERATOR = re.compile(r"[-+/^×÷#]")


class Likeness(Enum):
    SAME = "="
    ALIKE = "≈"
    OTHER = "≠"


class Row(NamedTuple):
    """A row of the table. `steps` has an entry for each text, `likeness` one for each pair of neighbours."""

    steps: tuple[int | None, ...]
    """Index of each text's step; None where it has no step here."""
    likeness: tuple[Likeness | None, ...]
    """Likeness of each text's step to that of the text before it; None where one is missing or not known yet."""


class StepMatch(NamedTuple):
    one: int
    other: int


class Words(NamedTuple):
    """A step in the form in which it is compared."""

    text: str
    words: frozenset[tuple[str, int]]
    """Each word with the number of its occurrences so far, so that a set counts them."""
    numbers: tuple[str, ...]

    @property
    def is_short(self) -> bool:
        return len(self.words) < FEW_WORDS

    def share_with(self, other: Words) -> float:
        """Return the share of common words in all words of both (Dice's coefficient), 0 to 1."""
        return 2 * len(self.words & other.words) / max(1, len(self.words) + len(other.words))


@lru_cache(maxsize=1 << 14)
def words_of(text: str) -> Words:
    """Prepare a step for comparison. Cached, because texts that grow are aligned again and again."""
    seen: Counter[str] = Counter()
    words = []
    for word in _WORD.findall(text):
        seen[word] += 1
        words.append((word, seen[word]))
    return Words(" ".join(text.split()), frozenset(words), tuple(_NUMBER.findall(text)))


def differing_numbers(one: str, other: str) -> tuple[str, str] | None:
    """Return the first number of each step that the other has not; None unless both have one."""
    ours, theirs = words_of(one).numbers, words_of(other).numbers
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


def align(texts: Sequence[Sequence[str]]) -> list[Row]:
    """Line up texts given as their steps. Each step is in exactly one row, in its order."""
    columns = [[words_of(step) for step in text] for text in texts]
    cells: list[tuple[int | None, ...]] = [(step,) for step in range(len(columns[0]))] if columns else []
    for place in range(1, len(columns)):
        so_far = [_last_known(columns, steps) for steps in cells]
        cells = _joined(cells, place, len(columns[place]), _matches(so_far, columns[place]))
    return [Row(steps, _likeness_in(columns, steps)) for steps in cells]


def parting(rows: Sequence[Row], texts: range | None = None) -> int:
    """Return the index of the first row in which two texts differ; `len(rows)` if none do.

    `texts`: the neighbouring ones that are compared; by default all. One that has ended before a row does not differ
    there.
    """
    texts = range(len(rows[0].steps) if rows else 0) if texts is None else texts
    ends = {text: max((n for n, row in enumerate(rows) if row.steps[text] is not None), default=-1) for text in texts}
    for index, (steps, likeness) in enumerate(rows):
        has_step = any(steps[text] is not None for text in texts)
        is_missed = has_step and any(steps[text] is None and index < ends[text] for text in texts)
        if is_missed or any(likeness[text] not in (None, Likeness.SAME) for text in texts[:-1]):
            return index
    return len(rows)


def _last_known(columns: Sequence[Sequence[Words]], steps: Sequence[int | None]) -> Words:
    """Return the step that stands for a row: that of the last text with a step in it."""
    place = max(place for place, step in enumerate(steps) if step is not None)
    return columns[place][steps[place] or 0]


def _likeness_in(columns: Sequence[Sequence[Words]], steps: Sequence[int | None]) -> tuple[Likeness | None, ...]:
    row = [None if step is None else column[step] for column, step in zip(columns, steps, strict=True)]
    return tuple(_likeness(one, other) for one, other in pairwise(row))


def _likeness(one: Words | None, other: Words | None) -> Likeness | None:
    if not (one and other and one.text and other.text):
        return None
    if one.text == other.text:
        return Likeness.SAME
    is_alike = one.share_with(other) >= ALIKE and not differing_numbers(one.text, other.text)
    return Likeness.ALIKE if is_alike else Likeness.OTHER


def _joined(
    cells: Sequence[tuple[int | None, ...]], places: int, steps: int, matches: Sequence[StepMatch]
) -> list[tuple[int | None, ...]]:
    """Add a text of so many steps to the rows. `places`: the number of texts that they already have."""
    joined: list[tuple[int | None, ...]] = []
    row = step = 0
    for match in [*matches, StepMatch(len(cells), steps)]:
        while row < match.one or step < match.other:
            before = cells[row] if row < match.one else (None,) * places
            joined.append((*before, step if step < match.other else None))
            row, step = min(row + 1, match.one), min(step + 1, match.other)
        if row < len(cells):  # not after the last match, which is the end of both
            joined.append((*cells[row], step))
        row, step = row + 1, step + 1
    return joined


def _matches(ones: Sequence[Words], others: Sequence[Words]) -> list[StepMatch]:
    """Pair the steps that belong in one row, in the order of both texts."""
    beginning = takewhile(lambda pair: pair[0].text == pair[1].text != "", zip(ones, others, strict=False))
    matches = [StepMatch(index, index) for index, _ in enumerate(beginning)]
    shared = len(matches)
    one_texts, other_texts = ([step.text for step in steps[shared:]] for steps in (ones, others))
    matcher = SequenceMatcher(lambda text: words_of(text).is_short, one_texts, other_texts, autojunk=False)
    same = [
        StepMatch(shared + one + number, shared + other + number)
        for one, other, size in matcher.get_matching_blocks()
        for number in range(size)
    ]
    for anchor in [*same, StepMatch(len(ones), len(others))]:
        start = StepMatch(matches[-1].one + 1, matches[-1].other + 1) if matches else StepMatch(0, 0)
        matches += _most_alike(ones, others, start, anchor)
        matches.append(anchor)
    return matches[:-1]


def _most_alike(ones: Sequence[Words], others: Sequence[Words], start: StepMatch, end: StepMatch) -> list[StepMatch]:
    """Pair the steps between two matches so that they keep their order and are, together, most alike."""
    rows, columns = range(start.one, end.one), range(start.other, end.other)
    if not rows or not columns or len(rows) * len(columns) > MOST_PAIRS:
        return []
    # best[i][j]: the most that the steps from i and j on can have in common
    best = [[0.0] * (len(columns) + 1) for _ in range(len(rows) + 1)]
    shares = [[_worth(ones[one], others[other]) for other in columns] for one in rows]
    for i in reversed(range(len(rows))):
        for j in reversed(range(len(columns))):
            best[i][j] = max(best[i + 1][j], best[i][j + 1], shares[i][j] and shares[i][j] + best[i + 1][j + 1])
    matches = []
    i = j = 0
    while i < len(rows) and j < len(columns) and best[i][j]:
        if shares[i][j] and best[i][j] == shares[i][j] + best[i + 1][j + 1]:
            matches.append(StepMatch(rows[i], columns[j]))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return matches


def _worth(one: Words, other: Words) -> float:
    """Return the share of words that two steps have in common; 0 below `ALIKE`."""
    if one.is_short or other.is_short:
        return 0.0
    share = one.share_with(other)
    return share if share >= ALIKE else 0.0


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
    """Return the one number that differs between two texts that are alike otherwise."""
    ours, theirs = _WORD.findall(now), _WORD.findall(before)
    if min(len(ours), len(theirs)) < FEWEST_WORDS:
        return None
    matcher = SequenceMatcher(None, theirs, ours, autojunk=False)
    same = sum(block.size for block in matcher.get_matching_blocks())
    other = [
        pair
        for kind, start, end, our_start, our_end in matcher.get_opcodes()
        if kind == "replace" and end - start == our_end - our_start
        for pair in zip(theirs[start:end], ours[our_start:our_end], strict=True)
        if all(map(_NUMBER.fullmatch, pair))
    ]
    if len(other) == 1 and 2 * same >= ALIKE * (len(ours) + len(theirs)) and _numbers_but_one(theirs, ours):
        return Correction(*other[0])
    return None


def _numbers_but_one(theirs: list[str], ours: list[str]) -> bool:
    """Tell whether exactly one number differs between the two, and at least one is the same."""
    before, now = ([word for word in words if _NUMBER.fullmatch(word)] for words in (theirs, ours))
    return len(before) == len(now) > 1 and sum(a != b for a, b in zip(before, now, strict=True)) == 1
