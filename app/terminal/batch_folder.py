"""The folder of a batch (DIR): its results, and a link to the database that holds the batch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from baton_reasoning.app.terminal.history import open_history
from baton_reasoning.core.batch.reporting.exports import EXPORTS
from baton_reasoning.core.errors import SettingsError, StoreError
from baton_reasoning.core.files import private_folder
from baton_reasoning.core.store.batches import Batch
from baton_reasoning.core.store.database import is_alive, this_process
from baton_reasoning.core.store.store import Store

LINK_FILE = "batch.json"
STORE_FILE = "batch.sqlite"
"""The database of a batch that is not in the history: of `baton evidence`, and with --no-history."""
HISTORY = "history"


@dataclass(frozen=True)
class Link:
    """What LINK_FILE says."""

    database: str
    """HISTORY, or STORE_FILE beside it."""
    batch: str = ""
    """The id of the batch; empty until it has been created."""
    starting: str = ""
    """The program (store/database.py, `this_process`) that loads the models for a new batch."""


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
        link = self._link()
        return link is not None and link.batch != ""

    @contextmanager
    def reserved(self) -> Iterator[None]:
        """Reserve the folder before the models are loaded, so that a second batch cannot take it.

        Releases it if no batch was created; that of a program that was killed before is taken over. Raises
        SettingsError if the folder holds a batch or a file of the same name as its results.
        """
        before = self._link()
        if before and before.batch:
            raise SettingsError(
                f"{self.path} holds a batch already.",
                f"Continue it with baton batch resume {self.path}, or name another --out.",
            )
        if before and is_alive(before.starting):
            raise self._being_started()
        if others := [file for file in map(self.file, EXPORTS) if file.exists()]:
            raise SettingsError(f"{others[0]} exists already.", "Name another folder with --out.")
        try:
            if before and before.starting:
                self._link_file.unlink()
            private_folder(self.path)
            self._link_file.touch(mode=0o600, exist_ok=False)
        except FileExistsError as error:
            raise self._being_started() from error
        except OSError as error:
            raise SettingsError(
                f"{self.path} cannot be written to: {error.strerror}.", "Name another folder with --out."
            ) from error
        try:
            self._write(Link(self.database, starting=this_process()))
            yield
        finally:
            if not self.holds_batch:
                with suppress(OSError):
                    self._link_file.unlink(missing_ok=True)

    def name(self, batch: str) -> None:
        """Write the id of the new batch into the link. Raises SettingsError."""
        self._write(Link(self.database, batch))

    def store(self) -> AbstractContextManager[Store]:
        """Open the database that the link names. Raises StoreError, or SettingsError if the folder holds no batch."""
        if not (link := self._link()):
            raise SettingsError(f"{self.path} holds no batch.", "Name the folder that baton batch run wrote into.")
        return open_history() if link.database == HISTORY else Store.open(self.path / STORE_FILE)

    @contextmanager
    def opened(self) -> Iterator[tuple[Store, Batch]]:
        """Open the database and the batch that the link names. Raises SettingsError, StoreError."""
        with self.store() as store:
            link = self._link()
            if link and link.batch:
                yield store, store.batches.open(link.batch)
            elif link and is_alive(link.starting):
                raise self._being_started()
            else:
                raise SettingsError(
                    f"The batch in {self.path} has not begun: the command that was starting it has ended.",
                    "Repeat that command.",
                )

    def refuse_lost(self) -> None:
        """Raise StoreError if the folder was removed while its batch ran."""
        if not self._link():
            raise StoreError(
                f"{self.path} is gone, and with it the results.", "Do not move or delete it while it runs."
            )

    @property
    def _link_file(self) -> Path:
        return self.path / LINK_FILE

    def _link(self) -> Link | None:
        """Read the link; None without one. Raises SettingsError if it cannot be read, StoreError.

        Earlier versions named no database, and wrote no link to a batch that is kept in the folder.
        """
        own = self.path / STORE_FILE
        try:
            text = self._link_file.read_text(encoding="utf-8")
            earlier = {"database": STORE_FILE if own.exists() else HISTORY}
            told = json.loads(text) if text else {"starting": this_process()}  # a living program just writes it
            return Link(**earlier | told)
        except FileNotFoundError:
            if not own.exists():
                return None
        except (OSError, ValueError, TypeError) as error:
            raise SettingsError(f"{self._link_file} cannot be read.", "Name another folder.") from error
        with Store.open(own) as store:
            return Link(STORE_FILE, next((batch.id for batch in store.batches.all()), ""))

    def _write(self, link: Link) -> None:
        """Write the link. Raises SettingsError."""
        try:
            self._link_file.write_text(json.dumps(asdict(link)), encoding="utf-8")
        except OSError as error:
            raise SettingsError(f"{self._link_file} cannot be written: {error.strerror or error}.") from error

    def _being_started(self) -> SettingsError:
        return SettingsError(
            f"Another command is starting a batch in {self.path}.",
            f"Wait for it; if there is none, delete {self._link_file}.",
        )
