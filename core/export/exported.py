"""A conversation with its traces, read from the store by an export, or written to it by an import."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import datetime

from baton_reasoning.core.store.conversations import StoredExchange, path_to
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.trace import Trace


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
        tries = "1 other try is" if others == 1 else f"{others} other tries are"
        return f"Only the branch that was in view: {tries} in the JSON export."


def gather(store: Store, conversation: str) -> Exported:
    """Read a conversation from the store. Raises StoreError."""
    found = store.conversations.open(conversation)
    answered = tuple(Answered(exchange, store.runs.trace(exchange.id)) for exchange in found.exchanges)
    return Exported(found.name, answered, found.leaf, found.created)


def put_into(store: Store, exported: Exported) -> str:
    """Store a conversation with new ids; returns its id.

    Raises StoreError. If the disk was full, all but the title is still saved once it has room.
    """
    conversation = uuid.uuid4().hex
    ids = {each.exchange.id: uuid.uuid4().hex for each in exported.exchanges}
    for each in exported.exchanges:
        exchange = each.exchange
        parent = ids.get(exchange.parent) if exchange.parent else None
        store.conversations.put(conversation, replace(exchange, id=ids[exchange.id], parent=parent))
        if each.trace.events:
            recorder = store.runs.record(ids[exchange.id])
            recorder.record(each.trace.events)
            recorder.finish()
    if exported.leaf in ids:
        store.conversations.show(conversation, ids[exported.leaf])
    store.conversations.rename(conversation, exported.name)
    return conversation
