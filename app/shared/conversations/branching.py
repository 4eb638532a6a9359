"""Where one answer goes on as another: the part of a trace that stands before a step."""

from __future__ import annotations

from core.engines.body import Author
from core.thinking.events import (
    Event,
    HandedOver,
    Prefetched,
    TakeoverStarted,
    TokenWritten,
    UsageReported,
    WriteStarted,
)
from core.thinking.policy import Move, Until, keep, take_over
from core.thinking.reasons import PERSON
from core.thinking.trace import Piece, Trace

STEP_CAP = 512
"""Tokens that a step may have when the large model is asked to write it again."""
ANNOUNCING = WriteStarted | HandedOver | TakeoverStarted
ACCOUNTS = UsageReported | Prefetched


def trace_before(trace: Trace, piece: Piece) -> Trace:
    """A trace of its own that ends where the piece begins, with everything that had led there."""
    events: list[Event] = trace.events
    if piece.tokens:
        end = _index_of(piece.tokens[0], events)
    else:
        earlier = Trace()
        for end, event in enumerate(events):  # noqa: B007 - the place is what is wanted
            if earlier.length == piece.position and _inserts(event, piece):
                break
            earlier.apply(event)
    # What only announces the write that is not to happen goes, too. What was paid for it stays.
    announced = end
    while announced and isinstance(events[announced - 1], ANNOUNCING | ACCOUNTS):
        announced -= 1
    accounts: list[Event] = [event for event in events[announced:end] if isinstance(event, ACCOUNTS)]
    return Trace.of(events[:announced] + accounts)


def trace_until(trace: Trace, position: int) -> Trace:
    """A trace of its own that ends `position` characters into the body, or at the beginning of the token there."""
    piece = next(piece for piece in reversed(trace.pieces) if piece.position <= position)
    at, before = piece.position, None
    for token in piece.tokens:
        if at + len(token.text) > position:
            break
        at, before = at + len(token.text), token
    if before is None:
        return trace_before(trace, piece)
    return Trace.of(trace.events[: _index_of(before, trace.events) + 1])


def _index_of(token: TokenWritten, events: list[Event]) -> int:
    return next(i for i in range(len(events) - 1, -1, -1) if events[i] is token)


def move_of(author: Author, default_writer: Author = Author.SMALL) -> Move:
    """Let this model write the next step; the policy, which has a default writer, decides from there."""
    return keep() if author is default_writer else take_over(STEP_CAP, PERSON, until=Until.STEP, author=author)


def _inserts(event: Event, piece: Piece) -> bool:
    return getattr(event, "text", None) == piece.text and getattr(event, "reason", None) == piece.reason
