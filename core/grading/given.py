"""Finds what is graded: the answer of a run or, by a pattern, all of its text after the thinking."""

from __future__ import annotations

from baton_reasoning.core.grading.extraction import answer_of, extract_answer
from baton_reasoning.core.grading.verdict import How, Regex
from baton_reasoning.core.thinking.trace import Trace


def given_in(trace: Trace, expected: str | None, how: How | Regex) -> str | None:
    """Find what is graded in a run."""
    return (trace.answer.strip() or None) if isinstance(how, Regex) else answer_of(trace, expected)


def given_in_continuation(
    before: str,
    continuation: str,
    expected: str | None,
    how: How | Regex,
    *,
    answer_start: int | None,
    closing_tag: str,
    ended: bool,
) -> str | None:
    """Find what is graded in a text with its continuation, as `given_in` does in a trace.

    `answer_start`: in `before`; None while its thinking is open, which `closing_tag` ends ("" for a writer without
    thinking tags). `ended`: whether the writer has ended the text.
    """
    if answer_start is None and closing_tag and (found := continuation.find(closing_tag)) >= 0:
        answer_start = len(before) + found + len(closing_tag)
    answer = (before + continuation)[answer_start or 0 :]
    if isinstance(how, Regex):
        return None if answer_start is None else answer.strip() or None
    return extract_answer(answer, expected, finished=ended and answer_start is not None)
