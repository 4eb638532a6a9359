"""Export conversations to files, and import them."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, Signal

from baton_reasoning.app.session.actions import WindowActions
from baton_reasoning.app.toolkit.background import BackgroundTask
from baton_reasoning.core.errors import StoreError
from baton_reasoning.core.export.exported import gather, put_into
from baton_reasoning.core.export.formats import FORMATS, write_file
from baton_reasoning.core.export.json_file import read_json
from baton_reasoning.core.files import read_text
from baton_reasoning.core.store.store import Store


class ImportExport(QObject):
    """Exports and imports in background tasks: a long trace takes seconds."""

    read = Signal(str)  # the conversation's id

    def __init__(self, store: Store, actions: WindowActions, parent: QObject) -> None:
        super().__init__(parent)
        self._store, self._actions = store, actions

    def write(self, conversation: str, path: Path) -> None:
        """Export in the format of the file's suffix."""

        def write() -> None:
            write_file(path, FORMATS, gather(self._store, conversation))

        task = BackgroundTask(self, "export", write).success(lambda _: self._actions.show_saved(path))
        task.failure(self._actions.show_error).start()

    def read_file(self, path: Path) -> None:
        """Import what Baton exported as JSON."""

        def read() -> str:
            text = read_text(path, "Choose a file that Baton exported.", StoreError)
            return put_into(self._store, read_json(text))

        BackgroundTask(self, "import", read).success(self.read.emit).failure(self._actions.show_error).start()
