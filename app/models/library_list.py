"""The models on this machine as a list: a name, what it is, and whether it fits; broken files with their reason."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, Qt

from app.models.room import ModelRoom
from app.models.wording import fit_words
from core.models.fit import in_gib
from core.models.library import BrokenFile, Model

Index = QModelIndex | QPersistentModelIndex


class LibraryModel(QAbstractListModel):
    """Rows are models by name, then broken files."""

    def __init__(self, room: ModelRoom) -> None:
        super().__init__(room)
        self._room = room
        self.rows: list[Model | BrokenFile] = []
        self._texts: list[str] = []
        """Kept: judging a model that does not fit takes milliseconds, and a list is painted often."""
        room.inventory_changed.connect(self._reload)
        room.devices_found.connect(self._judge)
        room.preferences_changed.connect(self._judge)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008  Qt's own signature
        return 0 if parent.isValid() else len(self.rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        row = self.rows[index.row()]
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return self._texts[index.row()]
        if role == Qt.ItemDataRole.ToolTipRole:
            return row.reason if isinstance(row, BrokenFile) else str(row.header.path)
        return None

    def _words(self, row: Model | BrokenFile) -> str:
        if isinstance(row, BrokenFile):
            return f"{row.path.name}\n✗ cannot be used · {row.source.value}"
        header = row.header
        fit = self._room.fit_of(row, self._room.preferences.loading_of(header.path))
        facts = [header.size_label, header.quantisation, in_gib(header.file_bytes), fit_words(fit) if fit else ""]
        return f"{header.name}\n{' · '.join(filter(None, facts))}"

    def _reload(self) -> None:
        inventory = self._room.inventory
        self.beginResetModel()
        self.rows = [*inventory.models, *inventory.broken]
        self._texts = [self._words(row) for row in self.rows]
        self.endResetModel()

    def _judge(self) -> None:
        self._texts = [self._words(row) for row in self.rows]
        if self.rows:
            self.dataChanged.emit(self.index(0), self.index(len(self.rows) - 1))
