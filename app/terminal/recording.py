"""Open the store that the terminal shares with the window, and record a run in it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager

from baton_reasoning.app.terminal.streams import report
from baton_reasoning.core.errors import SettingsError, StoreError
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.store.conversations import StoredExchange
from baton_reasoning.core.store.runs import Recorder
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.events import Event

Record = Callable[[Event], object]
NOT_KEPT = "The answer is not in the history."


class AnswerRecording:
    """Records the events it is called with. If saving fails, it reports the error and the run goes on."""

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
    """Open the store, and create it if it is missing. `to_read`: works on a full disk, too. Raises StoreError."""
    path = Paths.of_user().store
    with Store.open_to_read(path) if to_read else Store.open(path) as store:
        for notice in store.notices:
            report(notice)
        yield store


def full_id(ids: Iterable[str], prefix: str, kind: str, advice: str = "See baton history list.") -> str:
    """Return the id that begins with this prefix. Raises SettingsError unless it is exactly one.

    `kind`: what has these ids, in the plural.
    """
    if not prefix:  # an unset variable in a script; it would name an only entry
        raise SettingsError("The id is empty.", advice)
    found = [id for id in ids if id.startswith(prefix.lower())]
    if len(found) != 1:
        number = "several" if found else "no"
        raise SettingsError(f"The history has {number} {kind} whose id begins with {prefix}.", advice)
    return found[0]


@contextmanager
def recorded(problem: str, settings: RunSettings, is_kept: bool = True) -> Iterator[AnswerRecording]:
    """Record a run as a conversation with one answer."""
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
