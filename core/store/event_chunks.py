"""Events as they lie in the database: JSON lines (docs/trace.md), compressed, half a second of a run in each chunk.

Neighbouring tokens of one author share a line of the kind "tokens" with one list for each field. It takes a fifth of
the room and of the time that a line for each token would; everything else is as `event_json` writes it.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator
from itertools import groupby, repeat

from core.engines.base import Alternative
from core.engines.body import Author
from core.errors import StoreError
from core.thinking.event_json import Json, event_from_json, event_to_json
from core.thinking.events import Event, TokenWritten

_TOKENS = "tokens"


def pack(events: Iterable[Event]) -> bytes:
    """One chunk."""
    # ASCII only, so that half a surrogate pair, which models do write, is no obstacle.
    lines = (json.dumps(line, separators=(",", ":"), default=str) for line in _lines(events))
    return zlib.compress("\n".join(lines).encode("ascii"), 6)


def unpack(chunk: bytes) -> Iterator[Event]:
    """The events that this version knows. Raises StoreError if the chunk is broken."""
    try:
        lines = [json.loads(line) for line in zlib.decompress(chunk).split(b"\n") if line]
    except (zlib.error, ValueError) as error:
        raise StoreError("A part of this run cannot be read.", "The rest of it is shown.") from error
    for line in lines:
        if line.get("event") == _TOKENS:
            yield from _tokens(line)
        elif event := event_from_json(line):
            yield event


def _lines(events: Iterable[Event]) -> Iterator[Json]:
    for author, group in groupby(events, lambda event: event.author if isinstance(event, TokenWritten) else None):
        if author is None:
            yield from map(event_to_json, group)
        else:
            yield _tokens_line(author, [event for event in group if isinstance(event, TokenWritten)])


def _tokens_line(author: Author, tokens: list[TokenWritten]) -> Json:
    line: Json = {
        "event": _TOKENS,
        "author": author.value,
        "at": [token.at for token in tokens],
        "id": [token.id for token in tokens],
        "text": [token.text for token in tokens],
    }
    if any(token.logprob is not None for token in tokens):
        line["logprob"] = [token.logprob for token in tokens]
    if any(token.alternatives for token in tokens):
        line["alternatives"] = [token.alternatives for token in tokens]
    if ends := [index for index, token in enumerate(tokens) if token.ends_step]:
        line["ends_step"] = ends
    return line


def _tokens(line: Json) -> Iterator[TokenWritten]:
    try:
        count = len(line["text"])
        ends = [False] * count
        for index in line.get("ends_step", ()):
            ends[index] = True
        alternatives = [
            tuple(Alternative(*each) for each in of_token) for of_token in line.get("alternatives", ())
        ] or repeat(())
        return map(
            TokenWritten,
            line["at"],
            repeat(Author(line["author"])),
            line["id"],
            line["text"],
            line.get("logprob") or repeat(None),
            alternatives,
            ends,
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise StoreError("Tokens of this run cannot be read.", "The rest of it is shown.") from error
