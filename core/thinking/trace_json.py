"""A whole trace as lines of JSON: its events, then one object with the totals and the pieces (docs/trace.md)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from core.engines.body import Author
from core.engines.usage import Usage
from core.errors import StoreError
from core.thinking.event_json import Json, events_from_json
from core.thinking.events import SCHEMA
from core.thinking.pieces import Piece
from core.thinking.trace import Trace


def trace_from_lines(lines: Iterable[str]) -> Trace:
    """The trace again, from its events alone. Raises StoreError, with the number of a line that is not JSON."""
    return Trace.of(events_from_json(_objects(lines)))


def trace_to_json(trace: Trace) -> Json:
    """The last line: what the run came to. Everything in it follows from the events."""
    return {
        "event": "trace",
        "schema": SCHEMA,
        "finish": trace.finish.value if trace.finish else None,
        "reason": trace.ended.reason if trace.ended else "",
        "seconds": trace.seconds,
        "tokens": trace.tokens,
        "large_share": trace.large_share,
        "handoffs": trace.handoffs,
        "steps": len(trace.steps),
        "thinking": trace.thinking_text,
        "answer": trace.answer,
        "bills": {author.value: bill_to_json(bill) for author, bill in trace.bills.items()},
        "prefetch": [
            {"author": each.author.value, "began": each.began, "seconds": each.seconds, "tokens": each.tokens}
            for each in trace.readings
        ],
        "notices": [notice.text for notice in trace.notices],
        "totals": {
            author.value: {
                "kept": total.kept,
                "decoded": total.decoded,
                "discarded": total.discarded,
                "decode_seconds": total.decode_seconds,
                "tokens_per_second": total.tokens_per_second,
                "reused": total.reused,
                "prefilled": total.prefilled,
                "handoff_seconds": total.handoff_seconds,
                "takeovers": total.takeovers,
            }
            for author, total in trace.totals.items()
            if author is not Author.INSERTED
        },
        "pieces": [piece_to_json(piece) for piece in trace.pieces],
    }


def bill_to_json(bill: Usage) -> Json:
    return {**bill.cost._asdict(), "money": bill.money, "currency": bill.currency}


def piece_to_json(piece: Piece) -> Json:
    return {
        "author": piece.author.value,
        "step": piece.step,
        "position": piece.position,
        "text": piece.text,
        "tokens": len(piece.tokens),
        "reason": piece.reason,
        "cue": piece.cue.word if piece.cue else None,
        "cue_category": piece.cue.category.value if piece.cue else None,
        "handoff_seconds": piece.handoff.seconds if piece.handoff else None,
        "reused": piece.handoff.reused if piece.handoff else None,
        "prefilled": piece.handoff.prefilled if piece.handoff else None,
        "replaced": piece.replaced,
        "replaced_tokens": piece.replaced_tokens,
        "counters": dict(piece.counters),
        "in_answer": piece.in_answer,
        "start": piece.start,
        "end": piece.end,
    }


def _objects(lines: Iterable[str]) -> Iterator[Json]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            data = json.loads(line)
        except ValueError as error:
            raise StoreError(f"Line {number} of the trace is not JSON: {error}.", "Is the file complete?") from error
        if not isinstance(data, dict):
            raise StoreError(f"Line {number} of the trace is not an object.", "Choose a trace that Baton exported.")
        yield data
