"""Export conversations to files, and import them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from baton_reasoning.app.toolkit.background import BackgroundTask
from baton_reasoning.core.errors import StoreError
from baton_reasoning.core.export.exported import gather, put_into
from baton_reasoning.core.export.formats import FORMATS, write_file
from baton_reasoning.core.export.json_file import read_json
from baton_reasoning.core.files import read_text
from baton_reasoning.core.store.store import Store


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

        def write() -> str:
            write_file(path, FORMATS, gather(self._store, conversation))
            return str(path)

        self._run("export", write, self.written.emit)

    def read_file(self, path: Path) -> None:
        """Import what Baton exported as JSON."""

        def read() -> str:
            text = read_text(path, "Choose a file that Baton exported.", StoreError)
            return put_into(self._store, read_json(text))

        self._run("import", read, self.read.emit)

    def _run(self, name: str, function: Callable[[], str], success: Callable[[str], object]) -> None:
        BackgroundTask(self, name, function).success(success).failure(self.failed.emit).start()
