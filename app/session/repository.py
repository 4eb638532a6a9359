"""Conversations in the store: load, save, search, rename, delete, restore."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal
from shiboken6 import isValid

from baton_reasoning.app.toolkit.background import BackgroundTask, StreamTask
from baton_reasoning.core.conversation import Conversation, Exchange
from baton_reasoning.core.errors import StoreError, WrittenElsewhere
from baton_reasoning.core.store.conversations import Headline
from baton_reasoning.core.thinking.events import Event
from baton_reasoning.core.thinking.trace import Trace

if TYPE_CHECKING:
    from baton_reasoning.core.store.runs import Recorder, StoredRun
    from baton_reasoning.core.store.store import Store


class ConversationRepository(QObject):
    """Reads conversations in the background, and keeps in the window what could not be saved.

    `changed` is emitted when the list of conversations has changed. What needs no more than the store asks that.
    """

    changed = Signal()
    failed = Signal(object)
    """A StoreError. What it concerns stays in the window, and is tried again where that makes sense."""
    loaded = Signal(object)
    """An exchange whose trace has been read."""
    renamed = Signal(str, str)
    """The id of a conversation, and its new title."""

    _saved = Signal()
    _taken_over = Signal(object)
    """A StoreError: another program has taken over what was being written here."""
    _refused = Signal(object)
    """A Conversation with an exchange that could not be saved yet."""

    def __init__(self, store: Store, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.store = store
        self._saved.connect(self.changed)
        self._taken_over.connect(self.failed)
        self._refused.connect(self._keep)
        self._recorders: dict[str, Recorder] = {}
        self._unsaved: dict[str, Conversation] = {}
        """Those of which the store lacks an exchange, by id."""
        self._refused_answers: set[str] = set()
        """Those that are being written, and no longer recorded."""

    def headlines(self, most: int) -> list[Headline]:
        """List the conversations, those first that are only in memory, as they could not be saved.

        `most`: of those that are stored. It may be called in any thread.
        """
        stored = self.store.conversations.recent(most)
        known = {one.id for one in stored}
        unsaved = [one for one in list(self._unsaved.values()) if one.id not in known]
        return [*(Headline(one.id, one.name, one.changed, one.name) for one in unsaved), *stored]

    def add(self, conversation: Conversation, exchange: Exchange) -> None:
        """Save a new exchange, with what its trace holds already if it goes on from another."""
        put = self.store.conversations.put(conversation.id, exchange)
        put.add_done_callback(partial(self._emit_put, conversation))
        if exchange.trace.events:
            self.record(exchange, exchange.trace.events)

    def begin(self, exchange: Exchange) -> None:
        """Begin to record an answer, or to go on with it. Raises WrittenElsewhere if another program writes it."""
        recorder = self.store.runs.record(exchange.id, exchange.attempt, len(exchange.trace.events))
        self._recorders[exchange.id], exchange.attempt = recorder, recorder.attempt

    def record(self, exchange: Exchange, events: list[Event]) -> None:
        """Save new events of an answer. Raises StoreError, once, if no more of it can be saved."""
        if exchange.id in self._refused_answers:
            return
        try:
            if exchange.id not in self._recorders:
                self.begin(exchange)
            self._recorders[exchange.id].record(events)
        except StoreError:
            self._refused_answers.add(exchange.id)
            self._recorders.pop(exchange.id, None)
            raise

    def run_ended(self, exchange: Exchange) -> None:
        self._refused_answers.discard(exchange.id)
        if recorder := self._recorders.pop(exchange.id, None):
            recorder.finish().add_done_callback(self._emit_saved)

    def rename(self, conversation_id: str, title: str) -> None:
        title = title.strip()
        renamed = partial(self.renamed.emit, conversation_id, title)
        self._change(conversation_id, lambda: self.store.conversations.rename(conversation_id, title), renamed)

    def pin(self, conversation_id: str, pinned: bool) -> None:
        self._change(conversation_id, lambda: self.store.conversations.pin(conversation_id, pinned))

    def delete(self, conversation_id: str, deleted: Callable[[], object]) -> None:
        self._change(conversation_id, lambda: self.store.conversations.delete(conversation_id), deleted)

    def restore(self, conversation_id: str) -> None:
        self._change(conversation_id, lambda: self.store.conversations.restore(conversation_id))

    def open(self, conversation_id: str) -> Conversation:
        """Read the tree at once; its traces follow, those on the shown path first. Raises StoreError."""
        if unsaved := self._unsaved.get(conversation_id):
            return unsaved
        conversation = self.store.conversations.open(conversation_id)
        conversation.unsent = self.store.unsent.read(conversation_id)
        if conversation.leaf:
            conversation.system = conversation.leaf.settings.system
        on_path = conversation.path[::-1]
        self.read([*on_path, *(exchange for exchange in conversation if exchange not in on_path)])
        return conversation

    def read(self, exchanges: list[Exchange]) -> None:
        """Read the traces of these exchanges in the background, or what has come to them since."""

        def read() -> Iterator[tuple[Exchange, StoredRun]]:
            for exchange in exchanges:
                yield exchange, self.store.runs.read(exchange.id)

        StreamTask(self, "read traces", read).items(self._show_runs).failure(self.failed.emit).start()

    def _show_runs(self, read: list[tuple[Exchange, StoredRun]]) -> None:
        for exchange, run in read:
            known = len(exchange.trace.events) if exchange.attempt == run.attempt else 0
            exchange.trace = exchange.trace if known else Trace()
            for event in run.trace.events[known:]:
                exchange.trace.apply(event)
            exchange.is_read, exchange.attempt = True, run.attempt
            exchange.is_written_elsewhere = run.is_written_elsewhere
            self.loaded.emit(exchange)
            if run.damage:
                self.failed.emit(run.damage)

    def saving_changed(self, trouble: StoreError | None) -> None:
        """Learn that saving fails, or that everything is saved again."""
        if trouble is None:
            self._unsaved.clear()
            self.changed.emit()

    def _keep(self, conversation: Conversation) -> None:
        self._unsaved[conversation.id] = conversation
        self.changed.emit()

    def _emit_put(self, conversation: Conversation, put: Future[None]) -> None:
        """Called in the store's own thread, which may outlive the window."""
        if isValid(self):
            self._refused.emit(conversation) if put.exception() else self._saved.emit()

    def _emit_saved(self, concluded: Future[None]) -> None:
        """Called in the store's own thread, which may outlive the window."""
        if isValid(self):
            self._saved.emit()
            if isinstance(error := concluded.exception(), WrittenElsewhere):  # the store tells of any other
                self._taken_over.emit(error)

    def _change(
        self, conversation_id: str, change: Callable[[], object], done: Callable[[], object] = lambda: None
    ) -> None:
        """Make a change in the background: the store may be held by another program for seconds."""
        if conversation_id in self._unsaved:
            self.failed.emit(StoreError("This conversation could not be saved yet.", "Change it when it is saved."))
            return

        def changed(_: object) -> None:
            self.changed.emit()
            done()

        BackgroundTask(self, "change the history", change).success(changed).failure(self.failed.emit).start()
