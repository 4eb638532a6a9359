"""The one thread that writes, in the order of submission, each change in its own transaction.

A change whose result is wanted is a task. Anything else registers as a `Buffer`: streamed events are saved together
after half a second, a kept change at once. If the disk refuses or another program holds the file, each buffer keeps its
data, and is saved again every two seconds. A buffer whose data can never be written (a number that SQLite cannot hold)
does not stop the others: it is reported, kept in memory, and tried once more when the store closes.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, NamedTuple, Protocol, TypeVar

from baton_reasoning.core.errors import StoreError
from baton_reasoning.core.store.damage import is_of_the_file, reported_as_store_error, store_error

T = TypeVar("T")
Change = Callable[[sqlite3.Connection], Any]
Trouble = Callable[[StoreError | None], None]
"""Called in the writer's thread with the error when saving begins to fail or something can never be saved, and with
None when everything is saved again."""

_log = logging.getLogger(__name__)

BUFFER_SECONDS = 0.5
RETRY_SECONDS = 2.0
UNSAVED = "An answer, or a change to one, could not be saved"


class Buffer(Protocol):
    """Data that the writer saves from time to time."""

    def save(self, connection: sqlite3.Connection) -> None:
        """Write the buffer, inside a transaction; called again if that fails."""
        ...

    def saved(self) -> None:
        """Drop what was written: the transaction has been committed."""
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
        if not self.future.done():
            self.future.set_result(None)


class Writer:
    def __init__(self, connection: sqlite3.Connection, path: Path, on_trouble: Trouble | None = None) -> None:
        self._connection = connection
        self._path = path
        self._on_trouble = on_trouble
        self._inbox: SimpleQueue[_Task | Buffer | None] = SimpleQueue()
        self._waiting: dict[int, Buffer] = {}
        self._unsavable: dict[int, Buffer] = {}
        self._due = float("inf")
        self._trouble: StoreError | None = None
        self._closed = False
        self._file = _identity(path)
        self._thread = Thread(target=self._work, name="store writer", daemon=True)
        self._thread.start()

    def submit(
        self, change: Callable[[sqlite3.Connection], T], then: Callable[[Future[T]], object] | None = None
    ) -> Future[T]:
        """Make the change; the future has its result once it is saved, or StoreError.

        `then` is called with the future before anything else is written.
        """
        future: Future[T] = Future()
        if then:
            future.add_done_callback(then)
        self._accept(_Task(change, future))
        return future

    def keep(self, change: Change) -> Future[None]:
        """Make the change as soon as the file can be written; the future is done when it is saved. Never blocks.

        The future has StoreError if the change can never be saved.
        """
        future: Future[None] = Future()
        self._accept(_Kept(change, future))
        return future

    def _accept(self, wanted: _Task | _Kept) -> None:
        if self._closed:
            wanted.future.set_exception(StoreError("The store is closed.", "Start Baton again."))
        else:
            self._inbox.put(wanted)

    def save_soon(self, buffer: Buffer) -> None:
        """Save the buffer soon. Never blocks, never raises."""
        self._inbox.put(buffer)

    @property
    def unsavable(self) -> tuple[Buffer, ...]:
        """Buffers whose data can never be written."""
        return tuple(self._unsavable.values())

    def close(self) -> None:
        """Save everything and end the thread. Raises StoreError if something could not be saved."""
        if not self._closed:
            self._closed = True
            self._inbox.put(None)
        self._thread.join()
        if self._trouble:
            raise StoreError(f"{UNSAVED}. {self._trouble.message}", self._trouble.advice)
        if self._unsavable or self._waiting:
            raise StoreError(f"{UNSAVED}, and is lost.", "Please report this.")

    def _work(self) -> None:
        # What a failing task leaves behind comes after the None of `close`, so the inbox decides.
        while not self._closed or not self._inbox.empty():
            self._survive(self._do_next)
        self._waiting = self._unsavable | self._waiting
        self._unsavable = {}
        self._survive(self._save_buffers)
        self._connection.close()

    def _survive(self, work: Callable[[], None]) -> None:
        """Do the work and log any error: none may end the only thread that saves, not even one of `on_trouble`."""
        try:
            work()
        except Exception:  # noqa: BLE001 - it is logged
            _log.exception("The store's writer goes on after an error.")

    def _do_next(self) -> None:
        try:
            item = self._inbox.get(timeout=self._seconds_until_due())
        except Empty:
            self._save_buffers()
            return
        if isinstance(item, _Task):
            if self._trouble:  # what was refused comes first, if it can be saved now
                self._save_buffers()
            self._run(item)
        elif item is not None and id(item) not in self._unsavable:
            self._waiting[id(item)] = item
            soon = 0.0 if isinstance(item, _Kept) else BUFFER_SECONDS
            self._due = min(self._due, time.monotonic() + soon)
        # A busy inbox must not delay the buffers.
        if time.monotonic() >= self._due:
            self._save_buffers()

    def _seconds_until_due(self) -> float | None:
        return None if self._due == float("inf") else max(0.0, self._due - time.monotonic())

    def _run(self, task: _Task) -> None:
        try:
            with reported_as_store_error(self._path):
                result = self._in_transaction(task.change)
        except BaseException as error:  # noqa: BLE001 - the future hands it to its caller
            task.future.set_exception(error)
        else:
            task.future.set_result(result)

    def _save_buffers(self) -> None:
        self._due = float("inf")
        if not self._waiting:
            return
        trouble: StoreError | None = None
        try:
            self._save(list(self._waiting.values()))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one must not keep the others from being saved
            trouble = store_error(error, self._path) if is_of_the_file(error) else self._save_each()
        if trouble:
            self._due = time.monotonic() + RETRY_SECONDS
        self._report(trouble)

    def _save_each(self) -> StoreError | None:
        """Save each buffer in its own transaction, set apart those that cannot be saved; returns why the rest wait."""
        trouble: StoreError | None = None
        for each in list(self._waiting.values()):
            try:
                self._save([each])
            except StoreError as error:
                trouble = error
            except Exception as error:  # noqa: BLE001 - see above
                if is_of_the_file(error):
                    return store_error(error, self._path)
                self._set_apart(each, error)
        return trouble

    def _save(self, buffers: list[Buffer]) -> None:
        """Save these buffers in one transaction."""

        def change(connection: sqlite3.Connection) -> None:
            for each in buffers:
                each.save(connection)

        self._in_transaction(change)
        for each in buffers:
            del self._waiting[id(each)]
            each.saved()

    def _set_apart(self, buffer: Buffer, error: Exception) -> None:
        """Do not retry this buffer until the store closes: it would fail again."""
        _log.error("%s", UNSAVED, exc_info=error)
        failure = StoreError(
            f"{UNSAVED} ({type(error).__name__}: {error}).",
            "Copy or export it now: it is lost when Baton is closed. Please report this.",
        )
        failure.__cause__ = error
        self._unsavable[id(buffer)] = self._waiting.pop(id(buffer))
        if isinstance(buffer, _Kept) and not buffer.future.done():
            buffer.future.set_exception(failure)
        self._tell(failure)

    def _report(self, trouble: StoreError | None) -> None:
        before, self._trouble = self._trouble, trouble
        if trouble and not before:
            retry = "What is not saved is kept in memory, and tried again every two seconds."
            self._tell(StoreError(trouble.message, f"{trouble.advice} {retry}".lstrip()))
        elif before and not trouble and not self._unsavable:
            self._tell(None)

    def _tell(self, trouble: StoreError | None) -> None:
        if on_trouble := self._on_trouble:
            self._survive(lambda: on_trouble(trouble))

    def _in_transaction(self, change: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._connection
        if _identity(self._path) != self._file:
            # The open file can still be written to, but what it holds is lost with the last connection.
            raise StoreError(
                f"{self._path} was deleted or moved while it was in use.",
                "Put it back if you can; otherwise what was not saved elsewhere is lost.",
            )
        connection.execute("BEGIN IMMEDIATE")
        try:
            result = change(connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return result


def _identity(path: Path) -> tuple[int, int] | None:
    """Identify the file, whatever its name; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
