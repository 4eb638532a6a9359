"""The settings of the open window, replaced as a whole and saved after a short delay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QStandardPaths, QTimer, Signal

from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.settings import Settings, SettingsFile

SAVE_AFTER_MS = 800
"""A splitter that is dragged is saved once."""


class Preferences(QObject):
    changed = Signal()
    failed = Signal(object)
    """A SettingsError: they could not be saved."""

    def __init__(self, file: SettingsFile, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._file = file
        self.value = file.load()
        self._timer = QTimer(self, singleShot=True, interval=SAVE_AFTER_MS)
        self._timer.timeout.connect(self.save)

    def replace(self, value: Settings) -> None:
        if value != self.value:
            self.value = value
            self._timer.start()
            self.changed.emit()

    def change(self, **fields: Any) -> None:
        """Change fields of the settings to values that are valid already."""
        self.replace(self.value.model_copy(update=fields))

    def change_run(self, **fields: Any) -> None:
        self.change(run=self.value.run.model_copy(update=fields))

    def change_window(self, **fields: Any) -> None:
        """Change the saved state of the window. Nothing depends on it, so nothing is emitted."""
        self.value = self.value.model_copy(update={"window": self.value.window.model_copy(update=fields)})
        self._timer.start()

    def save(self) -> None:
        self._timer.stop()
        try:
            self._file.save(self.value)
        except SettingsError as error:
            self.failed.emit(error)


def known_folder(path: str) -> Path | None:
    """Return a folder that was used last; None if there was none, or if it is gone."""
    folder = Path(path)
    return folder if folder.is_absolute() and folder.is_dir() else None


def documents_folder() -> Path:
    """Return where a person keeps documents: where files are saved unless another place was chosen."""
    return Path(QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DocumentsLocation))
