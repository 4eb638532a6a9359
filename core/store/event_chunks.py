"""Packs events into compressed chunks of JSON lines (docs/trace.md), and unpacks them."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator

import msgspec

from baton_reasoning.core.errors import StoreError
from baton_reasoning.core.thinking.events import Event, TokenWritten
from baton_reasoning.core.thinking.trace_json import event_to_json, events_from_json

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(TokenWritten)
"""Nearly all lines are tokens, which msgspec encodes and decodes several times as fast as Python's json."""


def pack(events: Iterable[Event]) -> bytes:
    """Pack events into one chunk."""
    return zlib.compress(b"\n".join(map(_line, events)))


def unpack(chunk: bytes) -> Iterator[Event]:
    """Yield the events of a chunk. Raises StoreError if it is damaged."""
    try:
        for line in filter(None, zlib.decompress(chunk).split(b"\n")):
            try:
                yield _DECODER.decode(line)
            except (ValueError, RecursionError):  # another event, or a token that `_line` left to json
                yield from events_from_json([json.loads(line)])
    except (zlib.error, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise StoreError("A part of this run cannot be read.", "The rest of it is shown.") from error


def _line(event: Event) -> bytes:
    if isinstance(event, TokenWritten):
        try:
            line = _ENCODER.encode(event)
            if b"null" not in line:  # msgspec writes NaN and infinities as null, too; json keeps them
                return line
        except UnicodeEncodeError:
            pass  # models write lone surrogates, which have no UTF-8; json escapes them
    return json.dumps(event_to_json(event), separators=(",", ":"), default=str).encode("ascii")
