"""The path of a file, written or chosen."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QLineEdit, QWidget

from app.widgets.controls import button


class FileEdit(QWidget):
    """The path of a file: written, or chosen. Empty is None."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.edit = QLineEdit()
        self.edit.setPlaceholderText("none")
        self.edit.editingFinished.connect(self.changed)
        self._browse = button("Choose …", self._choose)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.edit, 1)
        row.addWidget(self._browse)
        self.setFocusProxy(self.edit)

    def path(self) -> Path | None:
        text = self.edit.text().strip()
        return Path(text).expanduser() if text else None

    def show_path(self, path: Path | None) -> None:
        self.edit.setText(str(path or ""))
        self.edit.setCursorPosition(0)

    def setAccessibleName(self, name: str) -> None:
        super().setAccessibleName(name)
        self.edit.setAccessibleName(name)
        self._browse.setAccessibleName(f"Choose the file: {name}")

    def _choose(self) -> None:
        file, _ = QFileDialog.getOpenFileName(self, self.accessibleName(), self.edit.text() or str(Path.home()))
        if file:
            self.edit.setText(file)
            self.changed.emit()
