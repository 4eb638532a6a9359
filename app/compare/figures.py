"""Texts of a comparison: arm titles, figures, and their difference from the first column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from baton_reasoning.core.grading.grader import Standing
from baton_reasoning.core.grading.verdict import Outcome
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.words.numbers import duration, percent_more, times_as_many

VERDICTS = {Outcome.CORRECT: "✓ right", Outcome.WRONG: "✗ wrong"}


class Figure(NamedTuple):
    name: str
    value: str
    difference: str = ""
    """The difference from the first column."""


def figures(trace: Trace, first: Trace | None, times_are_known: bool = True) -> list[Figure]:
    """Return what an answer cost. `first`: the trace to compare with; None for the first column and while it writes.

    `times_are_known` is False where something else made one of the two slower.
    """
    tokens = percent_more(trace.tokens, first.tokens) if first else ""
    found = [Figure("Tokens", f"{trace.tokens:,}", tokens), Figure("Takeovers", f"{trace.takeovers:,}")]
    if trace.seconds > 0:
        longer = times_as_many(trace.seconds, first.seconds) if first and times_are_known else ""
        rate = f"{trace.tokens / trace.seconds:,.0f} tok/s"
        found += [Figure("Time", duration(trace.seconds), longer), Figure("Speed", rate)]
    return found


def standing_text(standing: Standing, titles: Sequence[str]) -> str:
    """Return the verdict: ✓ right, ✗ wrong; where nothing is expected: = all agree, = as Small only, ≠ differs."""
    if standing.answer is None:
        return "✗ no answer" if standing.outcome is Outcome.WRONG else "no answer"
    if standing.outcome in VERDICTS:
        return VERDICTS[standing.outcome]
    if len(standing.same) == len(titles) - 1:
        return "= all agree" if len(titles) > 2 else "= they agree"
    return f"= as {titles[standing.same[0]]}" if standing.same else "≠ differs"
