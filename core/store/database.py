"""One SQLite file in WAL mode, migrated when it is opened, written by one thread, read by any.

In WAL mode with `synchronous = NORMAL`, a committed transaction survives a kill of the program; a power cut may cost
the last transactions, never the file (sqlite.org/wal.html).
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from queue import Empty, LifoQueue
from typing import TypeVar

from baton_reasoning.core.errors import StoreError
from baton_reasoning.core.files import make_private, private_folder
from baton_reasoning.core.store.damage import is_damaged, primary_code, reported_as_store_error, set_aside
from baton_reasoning.core.store.folder_lock import FolderLock
from baton_reasoning.core.store.migrations import MIGRATIONS, Migration, is_outdated, migrate
from baton_reasoning.core.store.salvage import salvage
from baton_reasoning.core.store.writer import Change, Trouble, Writer

T = TypeVar("T")
_PATIENCE = 5.0
"""Seconds to wait for another program that writes."""


class Database:
    """The open file, readable by its owner alone.

    `notices`: sentences for the user, such as that a damaged file was set aside. Raises StoreError.
    """

    def __init__(
        self,
        path: Path,
        on_trouble: Trouble | None = None,
        migrations: Sequence[Migration] = MIGRATIONS,
        as_it_stands: bool = False,
        is_checked: bool = False,
    ) -> None:
        """`as_it_stands`: open the file for reading only, without a lock or a journal, which need free disk space.
        `is_checked`: it is not damaged."""
        self.path = path
        self.notices: tuple[str, ...] = ()
        self._address = f"{path.absolute().as_uri()}{'?mode=ro&immutable=1' if as_it_stands else ''}"
        with ExitStack() as undo:
            if not as_it_stands:
                self._make_ready(undo, is_checked)
            connection = self._connect()
            undo.callback(connection.close)
            with reported_as_store_error(path):
                if not as_it_stands:
                    _use_wal(connection)
                migrate(connection, path, migrations)
            self._held = undo.pop_all()
        self._idle: LifoQueue[sqlite3.Connection] = LifoQueue()
        self._closed = False
        self.writer = Writer(connection, path, on_trouble)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Provide a connection to read from; it never waits for the writer. Raises StoreError."""
        try:
            connection = self._idle.get_nowait()
        except Empty:
            connection = self._connect(read_only=True)
        try:
            with reported_as_store_error(self.path):
                yield connection
        finally:
            if self._closed:
                connection.close()
            else:
                self._idle.put(connection)

    def write(self, change: Change[T]) -> T:
        """Make the change in a transaction of the writer thread, and wait for it. Raises StoreError."""
        return self.writer.submit(change).result()

    def execute(self, statement: str, *values: object, kept: bool = False) -> Future[int]:
        """Let the writer execute a statement; the future has the number of rows that it changed, or StoreError.

        `kept`: if it fails, it is tried again until it succeeds.
        """
        write = self.writer.keep if kept else self.writer.submit
        return write(lambda connection: connection.execute(statement, values).rowcount)

    def close(self) -> None:
        """Save what is buffered, then close. Raises StoreError if that fails. Closing twice is allowed."""
        try:
            self.writer.close()
        finally:
            self._closed = True
            with suppress(Empty):
                while True:
                    self._idle.get_nowait().close()
            self._held.close()

    def _make_ready(self, held: ExitStack, is_checked: bool) -> None:
        """Create the folder, replace a damaged file or one of a version that was never released, and make the file
        private; `held` gets the lock of the folder."""
        try:
            private_folder(self.path.parent)
            lock = FolderLock(self.path.parent)
        except OSError as error:
            raise StoreError(
                f"The folder {self.path.parent} cannot be made: {error.strerror}.", "Choose another data folder."
            ) from error
        held.callback(lock.close)
        with reported_as_store_error(self.path):
            fault = "damaged" if not is_checked and is_damaged(self.path) else ""
            fault = fault or ("outdated" if is_outdated(self.path) else "")
        if fault:
            self.notices = (self._replace(lock, fault),)
        make_private(self.path)
        lock.share()

    def _replace(self, lock: FolderLock, fault: str) -> str:
        """Put a new file with what can be read in the place of this one, which is kept; returns what was done.

        A kill before its end changes nothing, but for one between the two renamings.
        """
        if not lock.is_alone:
            told = f"{self.path} is {fault}, and another Baton may have it open."
            raise StoreError(told, "Close every Baton, then start one: it saves what can be read.")
        fresh = self.path.with_name(f"{self.path.name}-salvaged")
        try:
            with reported_as_store_error(fresh):
                fresh.unlink(missing_ok=True)
                make_private(fresh)
                saved = salvage(self.path, fresh)
            aside = set_aside(self.path, fault)
            fresh.rename(self.path)
        finally:
            fresh.unlink(missing_ok=True)
        rest = f"{saved} could be read and are still here" if saved else "a new one begun"
        return f"{self.path.name} was {fault}. It was set aside as {aside.name} in {self.path.parent}, and {rest}."

    def _connect(self, read_only: bool = False) -> sqlite3.Connection:
        with reported_as_store_error(self.path):
            connection = sqlite3.connect(
                self._address, timeout=_PATIENCE, isolation_level=None, check_same_thread=False, uri=True
            )
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA synchronous = NORMAL")
            if read_only:
                connection.execute("PRAGMA query_only = ON")
            return connection


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL; retried, as SQLite's busy timeout does not cover this while another program creates the file."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
