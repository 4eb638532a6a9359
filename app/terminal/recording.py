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


class AnswerRecording:
    """Keeps the events that it is called with. What cannot be saved is reported; the run itself goes on."""

    def __init__(self) -> None:
        self.recorder: Recorder | None = None
        self.failed = False

    def __call__(self, event: Event) -> None:
        if self.recorder:
            self.recorder.record([event])

    @contextmanager
    def reporting(self) -> Iterator[None]:
        try:
            yield
        except StoreError as error:
            self.failed = True
            report(f"{NOT_KEPT} {error}")


@contextmanager
def open_history(to_read: bool = False) -> Iterator[Store]:
    """The store of the window, created if it is missing. `to_read`: also on a full disk. Raises StoreError."""
    path = Paths.of_user().store
    with Store.open_to_read(path) if to_read else Store.open(path) as store:
        for notice in store.notices:
            report(notice)
        yield store


@contextmanager
def recorded(problem: str, settings: RunSettings, is_kept: bool = True) -> Iterator[AnswerRecording]:
    """Records a run as a conversation of one answer."""
    recording = AnswerRecording()
    with ExitStack() as stack:
        if is_kept:
            with recording.reporting():
                recording.recorder = _begin(stack, problem, settings)
        yield recording
        with recording.reporting():
            if recording.recorder:
                recording.recorder.finish()
            stack.close()  # saves the answer, or raises


def _begin(stack: ExitStack, problem: str, settings: RunSettings) -> Recorder:
    store = stack.enter_context(open_history())
    exchange = StoredExchange(uuid.uuid4().hex, None, problem, settings.model_dump(mode="json"))
    store.conversations.put(uuid.uuid4().hex, exchange)
    return store.runs.record(exchange.id)
