"""A conversation with its traces: read from the store, written as JSON with every event (docs/trace.md), and back."""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import asdict, dataclass, replace
from datetime import datetime

import msgspec

from baton_reasoning.core.errors import StoreError
from baton_reasoning.core.store.conversations import StoredExchange, path_to
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.thinking.trace_json import event_to_json, events_from_json

_FORMAT = "baton conversation"
_VERSION = 1
_BEGINNING = re.compile(rb'\s*\{\s*"format": "baton conversation"')
_FIGURES = re.compile(rb"^\*[\d,]+ tokens?, large share \d+%, ", re.MULTILINE)
"""The line of figures below an answer in Markdown."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A problem, and the trace of its answer."""

    exchange: StoredExchange
    trace: Trace


@dataclass(frozen=True, slots=True)
class Exported:
    name: str
    exchanges: tuple[Answered, ...]
    """The whole tree, parents first."""
    leaf: str | None
    created: datetime

    def path(self) -> tuple[Answered, ...]:
        """Return the branch that was shown, from a root to the leaf."""
        known = {each.exchange.id: each for each in self.exchanges}
        path = path_to([each.exchange for each in self.exchanges], self.leaf)
        return tuple(known[exchange.id] for exchange in path)

    def left_out(self) -> str:
        """Say how many exchanges a page does not show; empty if it shows all."""
        others = len(self.exchanges) - len(self.path())
        if not others:
            return ""
        attempts = "1 other attempt is" if others == 1 else f"{others} other attempts are"
        return f"Only the branch that was in view: {attempts} in the JSON export."


def gather(store: Store, conversation: str) -> Exported:
    """Read a conversation from the store; a notice ends an answer that is damaged. Raises StoreError."""
    found = store.conversations.open(conversation)
    answered = tuple(Answered(exchange, store.runs.read(exchange.id).noticed) for exchange in found.exchanges)
    return Exported(found.name, answered, found.leaf, found.created)


def put_into(store: Store, exported: Exported) -> str:
    """Store a conversation with new ids, all or nothing; returns its id. Raises StoreError."""
    ids = {each.exchange.id: uuid.uuid4().hex for each in exported.exchanges}
    tree = [
        (
            replace(each.exchange, id=ids[each.exchange.id], parent=ids.get(each.exchange.parent or "")),
            each.trace.events,
        )
        for each in exported.exchanges
    ]
    return store.add_conversation(exported.name, tree, ids.get(exported.leaf or ""))


def is_exported(file: bytes) -> bool:
    """Tell whether a file is a conversation, exported as JSON or Markdown."""
    return bool(_BEGINNING.match(file) or _FIGURES.search(file, 0, 2**20))


def to_json(exported: Exported) -> str:
    data = {
        "format": _FORMAT,
        "version": _VERSION,
        "name": exported.name,
        "created": exported.created.isoformat(),
        "leaf": exported.leaf,
        "exchanges": [
            asdict(each.exchange)
            | {
                "created": each.exchange.created.isoformat(),
                "answer": each.trace.answer.strip(),
                "events": [event_to_json(event) for event in each.trace.events],
            }
            for each in exported.exchanges
        ],
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
        exchanges = tuple(
            Answered(msgspec.convert(each, StoredExchange), Trace.of(events_from_json(each["events"])))
            for each in data["exchanges"]
        )
        if len({each.exchange.id for each in exchanges}) < len(exchanges):
            raise StoreError("Two exchanges of this file have the same id.", "Export the conversation once more.")
        return Exported(str(data["name"]), exchanges, data["leaf"], datetime.fromisoformat(data["created"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StoreError("This file cannot be read as a conversation.", "Export it once more.") from error
