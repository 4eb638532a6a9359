"""Converts events and traces to JSON lines and back (docs/trace.md); the last line of a trace summarises the run.

The reader skips fields and kinds of events that it does not know; a notice says that another version wrote the events.
Whatever else is wrong with a line raises StoreError.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, cast

from msgspec import ValidationError, convert, to_builtins
from msgspec.structs import replace
from pydantic import TypeAdapter

from baton_reasoning.core.engines.base import ModelCard
from baton_reasoning.core.errors import SettingsError, StoreError
from baton_reasoning.core.models.source import parse_source
from baton_reasoning.core.thinking.events import SCHEMA, Event, Noticed, RunStarted
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.thinking.trace import Piece, Trace

Json = dict[str, Any]

SUMMARY = "trace"
"""The kind of the last line, which is no event."""
NOT_KNOWN = "A part of this run is not shown: another version of Baton wrote it."

KINDS: dict[str, type[Event]] = {str(kind.__struct_config__.tag): kind for kind in Event.__subclasses__()}
"""Event classes by the tag in their JSON."""
_MALFORMED = (ValidationError, ValueError, TypeError, KeyError, OverflowError, RecursionError, SettingsError)
_TOTALS = (
    *("kept", "decoded", "discarded", "decode_seconds", "tokens_per_second"),
    *("reused", "prefilled", "handoff_seconds", "takeovers"),
)
_PIECE = (
    *("step", "position", "text", "reason", "replaced", "replaced_tokens"),
    *("drafts", "accepted_drafts", "in_answer", "start", "end"),
)
"""Attributes that the summary has under their own names."""


def event_to_json(event: Event) -> Json:
    """Return an object of JSON values, with the kind as "event". `RunStarted` also has the schema."""
    if not isinstance(event, RunStarted):
        return cast(Json, to_builtins(event))
    cards = {"small": _card_to_json(event.small), "large": _card_to_json(event.large)}
    data: Json = to_builtins(replace(event, small=None, large=None))
    return data | cards | {"schema": SCHEMA}


def event_from_json(data: Json) -> Event | None:
    """Return the event; None if this version does not know its kind. Raises StoreError if it is malformed."""
    try:
        kind = KINDS.get(data["event"]) if isinstance(data.get("event"), str) else None
        if kind is RunStarted:
            data = data | {author: _card_from_json(data[author]) for author in ("small", "large")}
        return convert(data, kind) if kind else None
    except _MALFORMED as error:
        raise StoreError(
            f"An event of the kind {data['event']!r} cannot be read: {error}.",
            "The trace is damaged or was written by a newer version of Baton.",
        ) from error


def events_from_json(lines: Iterable[Json]) -> Iterator[Event]:
    """Yield the events that this version knows, and a notice of what it does not know. Raises StoreError."""
    for data in lines:
        event = event_from_json(data)
        if event is None and isinstance(kind := data.get("event"), str) and kind != SUMMARY:
            event = event_from_json({"event": "noticed", "at": data.get("at", 0.0), "text": NOT_KNOWN})
        if event:
            yield event
        if isinstance(event, RunStarted) and event.policy not in POLICIES:
            told = f"This run had the policy “{event.policy}”, which this version of Baton does not have."
            yield Noticed(event.at, told)


def trace_from_lines(lines: Iterable[str]) -> Trace:
    """Rebuild a trace from its events alone. Raises StoreError, with the number of a line that is not JSON."""
    return Trace.of(events_from_json(_objects(lines)))


def trace_to_json(trace: Trace) -> Json:
    """Return the last line, which summarises the run. Everything in it follows from the events."""
    return {
        "event": SUMMARY,
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
        "usage": {author.value: to_builtins(usage) for author, usage in trace.usage.items()},
        "prefetch": [
            {"author": each.author.value, "began": each.began, "seconds": each.seconds, "tokens": each.tokens}
            for each in trace.prefetches
        ],
        "notices": [notice.text for notice in trace.notices],
        "totals": {
            author.value: {name: getattr(total, name) for name in _TOTALS}
            for author, total in trace.totals.items()
            if author.is_model
        },
        "pieces": [_piece_to_json(piece) for piece in trace.pieces],
    }


def _piece_to_json(piece: Piece) -> Json:
    return {
        "author": piece.author.value,
        "model": piece.card.name if piece.card else None,
        "policy": piece.run.policy if piece.run else None,
        "tokens": len(piece.tokens),
        "cue": piece.cue.word if piece.cue else None,
        "cue_category": piece.cue.category.value if piece.cue else None,
        "handoff": to_builtins(piece.handoff),
        "counters": dict(piece.counters),
        **{name: getattr(piece, name) for name in _PIECE},
    }


def _card_to_json(card: ModelCard | None) -> Json | None:
    if card is None:
        return None
    without_places = dataclasses.replace(card, source=None, path=None)
    data: Json = _card_type().dump_python(without_places, mode="json", exclude_defaults=True)
    if "abilities" in data:
        data["abilities"].sort()
    return data | ({"source": str(card.source)} if card.source else {})


def _card_from_json(data: Any) -> ModelCard | None:
    if not isinstance(data, dict):
        return data if data is None else _card_type().validate_python(data)
    source = data.get("source")
    return _card_type().validate_python(data | {"source": parse_source(source) if isinstance(source, str) else None})


@cache
def _card_type() -> TypeAdapter[ModelCard]:
    return TypeAdapter(ModelCard)


def _objects(lines: Iterable[str]) -> Iterator[Json]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            data = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise StoreError(f"Line {number} of the trace is not JSON: {error}.", "Is the file complete?") from error
        if not isinstance(data, dict):
            raise StoreError(f"Line {number} of the trace is not an object.", "Choose a trace that Baton exported.")
        yield data
