"""Says in a sentence where two neighbouring answers of a comparison diverge, and who wrote there."""

from __future__ import annotations

from collections.abc import Sequence

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.differences import Row, differing_numbers, parting
from baton_reasoning.core.thinking.trace import Trace

LONGEST_NUMBER = 12
"""Digits of a number that are shown."""


def caption(rows: Sequence[Row], texts: Sequence[Sequence[str]], traces: Sequence[Trace], *, are_over: bool) -> str:
    """Return “Columns 1 and 2 diverge at step 7: 849 ≠ 149; the large model wrote there in column 2.”

    One sentence for each two neighbours that diverge. `texts`: the steps of each column. If none do, it says so once
    all answers are over (`are_over`).
    """
    sentences = [_sentence(rows, texts, traces, left) for left in range(len(texts) - 1)]
    if any(sentences):
        return " ".join(filter(None, sentences))
    if not are_over or not rows:
        return ""
    columns = "Both columns" if len(texts) == 2 else f"All {len(texts)} columns"
    shortest, longest = min(map(len, texts)), max(map(len, texts))
    return f"{columns} have the same steps{f', up to step {shortest}' if shortest < longest else ''}."


def _sentence(rows: Sequence[Row], texts: Sequence[Sequence[str]], traces: Sequence[Trace], left: int) -> str:
    place = parting(rows, range(left, left + 2))
    if place == len(rows):
        return ""
    row = rows[place]
    one, other = row.steps[left : left + 2]
    if one is None or other is None:
        lacking = left + 1 if one is None else left + 2
        return f"{_beginning(left, one if other is None else other)}, which column {lacking} does not have."
    numbers = differing_numbers(texts[left][one], texts[left + 1][other])
    difference = f": {_unequal(numbers)}" if numbers else " in their words"
    details = [f"{_beginning(left, one)}{difference}", _large_wrote(row, traces, left)]
    details += [] if numbers else [_first_numbers(rows[place:], texts, left)]
    return f"{'; '.join(filter(None, details))}."


def _beginning(left: int, step: int | None) -> str:
    return f"Columns {left + 1} and {left + 2} diverge at step {(step or 0) + 1}"


def _unequal(numbers: tuple[str, str]) -> str:
    """Return “849 ≠ 149”, long numbers cut short."""
    one, other = (each if len(each) <= LONGEST_NUMBER else f"{each[:LONGEST_NUMBER]}…" for each in numbers)
    return f"{one} ≠ {other}"


def _large_wrote(row: Row, traces: Sequence[Trace], left: int) -> str:
    """Say in which of the two columns the large model wrote at a step; nothing if in both or in neither."""
    columns = [place + 1 for place in (left, left + 1) if _has_large(traces[place], row.steps[place])]
    return f"the large model wrote there in column {columns[0]}" if len(columns) == 1 else ""


def _has_large(trace: Trace, step: int | None) -> bool:
    return any(piece.step == step and piece.author is Author.LARGE for piece in trace.pieces)


def _first_numbers(rows: Sequence[Row], texts: Sequence[Sequence[str]], left: int) -> str:
    """Name the first numbers that differ; nothing if none do."""
    for row in rows:
        one, other = row.steps[left : left + 2]
        if one is None or other is None:
            continue
        if numbers := differing_numbers(texts[left][one], texts[left + 1][other]):
            return f"their numbers differ first at step {one + 1}: {_unequal(numbers)}"
    return "no number differs"
