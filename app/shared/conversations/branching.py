"""Where one answer goes on as another: the part of a trace that stands before a place in its text."""

from __future__ import annotations

from core.engines.body import Author
from core.thinking.events import TextInserted, TokenWritten
from core.thinking.policy import Move, Until, keep, take_over
from core.thinking.reasons import PERSON
from core.thinking.trace import Trace

STEP_CAP = 512
"""Tokens that a step may have when the large model is asked to write it again."""


def trace_until(trace: Trace, position: int) -> Trace:
    """Return a new trace that ends `position` characters into the body, or at the beginning of the token there.

    What was decided there, and what was written for that and discarded, is no part of it: it is decided again.
    """
    standing: list[tuple[int, int]] = []
    """Where each token and inserted text that stands ends, and the number of events up to it."""
    text = Trace()
    for number, event in enumerate(trace.events, 1):
        text.apply(event)
        while standing and standing[-1][0] > text.length:
            standing.pop()
        if isinstance(event, TokenWritten | TextInserted) and event.text:
            standing.append((text.length, number))
    return Trace.of(trace.events[: max((number for end, number in standing if end <= position), default=0)])


def move_of(author: Author, default_writer: Author = Author.SMALL) -> Move:
    """Let this model write the next step; the policy, which has a default writer, decides from there."""
    return keep() if author is default_writer else take_over(STEP_CAP, PERSON, until=Until.STEP, author=author)
