"""The one thread that writes, in the order of submission, each change in its own transaction.

A change is made once (`submit`), or kept until it succeeds (`keep`). Either way its future tells how the first try
went, so that nobody waits for a full disk. What is kept is a `Buffer`, as are the events of a run, which are saved
together after half a second. If a buffer cannot be saved, it keeps its data, and is tried again every two seconds.
Between changes the thread renews the claim of this program (`owners`).
"""

from __future__ import annotations

import logging
import sqlite3
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, Generic, TypeVar

from baton_reasoning.core.errors import StoreError
from baton_reasoning.core.store.damage import is_of_the_file, reported_as_store_error, store_error
from baton_reasoning.core.store.owners import RENEW_SECONDS, renew_claim

T = TypeVar("T")
Change = Callable[[sqlite3.Connection], T]
Trouble = Callable[[StoreError | None], None]
"""Called in the writer's thread with the error when saving begins to fail, or fails for another reason, and with None
when everything is saved again."""

_log = logging.getLogger(__name__)

RETRY_SECONDS = 2.0
NEVER = float("inf")


class Buffer(ABC, Generic[T]):
    """Data that the writer saves until that succeeds; `future` tells how the first try went."""

    def __init__(self) -> None:
        self.future: Future[T] = Future()

    @abstractmethod
    def save(self, connection: sqlite3.Connection) -> T:
        """Write the data, inside a transaction; called again if that fails."""

    def saved(self, result: T) -> None:
        """Drop what was written: the transaction has been committed."""
        if not self.future.done():
            self.future.set_result(result)

    def refused(self, error: StoreError) -> None:
        """Learn that nothing was written. It is tried again, unless the store is closed."""
        if not self.future.done():
            self.future.set_exception(error)


class _Kept(Buffer[T]):
    def __init__(self, change: Change[T]) -> None:
        super().__init__()
        self._change = change

    def save(self, connection: sqlite3.Connection) -> T:
        return self._change(connection)


