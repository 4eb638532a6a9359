"""The results folder of a batch. It also holds the batch itself, or names it in the history."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from baton_reasoning.app.terminal.recording import open_history
from baton_reasoning.core.batch.reporting.exports import EXPORTS
from baton_reasoning.core.errors import SettingsError, StoreError
from baton_reasoning.core.files import private_folder
from baton_reasoning.core.store.batch_rows import Batch
from baton_reasoning.core.store.store import Store

STORE_FILE = "batch.sqlite"
"""A store inside the folder, for `baton evidence` and --no-history."""
LINK_FILE = "batch.json"
"""Holds the id of the batch in the history."""


@dataclass(frozen=True)
class BatchFolder:
    """`has_own_store`: whether a new batch is kept in the folder only, not in the history."""

    path: Path
    has_own_store: bool = False

    @property
    def holds_batch(self) -> bool:
        return (self.path / STORE_FILE).exists() or (self.path / LINK_FILE).exists()

    def file(self, ending: str) -> Path:
        """Return where the export with this ending, such as “.csv”, is written."""
        return self.path / f"{'results' if ending in ('.csv', '.jsonl') else 'report'}{ending}"

    @contextmanager
    def reserved(self) -> Iterator[None]:
        """Reserve the folder before the models are loaded, so that a second batch cannot take it.

        Releases it if no batch was created. Raises SettingsError if the folder holds a batch or a file of the same name
        as its results.
        """
        file = self.path / (STORE_FILE if self.has_own_store else LINK_FILE)
        already = SettingsError(
            f"{self.path} holds a batch already.",
            f"Continue it with baton batch resume {self.path}, or name another --out.",
        )
        if self.holds_batch:
            raise already
        if others := [file for file in map(self.file, EXPORTS) if file.exists()]:
            raise SettingsError(f"{others[0]} exists already.", "Name another folder with --out.")
        try:
            private_folder(self.path)
            file.touch(mode=0o600, exist_ok=False)
        except FileExistsError as error:
            raise already from error
        except OSError as error:
            raise SettingsError(
                f"{self.path} cannot be written to: {error.strerror}.", "Name another folder with --out."
            ) from error
        try:
            yield
        finally:
            with suppress(OSError):
                if not file.stat().st_size:
                    file.unlink()

    @contextmanager
    def store(self) -> Iterator[Store]:
        """Open the store that holds the batch. Raises StoreError, or SettingsError if the folder holds no batch."""
        own = self.path / STORE_FILE
        if own.exists():
            with Store.open(own) as store:
                yield store
        elif (self.path / LINK_FILE).exists():
            with open_history() as store:
                yield store
        else:
            raise SettingsError(f"{self.path} holds no batch.", "Name the folder that baton batch run wrote into.")

    def name(self, batch: str) -> None:
        """Write the id of the new batch into the folder. Raises SettingsError."""
        link = self.path / LINK_FILE
        if link.exists():
            try:
                link.write_text(json.dumps({"batch": batch}), encoding="utf-8")
            except OSError as error:
                raise SettingsError(f"{link} cannot be written: {error.strerror or error}.") from error

    def batch(self, store: Store) -> Batch:
        """Return the batch of this folder. Raises SettingsError, StoreError."""
        link = self.path / LINK_FILE
        try:
            text = link.read_text(encoding="utf-8")
            if not text:  # `reserved` made it
                raise self._not_begun(link)
            named = json.loads(text)["batch"]
            return store.batches.open(str(named))
        except FileNotFoundError:
            known = store.batches.all()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SettingsError(f"{link} cannot be read.", "Name another folder.") from error
        if not known:
            raise self._not_begun(self.path / STORE_FILE)
        return known[0]

    def _not_begun(self, file: Path) -> SettingsError:
        return SettingsError(
            f"The batch in {self.path} has not begun.",
            f"Wait for the command that is starting it; if there is none, delete {file}.",
        )

    def refuse_lost(self) -> None:
        """Raise StoreError if the folder was removed while its batch ran."""
        if not (self.path / STORE_FILE).exists() and not (self.path / LINK_FILE).exists():
            raise StoreError(
                f"{self.path} is gone, and with it the results.", "Do not move or delete it while it runs."
            )
