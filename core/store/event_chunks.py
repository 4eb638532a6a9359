"""Packs events into compressed chunks of JSON lines, and unpacks them.

Tokens in a row by one author are one line of columns, which is smaller and faster than a line for each.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator
from itertools import groupby
from types import GenericAlias

import msgspec

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import StoreError
from baton_reasoning.core.thinking.events import Event, TokenWritten
from baton_reasoning.core.thinking.trace_json import Json, event_to_json, events_from_json

_TOKENS = "tokens"
_FIELDS = msgspec.structs.fields(TokenWritten)
_COLUMNS = [field for field in _FIELDS if field.name != "author"]
_TokensLine = msgspec.defstruct(
    "_TokensLine", [("author", Author), *((field.name, GenericAlias(list, field.type), []) for field in _COLUMNS)]
)
"""A column is empty if all its values are the default of their field."""


def pack(events: Iterable[Event]) -> bytes:
    """Pack events into one chunk."""
    # ASCII, because models write lone surrogates, which UTF-8 cannot encode.
    lines = (json.dumps(line, separators=(",", ":"), default=str) for line in _lines(events))
    return zlib.compress("\n".join(lines).encode("ascii"), 6)


def unpack(chunk: bytes) -> Iterator[Event]:
    """Yield the events of a chunk. Raises StoreError if it is damaged."""
    try:
        lines = [json.loads(line) for line in zlib.decompress(chunk).split(b"\n") if line]
    except (zlib.error, ValueError, RecursionError) as error:
        raise StoreError("A part of this run cannot be read.", "The rest of it is shown.") from error
    for line in lines:
        if not isinstance(line, dict):
            raise StoreError("A part of this run holds no events.", "The rest of it is shown.")
        if line.get("event") == _TOKENS:
            yield from _tokens(line)
        else:
            yield from events_from_json([line])


def _lines(events: Iterable[Event]) -> Iterator[Json]:
    for author, group in groupby(events, lambda event: event.author if isinstance(event, TokenWritten) else None):
        if author is None:
            yield from map(event_to_json, group)
        else:
            yield {"event": _TOKENS, "author": author.value} | _columns(list(group))


def _columns(tokens: list[Event]) -> Json:
    columns = {field.name: [getattr(token, field.name) for token in tokens] for field in _COLUMNS}
    defaults = {field.name: field.default for field in _COLUMNS}
    return {
        name: msgspec.to_builtins(column)
        for name, column in columns.items()
        if any(value != defaults[name] for value in column)
    }


def _tokens(line: Json) -> Iterator[TokenWritten]:
    try:
        found = msgspec.convert(line, _TokensLine)
        count = len(found.text)  # type: ignore[attr-defined]
        columns = []
        for field in _FIELDS:
            column = getattr(found, field.name)
            if field.name == "author":
                column = [column] * count
            elif not column and field.default is not msgspec.NODEFAULT:
                column = [field.default] * count
            if len(column) != count:
                raise ValueError(f"a column {field.name} of another length")
            columns.append(column)
    except (msgspec.ValidationError, ValueError) as error:
        raise StoreError("Tokens of this run cannot be read.", "The rest of it is shown.") from error
    return map(TokenWritten, *columns)