class Writer:
    def __init__(self, connection: sqlite3.Connection, path: Path, on_trouble: Trouble | None = None) -> None:
        self._connection = connection
        self._path = path
        self._on_trouble = on_trouble
        self._inbox: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._waiting: dict[int, Buffer[Any]] = {}
        self._due = NEVER
        self._renewal_due = NEVER
        self._trouble: StoreError | None = None
        self._closed = False
        self._closing = Lock()
        self._file = _identity(path)
        self._thread = Thread(target=self._work, name="store writer", daemon=True)
        self._thread.start()

    def submit(self, change: Change[T]) -> Future[T]:
        """Make the change once; the future has its result, or StoreError. Never blocks."""
        future: Future[T] = Future()
        if not self._accepts(partial(self._make, change, future)):
            future.set_exception(_closed_error())
        return future

    def keep(self, change: Change[T]) -> Future[T]:
        """Make the change, again and again until it succeeds. Never blocks.

        The future has the result, or StoreError if the first try failed.
        """
        kept = _Kept(change)
        self.save(kept)
        return kept.future

    def save(self, buffer: Buffer[Any], within: float = 0.0) -> None:
        """Save the buffer within so many seconds. Never blocks, never raises."""
        if not self._accepts(partial(self._expect, buffer, within)):
            buffer.refused(_closed_error())

    def flush(self) -> StoreError | None:
        """Save now what waits; returns what prevents that. What is not saved waits on."""
        flushed: Future[StoreError | None] = Future()

        def save() -> None:
            try:
                self._save_buffers()
            finally:
                flushed.set_result(self._trouble)

        return flushed.result() if self._accepts(save) else None

    def close(self) -> None:
        """Save everything and end the thread. Raises StoreError if something could not be saved."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._inbox.put(lambda: None)
        self._thread.join()
        if self._trouble:
            lost = "An answer, or a change to one, could not be saved, and is lost."
            raise StoreError(f"{lost} {self._trouble.message}", self._trouble.advice)

    def _accepts(self, work: Callable[[], None]) -> bool:
        """Queue some work, unless the writer is closed: then nobody would do it."""
        with self._closing:
            if not self._closed:
                self._inbox.put(work)
            return not self._closed

    def _work(self) -> None:
        # Work may be queued behind the wake-up of `close`: run until the inbox is empty.
        while not self._closed or not self._inbox.empty():
            self._survive(self._do_next)
        self._survive(self._save_buffers)
        self._connection.close()

    def _survive(self, work: Callable[[], None]) -> None:
        """Do the work and log any error: none may end the only thread that saves, not even one of `on_trouble`."""
        try:
            work()
        except Exception:  # noqa: BLE001 - it is logged
            _log.exception("The store's writer goes on after an error.")

    def _do_next(self) -> None:
        due = min(self._due, self._renewal_due)
        with suppress(Empty):
            self._inbox.get(timeout=None if due == NEVER else max(0.0, due - time.monotonic()))()
        # A busy inbox must not delay what is due.
        if time.monotonic() >= self._due:
            self._save_buffers()
        if time.monotonic() >= self._renewal_due:
            self._renew()

    def _renew(self) -> None:
        """Renew the claim of this program as long as it owns anything; what the disk refuses is tried again."""
        self._renewal_due = time.monotonic() + RENEW_SECONDS
        with suppress(sqlite3.Error, StoreError):  # who saves something meanwhile is told
            if not self._in_transaction(renew_claim):
                self._renewal_due = NEVER

    def _make(self, change: Change[T], future: Future[T]) -> None:
        if self._trouble:  # what was refused comes first, if it can be saved now
            self._save_buffers()
        try:
            with reported_as_store_error(self._path):
                result = self._in_transaction(change)
        except BaseException as error:  # noqa: BLE001 - the future hands it to its caller
            future.set_exception(error)
        else:
            future.set_result(result)

    def _expect(self, buffer: Buffer[Any], within: float) -> None:
        self._waiting[id(buffer)] = buffer
        self._due = min(self._due, time.monotonic() + within)

    def _save_buffers(self) -> None:
        """Save all buffers in one transaction or, if one of them prevents that, each in its own."""
        self._due = NEVER
        if not (buffers := list(self._waiting.values())):
            return
        failures: dict[Buffer[Any], Exception] = {}
        if trouble := self._save(buffers):
            failures = (
                dict.fromkeys(buffers, trouble)
                if is_of_the_file(trouble)
                else {each: failure for each in buffers if (failure := self._save([each]))}
            )
        if failures:
            self._due = time.monotonic() + RETRY_SECONDS
        for each, failure in failures.items():
            each.refused(self._in_words(failure))
        # What the file refuses concerns all that follows, and is told first.
        self._report(next(map(self._in_words, sorted(failures.values(), key=is_of_the_file, reverse=True)), None))

    def _save(self, buffers: list[Buffer[Any]]) -> Exception | None:
        """Save these buffers in one transaction; returns why they cannot be saved."""
        try:
            results = self._in_transaction(lambda connection: [each.save(connection) for each in buffers])
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one must not keep the others from being saved
            return error
        for each, result in zip(buffers, results, strict=True):
            del self._waiting[id(each)]
            each.saved(result)
        return None

    def _in_words(self, error: Exception) -> StoreError:
        if isinstance(error, StoreError):
            return error
        if is_of_the_file(error):
            return store_error(error, self._path)
        told = f"An answer, or a change to one, cannot be stored ({type(error).__name__}: {error})."
        trouble = StoreError(told, "Copy it now, and please report this.")
        trouble.__cause__ = error
        return trouble

    def _report(self, trouble: StoreError | None) -> None:
        before, self._trouble = self._trouble, trouble
        on_trouble = self._on_trouble
        if on_trouble is None or (before and before.message) == (trouble and trouble.message):
            return
        if trouble:
            if trouble.__cause__:
                _log.error("%s", trouble.message, exc_info=trouble.__cause__)
            retry = "What is not saved is kept in memory, and tried again every two seconds."
            trouble = StoreError(trouble.message, f"{trouble.advice} {retry}".lstrip())
        self._survive(partial(on_trouble, trouble))

    def _in_transaction(self, change: Change[T]) -> T:
        if _identity(self._path) != self._file:
            # The open file can still be written to, but what it holds is lost with the last connection.
            raise StoreError(
                f"{self._path} was deleted or moved while it was in use.",
                "Put it back if you can; otherwise what was not saved elsewhere is lost.",
            )
        # What is changed may make this program an owner.
        self._renewal_due = min(self._renewal_due, time.monotonic() + RENEW_SECONDS)
        with self._connection as connection:  # commits, or rolls back
            connection.execute("BEGIN IMMEDIATE")
            return change(connection)


def _closed_error() -> StoreError:
    return StoreError("The store is closed.", "Start Baton again.")


def _identity(path: Path) -> tuple[int, int] | None:
    """Identify the file, whatever its name; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
