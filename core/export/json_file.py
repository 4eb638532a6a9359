"""Writes a whole conversation tree with every event (docs/trace.md) as JSON, and reads it again without loss."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from baton_reasoning.core.errors import StoreError
from baton_reasoning.core.export.exported import Answered, Exported
from baton_reasoning.core.store.conversations import StoredExchange
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.thinking.trace_json import event_to_json, events_from_json

_FORMAT = "baton conversation"
_VERSION = 1


def to_json(exported: Exported) -> str:
    data = {
        "format": _FORMAT,
        "version": _VERSION,
        "name": exported.name,
        "created": exported.created.isoformat(),
        "leaf": exported.leaf,
        "exchanges": [_exchange_to_json(each) for each in exported.exchanges],
    }
    return json.dumps(data, indent=1, default=str)


def read_json(text: str) -> Exported:
    """Read an export. Raises StoreError if it is not one of Baton's, or of a newer version."""
    try:
        data = json.loads(text)
        if not isinstance(data, dict) or data.get("format") != _FORMAT:
            raise StoreError("This file is not a conversation that Baton exported.", "Choose another file.")
        if data["version"] > _VERSION:
            raise StoreError("This conversation was exported by a newer Baton.", "Update Baton.")
        if not isinstance(data["leaf"], str | None):
            raise TypeError("a leaf that is no id")
        return Exported(
            str(data["name"]),
            tuple(map(_exchange_from_json, data["exchanges"])),
            data["leaf"],
            datetime.fromisoformat(data["created"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StoreError("This file cannot be read as a conversation.", "Export it once more.") from error


def _exchange_to_json(each: Answered) -> dict[str, Any]:
    exchange = each.exchange
    return {
        "id": exchange.id,
        "parent": exchange.parent,
        "problem": exchange.problem,
        "settings": exchange.settings,
        "created": exchange.created.isoformat(),
        "answer": each.trace.answer.strip(),
        "events": [event_to_json(event) for event in each.trace.events],
    }


def _exchange_from_json(data: dict[str, Any]) -> Answered:
    parent = data["parent"]
    exchange = StoredExchange(
        str(data["id"]),
        None if parent is None else str(parent),
        str(data["problem"]),
        dict(data["settings"]),
        datetime.fromisoformat(data["created"]),
    )
    return Answered(exchange, Trace.of(events_from_json(data["events"])))
