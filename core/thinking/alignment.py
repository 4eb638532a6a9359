"""Align the steps of several texts: steps that are the same or alike share a row.

    first    a   b   c           e
    second   a   b   x   c alike e
             =   =   ≠   ≈       =

Two texts are lined up in three passes: the beginning that they share; then steps that occur once in both, by the
longest chain that keeps their order (Cohen's patience diff); then, between those, the pairs of steps that are most
alike together. What is left over between two matches stands by its number. A third text is lined up with the rows of
the first two.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from enum import Enum
from functools import lru_cache
from itertools import pairwise, takewhile
from typing import NamedTuple

from core.thinking.trace import Trace

ALIKE = 0.6
"""Share of common words from which two steps are alike."""
FEW_WORDS = 3
"""A shorter step ("So.") says too little to line two texts up by."""
MOST_PAIRS = 60_000
"""Most pairs of steps compared between two matches; beyond that, steps are paired by number."""


class Likeness(Enum):
    SAME = "="
    ALIKE = "≈"
    OTHER = "≠"


class Row(NamedTuple):
    """One row of the table. `steps` has an entry for each text, `likeness` one for each neighbouring pair."""

    steps: tuple[int | None, ...]
    """Index of each text's step; None where it has no step here."""
    likeness: tuple[Likeness | None, ...]
    """Of each text's step to that of the text before it; None where one is missing or not known yet."""


class StepMatch(NamedTuple):
    one: int
    other: int


class Words(NamedTuple):
    """A step as it is compared."""

    text: str
    words: frozenset[tuple[str, int]]
    """Each with how often it has occurred so far, so that a set counts them."""

    def share_with(self, other: Words) -> float:
        """Words in common, of all words of both (Dice's coefficient), 0 to 1."""
        return 2 * len(self.words & other.words) / max(1, len(self.words) + len(other.words))


@lru_cache(maxsize=1 << 14)
def words_of(text: str) -> Words:
    """Cached, because texts that grow are aligned again and again."""
    seen: Counter[str] = Counter()
    words = []
    for word in re.findall(r"\w+|[^\w\s]", text):
        seen[word] += 1
        words.append((word, seen[word]))
    return Words(" ".join(text.split()), frozenset(words))


def thinking_steps(trace: Trace, live: bool = False) -> list[str]:
    """The steps of the thinking, or of the whole text if the model has no thinking tags.

    While it is `live` the last one is "": it cannot be compared yet.
    """
    tag = trace.closed.tag if trace.closed else ""
    texts = [step.text.strip().removesuffix(tag).strip() for step in trace.steps if not step.in_answer]
    while texts and not texts[-1]:
        texts.pop()  # blanks, or the closing tag
    if live and not trace.closed and texts:
        texts[-1] = ""
    return texts


def align(texts: Sequence[Sequence[str]]) -> list[Row]:
    """Rows for texts given as their steps. Each step stands in exactly one row, in its order."""
    columns = [[words_of(step) for step in text] for text in texts]
    cells: list[tuple[int | None, ...]] = [(step,) for step in range(len(columns[0]))] if columns else []
    for place in range(1, len(columns)):
        so_far = [_last_known(columns, steps) for steps in cells]
        cells = _joined(cells, place, len(columns[place]), _matches(so_far, columns[place]))
    return [Row(steps, _likeness_in(columns, steps)) for steps in cells]


def parting(rows: Sequence[Row]) -> int:
    """Index of the first row in which two texts differ; `len(rows)` if none do.

    A text that has come to its end before is not missed in later rows.
    """
    ends = [_last_row(rows, place) for place in range(len(rows[0].steps) if rows else 0)]
    for index, (steps, likeness) in enumerate(rows):
        is_missed = any(step is None and index < end for step, end in zip(steps, ends, strict=True))
        if is_missed or any(found not in (None, Likeness.SAME) for found in likeness):
            return index
    return len(rows)


def _last_row(rows: Sequence[Row], place: int) -> int:
    return max((index for index, row in enumerate(rows) if row.steps[place] is not None), default=-1)


def _last_known(columns: Sequence[Sequence[Words]], steps: Sequence[int | None]) -> Words:
    """The nearest text with a step in this row stands for the row."""
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
    return Likeness.ALIKE if one.share_with(other) >= ALIKE else Likeness.OTHER


def _joined(
    cells: Sequence[tuple[int | None, ...]], places: int, steps: int, matches: Sequence[StepMatch]
) -> list[tuple[int | None, ...]]:
    """The rows with one more text in them; `places`: how many texts they have already."""
    joined: list[tuple[int | None, ...]] = []
    row = step = 0
    for match in [*matches, StepMatch(len(cells), steps)]:
        while row < match.one or step < match.other:
            before = cells[row] if row < match.one else (None,) * places
            joined.append((*before, step if step < match.other else None))
            row, step = min(row + 1, match.one), min(step + 1, match.other)
        if row < len(cells) and step < steps:
            joined.append((*cells[row], step))
        row, step = row + 1, step + 1
    return joined


def _matches(ones: Sequence[Words], others: Sequence[Words]) -> list[StepMatch]:
    """Pairs that belong into one row, in the order of both."""
    same = takewhile(lambda pair: pair[0].text == pair[1].text != "", zip(ones, others, strict=False))
    matches = [StepMatch(index, index) for index, _ in enumerate(same)]
    anchors = _anchors(ones, others, len(matches))
    for anchor in [*anchors, StepMatch(len(ones), len(others))]:
        start = StepMatch(matches[-1].one + 1, matches[-1].other + 1) if matches else StepMatch(0, 0)
        matches += _most_alike(ones, others, start, anchor)
        matches.append(anchor)
    return matches[:-1]


def _anchors(ones: Sequence[Words], others: Sequence[Words], start: int) -> list[StepMatch]:
    """The longest chain of steps that occur once in both texts, from `start` on."""
    places = [_unique(ones, start), _unique(others, start)]
    common = [StepMatch(place, places[1][text]) for text, place in places[0].items() if text in places[1]]
    before: dict[StepMatch, StepMatch | None] = {}
    last: list[StepMatch] = []
    """Of the chains of each length, the end of the one that leaves most room."""
    for match in common:
        length = bisect_left(last, match.other, key=lambda end: end.other)
        before[match] = last[length - 1] if length else None
        last[length : length + 1] = [match]
    chain: list[StepMatch] = []
    at = last[-1] if last else None
    while at:
        chain.append(at)
        at = before[at]
    return chain[::-1]


def _unique(steps: Sequence[Words], start: int) -> dict[str, int]:
    counts = Counter(step.text for step in steps[start:])
    return {
        step.text: place
        for place, step in enumerate(steps[start:], start)
        if counts[step.text] == 1 and len(step.words) >= FEW_WORDS
    }


def _most_alike(ones: Sequence[Words], others: Sequence[Words], start: StepMatch, end: StepMatch) -> list[StepMatch]:
    """The pairs between two matches that keep the order and are, together, most alike."""
    rows, columns = range(start.one, end.one), range(start.other, end.other)
    if not rows or not columns or len(rows) * len(columns) > MOST_PAIRS:
        return []
    # best[i][j]: what the steps from i and j on can have in common at most.
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
    """The share of words that two steps have in common; 0 below `ALIKE`."""
    if min(len(one.words), len(other.words)) < FEW_WORDS:
        return 0.0
    share = one.share_with(other)
    return share if share >= ALIKE else 0.0
