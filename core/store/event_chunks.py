"""Packs events into compressed chunks of JSON lines (docs/trace.md), and unpacks them."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator

import msgspec

from baton_reasoning.core.errors import StoreError
from baton_reasoning.core.thinking.events import Event, TokenWritten
from baton_reasoning.core.thinking.trace_json import Json, event_to_json, events_from_json

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(TokenWritten)
"""Nearly all lines are tokens, which msgspec encodes and decodes several times as fast as Python's json."""


def pack(events: Iterable[Event]) -> bytes:
    """Pack events into one chunk."""
    return zlib.compress(b"\n".join(map(_line, events)))


def unpack(chunk: bytes) -> Iterator[Event]:
    """Yield the events of a chunk. Raises StoreError if it is damaged."""
    try:
        lines = zlib.decompress(chunk).split(b"\n")
    except zlib.error as error:
        raise StoreError("A part of this run cannot be read.", "The rest of it is shown.") from error
    for line in filter(None, lines):
        try:
            yield _DECODER.decode(line)
        except (ValueError, RecursionError):  # another event, or a token that `_line` left to json
            yield from events_from_json([_parsed(line)])


def json_line(data: Json) -> bytes:
    """Write an event as a line, in ASCII: models write lone surrogates, which UTF-8 cannot encode."""
    return json.dumps(data, separators=(",", ":"), default=str).encode("ascii")


def _line(event: Event) -> bytes:
    if isinstance(event, TokenWritten):
        try:
            line = _ENCODER.encode(event)
        except UnicodeEncodeError:
            return json_line(event_to_json(event))
        if b"null" not in line:  # msgspec would write NaN and infinities as null; json keeps them
            return line
    return json_line(event_to_json(event))


def _parsed(line: bytes) -> Json:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise StoreError("A part of this run cannot be read.", "The rest of it is shown.") from error
    if not isinstance(data, dict):
        raise StoreError("A part of this run holds no events.", "The rest of it is shown.")
    return data
