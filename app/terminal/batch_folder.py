"""The results folder of a batch. It also holds the batch itself, or names it in the history."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from baton_reasoning.app.terminal.history import open_history
from baton_reasoning.core.batch.reporting.exports import EXPORTS
from baton_reasoning.core.errors import SettingsError, StoreError
from baton_reasoning.core.files import private_folder
from baton_reasoning.core.store.batches import Batch
from baton_reasoning.core.store.database import is_alive, this_process
from baton_reasoning.core.store.store import Store

STORE_FILE = "batch.sqlite"
"""A store inside the folder, for `baton evidence` and --no-history."""
LINK_FILE = "batch.json"
"""Holds the id of the batch in the history; before there is one, which program is about to create it."""


class _Link(NamedTuple):
    batch: str = ""
    starting: str = ""
    """The program (store/database.py, `this_process`) that loads the models for a new batch."""


@dataclass(frozen=True)
class BatchFolder:
    """`has_own_store`: whether a new batch is kept in the folder only, not in the history."""

    path: Path
    has_own_store: bool = False

    @property
    def holds_batch(self) -> bool:
        """Whether a batch was created in it. Raises SettingsError, StoreError."""
        own = self.path / STORE_FILE
        if self._link().batch or not own.exists():
            return bool(self._link().batch)
        with Store.open(own) as store:
            return bool(store.batches.all())

    def file(self, ending: str) -> Path:
        """Return where the export with this ending, such as “.csv”, is written."""
        return self.path / f"{'results' if ending in ('.csv', '.jsonl') else 'report'}{ending}"

    @contextmanager
    def reserved(self) -> Iterator[None]:
        """Reserve the folder before the models are loaded, so that a second batch cannot take it.

        Releases it if no batch was created; that of a program that was killed before is taken over. Raises
        SettingsError if the folder holds a batch or a file of the same name as its results.
        """
        if self.holds_batch:
            raise SettingsError(
                f"{self.path} holds a batch already.",
                f"Continue it with baton batch resume {self.path}, or name another --out.",
            )
        if self._is_being_started():
            raise self._being_started()
        if others := [file for file in map(self.file, EXPORTS) if file.exists()]:
            raise SettingsError(f"{others[0]} exists already.", "Name another folder with --out.")
        link = self.path / LINK_FILE
        try:
            if self._link().starting:
                link.unlink()
            private_folder(self.path)
            link.touch(mode=0o600, exist_ok=False)
            self._write_link(_Link(starting=this_process()))
        except FileExistsError as error:
            raise self._being_started() from error
        except OSError as error:
            raise SettingsError(
                f"{self.path} cannot be written to: {error.strerror}.", "Name another folder with --out."
            ) from error
        try:
            yield
        finally:
            if not self._link().batch:
                with suppress(OSError):
                    link.unlink(missing_ok=True)

    @contextmanager
    def store(self) -> Iterator[Store]:
        """Open the store that holds the batch. Raises StoreError, or SettingsError if the folder holds no batch."""
        own = self.path / STORE_FILE
        if own.exists() or (self.has_own_store and self.path.exists()):
            with Store.open(own) as store:
                yield store
        elif (self.path / LINK_FILE).exists():
            with open_history() as store:
                yield store
        else:
            raise SettingsError(f"{self.path} holds no batch.", "Name the folder that baton batch run wrote into.")

    def name(self, batch: str) -> None:
        """Write the id of the new batch into the folder, unless it is kept there. Raises SettingsError."""
        link = self.path / LINK_FILE
        try:
            if self.has_own_store:
                link.unlink(missing_ok=True)
            else:
                self._write_link(_Link(batch))
        except OSError as error:
            raise SettingsError(f"{link} cannot be written: {error.strerror or error}.") from error

    def batch(self, store: Store) -> Batch:
        """Return the batch of this folder. Raises SettingsError, StoreError."""
        if named := self._link().batch:
            return store.batches.open(named)
        if (self.path / STORE_FILE).exists() and (known := store.batches.all()):
            return known[0]
        if self._is_being_started():
            raise self._being_started()
        raise SettingsError(
            f"The batch in {self.path} has not begun: the command that was starting it has ended.",
            "Repeat that command.",
        )

    def refuse_lost(self) -> None:
        """Raise StoreError if the folder was removed while its batch ran."""
        if not (self.path / STORE_FILE).exists() and not (self.path / LINK_FILE).exists():
            raise StoreError(
                f"{self.path} is gone, and with it the results.", "Do not move or delete it while it runs."
            )

    def _link(self) -> _Link:
        """Return what the link says; nothing without one. Raises SettingsError if it cannot be read."""
        link = self.path / LINK_FILE
        try:
            text = link.read_text(encoding="utf-8")
            return _Link(**json.loads(text)) if text else _Link()
        except FileNotFoundError:
            return _Link()
        except (OSError, ValueError, TypeError) as error:
            raise SettingsError(f"{link} cannot be read.", "Name another folder.") from error

    def _write_link(self, link: _Link) -> None:
        told = {name: value for name, value in link._asdict().items() if value}
        (self.path / LINK_FILE).write_text(json.dumps(told), encoding="utf-8")

    def _is_being_started(self) -> bool:
        """Tell whether a program may be about to create a batch: one that is alive, or just writes its link."""
        starting = self._link().starting
        return is_alive(starting) if starting else (self.path / LINK_FILE).exists()

    def _being_started(self) -> SettingsError:
        return SettingsError(
            f"Another command is starting a batch in {self.path}.",
            f"Wait for it; if there is none, delete {self.path / LINK_FILE}.",
        )
