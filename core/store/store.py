"""Opens the store: the conversations, runs and batches in one SQLite file."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType

from baton_reasoning.core.errors import StoreError
from baton_reasoning.core.store.batches import Batches
from baton_reasoning.core.store.conversations import Conversations
from baton_reasoning.core.store.database import Database
from baton_reasoning.core.store.file_hashes import FileHashes
from baton_reasoning.core.store.owners import forget_lapsed
from baton_reasoning.core.store.runs import Runs, recover
from baton_reasoning.core.store.timestamps import format_timestamp
from baton_reasoning.core.store.writer import Trouble

KEEP_DELETED = timedelta(days=30)
"""How long deleted conversations and batches can be restored."""


class Store:
    """An open store; make one with `Store.open`. As a context manager it closes itself."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.notices = database.notices
        """Sentences about the opening, such as that a damaged file was set aside."""
        self.conversations = Conversations(database)
        self.runs = Runs(database)
        self.batches = Batches(database)
        self.file_hashes = FileHashes(database)

    @classmethod
    def open(cls, path: Path, on_trouble: Trouble | None = None) -> Store:
        """Open the file, or create it. Raises StoreError.

        `on_trouble` is called in the writer's thread: with a StoreError when saving begins to fail, and with None
        when everything is saved again.
        """
        database = Database(path, on_trouble)
        for change in (recover, _purge, forget_lapsed):
            database.writer.submit(change)
        return cls(database)

    @classmethod
    def open_to_read(cls, path: Path) -> Store:
        """Open the file even where nothing can be written: on a full disk, or without permission. Raises StoreError."""
        try:
            return cls.open(path)
        except StoreError:
            journal = path.with_name(f"{path.name}-wal")
            # The data that a killed program left in its journal would not be seen.
            if not (journal.exists() and journal.stat().st_size):
                with suppress(StoreError):
                    return cls(Database(path, as_it_stands=True))
            raise

    def flush(self) -> StoreError | None:
        """Save now what is buffered; returns what prevents that. What is not saved is tried again."""
        return self._database.writer.flush()

    def close(self) -> None:
        """Save what is buffered, then close. Raises StoreError if it cannot be saved. Closing twice is allowed."""
        self._database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _purge(connection: sqlite3.Connection) -> None:
    """Remove for good what was deleted long enough ago."""
    before = format_timestamp(datetime.now(UTC) - KEEP_DELETED)
    for table in ("conversations", "batches"):
        connection.execute(f"DELETE FROM {table} WHERE deleted <= ?", (before,))
