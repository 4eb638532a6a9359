"""The one thread that writes. It makes changes in the order of their submission, each in its own transaction.

A change whose result is wanted is a task. Anything else registers as a `Gathering`: streamed events are saved
together half a second later, a kept change at once. If the disk refuses or another program holds the file, each keeps
its data and is saved again every two seconds.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, NamedTuple, Protocol, TypeVar

from core.errors import StoreError
from core.store.damage import UNREADABLE, store_error

T = TypeVar("T")
Change = Callable[[sqlite3.Connection], Any]
Trouble = Callable[[StoreError | None], None]
"""Called in the writer's thread with the error when saving begins to fail, and with None when it works again."""

GATHER_SECONDS = 0.5
RETRY_SECONDS = 2.0


class Gathering(Protocol):
    """A buffer that the writer saves from time to time."""

    def save(self, connection: sqlite3.Connection) -> None:
        """Write the buffer, inside a transaction; called again if that fails."""
        ...

    def saved(self) -> None:
        """The transaction has been committed: drop what was written."""
        ...


class _Task(NamedTuple):
    change: Change
    future: Future[Any]


class _Kept(NamedTuple):
    """A change that is tried until it succeeds."""

    change: Change
    future: Future[None]

    def save(self, connection: sqlite3.Connection) -> None:
        self.change(connection)

    def saved(self) -> None:
        self.future.set_result(None)


class Writer:
    def __init__(self, connection: sqlite3.Connection, path: Path, on_trouble: Trouble | None = None) -> None:
        self._connection = connection
        self._path = path
        self._on_trouble = on_trouble
        self._inbox: SimpleQueue[_Task | Gathering | None] = SimpleQueue()
        self._waiting: dict[int, Gathering] = {}
        self._due = float("inf")
        self._trouble: StoreError | None = None
        self._closed = False
        self._file = _identity(path)
        self._thread = Thread(target=self._work, name="store writer", daemon=True)
        self._thread.start()

    def submit(self, change: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """The result of the change once it is saved, or StoreError."""
        future: Future[T] = Future()
        self._accept(_Task(change, future))
        return future

    def keep(self, change: Change) -> Future[None]:
        """Make the change now, or as soon as the file can be written again; done when it is saved. Never blocks."""
        future: Future[None] = Future()
        self._accept(_Kept(change, future))
        return future

    def _accept(self, wanted: _Task | _Kept) -> None:
        if self._closed:
            wanted.future.set_exception(StoreError("The store is closed.", "Start Baton again."))
        else:
            self._inbox.put(wanted)

    def gather(self, gathering: Gathering) -> None:
        """Save it soon. Never blocks, never raises."""
        self._inbox.put(gathering)

    def close(self) -> None:
        """Save everything and end the thread. Raises StoreError if something could not be saved."""
        if not self._closed:
            self._closed = True
            self._inbox.put(None)
        self._thread.join()
        if self._waiting and self._trouble:
            raise self._trouble

    def _work(self) -> None:
        while True:
            try:
                item = self._inbox.get(timeout=self._seconds_until_due())
            except Empty:
                self._save_gathered()
                continue
            if item is None:
                self._save_gathered()
                self._connection.close()
                return
            if isinstance(item, _Task):
                self._run(item)
            else:
                self._waiting[id(item)] = item
                soon = 0.0 if isinstance(item, _Kept) else GATHER_SECONDS
                self._due = min(self._due, time.monotonic() + soon)
            # A busy inbox must not delay the buffers.
            if time.monotonic() >= self._due:
                self._save_gathered()

    def _seconds_until_due(self) -> float | None:
        return None if self._due == float("inf") else max(0.0, self._due - time.monotonic())

    def _run(self, task: _Task) -> None:
        try:
            result = self._in_transaction(task.change)
        except BaseException as error:  # noqa: BLE001 - the future hands it to its caller
            task.future.set_exception(error)
        else:
            task.future.set_result(result)

    def _save_gathered(self) -> None:
        self._due = float("inf")
        gathered = list(self._waiting.values())
        if not gathered:
            return
        try:
            self._in_transaction(lambda connection: _save(gathered, connection))
        except StoreError as error:
            self._due = time.monotonic() + RETRY_SECONDS
            self._report(error)
            return
        for each in gathered:
            each.saved()
        self._waiting.clear()
        self._report(None)

    def _report(self, trouble: StoreError | None) -> None:
        if self._on_trouble and (trouble is None) != (self._trouble is None):
            self._on_trouble(trouble)
        self._trouble = trouble

    def _in_transaction(self, change: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._connection
        if _identity(self._path) != self._file:
            # The open file can still be written to, but what it holds is lost with the last connection.
            raise StoreError(
                f"{self._path} was deleted or moved while it was in use.",
                "Put it back if you can; otherwise what was not saved elsewhere is lost.",
            )
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = change(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        except UNREADABLE as error:
            raise store_error(error, self._path) from error
        return result


def _save(gathered: list[Gathering], connection: sqlite3.Connection) -> None:
    for each in gathered:
        each.save(connection)


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file this is, whatever its name; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
