"""The store that the terminal shares with the window, and a run that is kept in it while it streams."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from app.terminal.streams import report
from core.errors import StoreError
from core.paths import Paths
from core.run import RunSettings
from core.store.conversations import StoredExchange
from core.store.runs import Recorder
from core.store.store import Store
from core.thinking.events import Event

Record = Callable[[Event], object]
NOT_KEPT = "The answer is not in the history."


@contextmanager
def open_history(to_read: bool = False) -> Iterator[Store]:
    """The store of the window, created if it is missing. `to_read`: also on a full disk. Raises StoreError."""
    path = Paths.of_user().store
    with Store.open_to_read(path) if to_read else Store.open(path) as store:
        for notice in store.notices:
            report(notice)
        yield store


@contextmanager
def recorded(problem: str, settings: RunSettings, is_kept: bool = True) -> Iterator[Record]:
    """Keeps the events that are given to it as a conversation of one answer.

    What cannot be saved is reported; the run itself goes on.
    """
    with ExitStack() as stack:
        recorder = _begin(stack, problem, settings) if is_kept else None
        yield lambda event: recorder.record([event]) if recorder else None
        if recorder:
            try:
                recorder.finish().result()
            except StoreError as error:
                report(f"{NOT_KEPT} {error}")


def _begin(stack: ExitStack, problem: str, settings: RunSettings) -> Recorder | None:
    try:
        store = stack.enter_context(open_history())
        exchange = StoredExchange(uuid.uuid4().hex, None, problem, settings.model_dump(mode="json"))
        store.conversations.put(uuid.uuid4().hex, exchange)
        return store.runs.record(exchange.id)
    except StoreError as error:
        report(f"{NOT_KEPT} {error}")
        return None
