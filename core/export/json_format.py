"""A conversation with its traces: read from the store, written as JSON with every event (docs/trace.md), and back."""

from __future__ import annotations

import json
import re
import uuid
from datetime import datetime
from typing import Any

import msgspec

from baton_reasoning.core.conversation import Conversation, Exchange
from baton_reasoning.core.errors import StoreError
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.run_settings import RunSettings
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.thinking.trace_json import event_to_json, events_from_json

_FORMAT = "baton conversation"
_VERSION = 1
_BEGINNING = re.compile(rb'\s*\{\s*"format": "baton conversation"')
_FIGURES = re.compile(rb"^\*[\d,]+ tokens?, large share \d+%, ", re.MULTILINE)
"""The line of figures below an answer in Markdown."""


def gather(store: Store, id: str) -> Conversation:
    """Read a conversation with its traces; a notice ends an answer that is damaged. Raises StoreError."""
    conversation = store.conversations.open(id)
    for exchange in conversation:
        exchange.trace, exchange.is_read = store.runs.read(exchange.id).noticed, True
    return conversation


def put_into(store: Store, conversation: Conversation) -> str:
    """Store a conversation with new ids, all or nothing; returns its id. Raises StoreError."""
    conversation.id = uuid.uuid4().hex
    for exchange in conversation:
        exchange.id = uuid.uuid4().hex
    store.add_conversation(conversation)
    return conversation.id


def is_exported(file: bytes) -> bool:
    """Tell whether a file is a conversation, exported as JSON or Markdown."""
    return bool(_BEGINNING.match(file) or _FIGURES.search(file, 0, 2**20))


def to_json(conversation: Conversation) -> str:
    data = {
        "format": _FORMAT,
        "version": _VERSION,
        "name": conversation.name,
        "created": conversation.created.isoformat(),
        "leaf": conversation.leaf.id if conversation.leaf else None,
        "exchanges": [
            {
                "id": exchange.id,
                "parent": exchange.parent.id if exchange.parent else None,
                "problem": exchange.problem,
                "settings": exchange.settings.model_dump(mode="json"),
                "created": exchange.created.isoformat(),
                "answer": exchange.trace.answer.strip(),
                "events": [event_to_json(event) for event in exchange.trace.events],
            }
            for exchange in conversation
        ],
    }
    return json.dumps(data, indent=1)


def read_json(text: str) -> Conversation:
    """Read an export. Raises StoreError if it is not one of Baton's, or of a newer version."""
    try:
        data = json.loads(text)
        if not isinstance(data, dict) or data.get("format") != _FORMAT:
            raise StoreError("This file is not a conversation that Baton exported.", "Choose another file.")
        if data["version"] > _VERSION:
            raise StoreError("This conversation was exported by a newer Baton.", "Update Baton.")
        if not isinstance(data["leaf"], str | None):
            raise TypeError("a leaf that is no id")
        conversation = Conversation(title=str(data["name"]), created=datetime.fromisoformat(data["created"]))
        conversation.set_tree(map(_exchange, data["exchanges"]), data["leaf"])
        if len({exchange.id for exchange in conversation}) < len(data["exchanges"]):
            raise StoreError("Two exchanges of this file have the same id.", "Export the conversation once more.")
        return conversation
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StoreError("This file cannot be read as a conversation.", "Export it once more.") from error


def _exchange(data: dict[str, Any]) -> tuple[Exchange, str | None]:
    fields = [data[name] for name in ("id", "parent", "problem", "created")]
    id, parent, problem, created = msgspec.convert(fields, tuple[str, str | None, str, datetime])
    settings, trace = RunSettings.stored(data["settings"]), Trace.of(events_from_json(data["events"]))
    return Exchange(problem, settings, trace=trace, id=id, created=created), parent
