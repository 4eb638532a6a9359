"""Export conversations to files, and import them."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from app.shared.background import Work, run_in_background
from core.errors import BatonError, StoreError
from core.export.exported import gather, put_into
from core.export.formats import write_file
from core.export.json_file import read_json
from core.files import read_text
from core.store.store import Store


class ImportExport(QObject):
    """Exports and imports in background tasks: a long trace takes seconds."""

    written = Signal(str)  # the path
    read = Signal(str)  # the conversation's id
    failed = Signal(object)

    def __init__(self, store: Store, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._store = store

    def write(self, conversation: str, path: Path) -> None:
        """Export in the format of the file's suffix."""

        def work() -> Generator[Any, None, None]:
            write_file(path, gather(self._store, conversation))
            yield self.written, str(path)

        self._run("export", work)

    def read_file(self, path: Path) -> None:
        def work() -> Generator[Any, None, None]:
            text = read_text(path, "Choose a file that Baton exported.", StoreError)
            yield self.read, put_into(self._store, read_json(text))

        self._run("import", work)

    def _run(self, name: str, work: Work) -> None:
        run_in_background(self, name, work, arrived=self._tell, ended=self._ended)

    def _tell(self, results: list[tuple[Any, str]]) -> None:
        for signal, result in results:
            signal.emit(result)

    def _ended(self, error: BatonError | None) -> None:
        if error:
            self.failed.emit(error)
