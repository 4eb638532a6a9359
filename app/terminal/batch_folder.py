"""The folder of a batch (DIR): its results, and a link to the database that holds the batch."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import NamedTuple

from baton_reasoning.app.terminal.history import open_history
from baton_reasoning.core.batch.reporting.exports import EXPORTS
from baton_reasoning.core.errors import SettingsError, StoreError
from baton_reasoning.core.files import FULL_DISK, private_folder
from baton_reasoning.core.store.batches import Batch
from baton_reasoning.core.store.damage import is_foreign
from baton_reasoning.core.store.store import Store

LINK_FILE = "batch.json"
STORE_FILE = "batch.sqlite"
"""The database of a batch that is not in the history: of `baton evidence`, and with --no-history."""
HISTORY = "history"


class Link(NamedTuple):
    """The content of LINK_FILE."""

    database: str
    """HISTORY, or STORE_FILE beside it."""
    batch: str
    """The id of the batch."""


@dataclass(frozen=True)
class BatchFolder:
    path: Path
    database: str = HISTORY
    """Where a new batch is kept: HISTORY, or STORE_FILE in the folder."""

    def file(self, ending: str) -> Path:
        """Return where the export with this ending, such as “.csv”, is written."""
        return self.path / f"{'results' if ending in ('.csv', '.jsonl') else 'report'}{ending}"

    @property
    def holds_batch(self) -> bool:
        """Whether a batch was created in it. Raises SettingsError, StoreError."""
        return self._link() is not None

    def prepare(self) -> None:
        """Make the folder for a new batch, before its models are loaded.

        Raises SettingsError if it cannot be written to, or holds a batch or a file of a name that the batch needs, and
        StoreError if the disk is full.
        """
        if self.holds_batch:
            raise self._taken()
        others = [file for file in map(self.file, EXPORTS) if file.exists()]
        if self.database == STORE_FILE and is_foreign(self._own_store):
            others.append(self._own_store)
        if others:
            raise SettingsError(f"{others[0]} exists already.", "Name another folder with --out.")
        try:
            private_folder(self.path)
            TemporaryFile(dir=self.path).close()
        except OSError as error:
            raise _refused(self.path, error) from error

    def create(self, create: Callable[[Store], str]) -> None:
        """Create a batch by `create`, which returns its id, and write the link to it.

        If that fails, or if another command was faster, the batch is deleted. Raises SettingsError, StoreError.
        """
        with self._store(self.database) as store:
            link = Link(self.database, create(store))
            try:
                self._link_file.touch(mode=0o600, exist_ok=False)
                self._link_file.write_text(json.dumps(link._asdict()), encoding="utf-8")
            except OSError as error:
                with suppress(StoreError):
                    store.batches.delete(link.batch)
                if isinstance(error, FileExistsError):
                    raise self._taken() from error
                self._link_file.unlink(missing_ok=True)
                raise _refused(self._link_file, error) from error

    @contextmanager
    def opened(self) -> Iterator[tuple[Store, Batch]]:
        """Open the database and the batch that the link names. Raises SettingsError, StoreError."""
        if not (link := self._link()):
            raise SettingsError(f"{self.path} holds no batch.", "Name the folder that baton batch run wrote into.")
        with self._store(link.database) as store:
            yield store, store.batches.open(link.batch)

    def refuse_lost(self) -> None:
        """Raise StoreError if the folder was moved or deleted since its batch began."""
        if not self.holds_batch:
            raise StoreError(
                f"{self.path} was moved or deleted while its batch ran.",
                "A batch of the history is still there: baton history list shows its id, and baton history export ID "
                "results.csv writes its results.",
            )

    @property
    def _link_file(self) -> Path:
        return self.path / LINK_FILE

    @property
    def _own_store(self) -> Path:
        return self.path / STORE_FILE

    def _store(self, database: str) -> AbstractContextManager[Store]:
        return open_history() if database == HISTORY else Store.open(self._own_store)

    def _link(self) -> Link | None:
        """Read the link; None without one. Raises SettingsError if it cannot be read, StoreError.

        Earlier versions named no database, and wrote no link to a batch that is kept in the folder. A program that is
        killed once it has created such a batch writes none either.
        """
        own = self._own_store
        try:
            earlier = {"database": STORE_FILE if own.exists() else HISTORY}
            told = earlier | json.loads(self._link_file.read_text(encoding="utf-8"))
            return Link(told["database"], told["batch"])
        except (FileNotFoundError, NotADirectoryError):
            if not own.exists() or is_foreign(own):
                return None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise SettingsError(
                f"{self._link_file} cannot be read.", "Name another folder, or delete this file: no answer is in it."
            ) from error
        with Store.open(own) as store:
            return next((Link(STORE_FILE, batch.id) for batch in store.batches.all()), None)

    def _taken(self) -> SettingsError:
        return SettingsError(
            f"{self.path} holds a batch already.",
            f"Continue it with baton batch resume {self.path}, or name another --out.",
        )


def _refused(file: Path, error: OSError) -> StoreError | SettingsError:
    """Describe why a file or folder cannot be written: the disk is full, or it is the wrong place."""
    told = f"{file} cannot be written: {error.strerror}."
    if error.errno in FULL_DISK:
        return StoreError(told, "Free some space, then repeat the command.")
    return SettingsError(told, "Name another folder with --out.")
