"""Opens the store: the conversations, runs and batches in one SQLite file."""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType

from baton_reasoning.core.conversation import Conversation
from baton_reasoning.core.errors import StoreError
from baton_reasoning.core.store.batches import Batches
from baton_reasoning.core.store.conversations import Conversations, put_exchange
from baton_reasoning.core.store.damage import is_damaged, reported_as_store_error
from baton_reasoning.core.store.database import Database
from baton_reasoning.core.store.deleted import Deleted, purge, read_deleted
from baton_reasoning.core.store.file_hashes import FileHashes
from baton_reasoning.core.store.owners import forget_lapsed
from baton_reasoning.core.store.runs import Runs, recover, save_whole
from baton_reasoning.core.store.salvage import salvage
from baton_reasoning.core.store.unsent import UnsentTexts
from baton_reasoning.core.store.writer import Trouble
from baton_reasoning.core.text import replace_lone_surrogates


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
        self.unsent = UnsentTexts(database)
        self._held = ExitStack()

    @classmethod
    def open(cls, path: Path, on_trouble: Trouble | None = None, is_checked: bool = False) -> Store:
        """Open the file, or create it. Raises StoreError.

        `on_trouble` is called in the writer's thread: with a StoreError when saving begins to fail, and with None
        when everything is saved again. `is_checked`: the file is not damaged.
        """
        database = Database(path, on_trouble, is_checked=is_checked)
        for change in (recover, purge, forget_lapsed):
            database.writer.submit(change)
        return cls(database)

    @classmethod
    def open_to_read(cls, path: Path) -> Store:
        """Open the file even where nothing can be written: on a full disk, or without permission. Raises StoreError.

        A damaged file stays as it is: what can be read of it is read from a copy.
        """
        try:
            return cls._of_copy(path) if is_damaged(path) else cls.open(path, is_checked=True)
        except StoreError:
            journal = path.with_name(f"{path.name}-wal")
            # The data that a killed program left in its journal would not be seen.
            if not (journal.exists() and journal.stat().st_size):
                with suppress(StoreError):
                    return cls(Database(path, as_it_stands=True))
            raise

    @classmethod
    def _of_copy(cls, damaged: Path) -> Store:
        with ExitStack() as undo:
            copy = Path(undo.enter_context(TemporaryDirectory(prefix="baton-"))) / damaged.name
            with reported_as_store_error(copy):
                saved = salvage(damaged, copy)
            store = cls(Database(copy, is_checked=True))
            store._held = undo.pop_all()
        told = (
            f"{saved or 'Nothing'} could be read. Close every Baton, then start the window: it saves what can be read."
        )
        store.notices = (f"{damaged} is damaged. {told}",)
        return store

    def add_conversation(self, conversation: Conversation) -> None:
        """Save a whole conversation with all its answers.

        Raises StoreError if a part of it cannot be saved; then nothing of it is.
        """

        def change(connection: sqlite3.Connection) -> None:
            try:
                for exchange in conversation:
                    put_exchange(connection, conversation.id, exchange)
                    if exchange.trace.events:
                        save_whole(connection, exchange.id, exchange.trace.events)
            except (sqlite3.IntegrityError, sqlite3.DataError, OverflowError) as error:
                told = "This conversation has a value that cannot be saved."
                raise StoreError(told, "Nothing of it was saved.") from error
            leaf = conversation.leaf.id if conversation.leaf else None
            values = replace_lone_surrogates(conversation.title.strip()), leaf, conversation.id
            connection.execute("UPDATE conversations SET title = ?, leaf = ? WHERE id = ?", values)

        self._database.write(change)

    def deleted(self) -> list[Deleted]:
        """List the deleted conversations and batches that can be restored, the latest deletion first."""
        with self._database.reading() as connection:
            return read_deleted(connection)

    def restore(self, deleted: Deleted) -> None:
        """Bring a conversation or a batch back into the lists. Raises StoreError."""
        (self.batches if deleted.is_batch else self.conversations).restore(deleted.id)

    def flush(self) -> StoreError | None:
        """Save now what is buffered; returns what prevents that. What is not saved is tried again."""
        return self._database.writer.flush()

    def close(self) -> None:
        """Save what is buffered, then close. Raises StoreError if it cannot be saved. Closing twice is allowed."""
        try:
            self._database.close()
        finally:
            self._held.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
