"""The models on this machine as a list: a name, what it is, and whether it fits; broken files with their reason."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, Qt

from app.models.errands import Question
from app.models.room import ModelRoom, place
from app.models.wording import fit_words
from core.models.fit import Fit, in_gib
from core.models.library import BrokenFile, LocalModel
from core.models.trash import Deletion

Index = QModelIndex | QPersistentModelIndex
Row = LocalModel | BrokenFile | Deletion


class LibraryModel(QAbstractListModel):
    """Rows are models by name, then broken files, then what was deleted and can be put back."""

    def __init__(self, room: ModelRoom) -> None:
        super().__init__(room)
        self._room = room
        self.rows: list[Row] = []
        self._texts: list[str] = []
        self._question = Question(room.failed.emit, self)
        """Judging a model that does not fit takes milliseconds, so a thread does it, and what it found is kept."""
        room.inventory_changed.connect(self._reload)
        room.devices_found.connect(self._judge)
        room.preferences_changed.connect(self._judge)
        self._reload()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008  Qt's own signature
        return 0 if parent.isValid() else len(self.rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        row = self.rows[index.row()]
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return self._texts[index.row()]
        if role == Qt.ItemDataRole.ToolTipRole:
            return tip(row)
        return None

    def finish(self) -> None:
        """The window is closing."""
        self._question.finish()

    def _reload(self) -> None:
        inventory = self._room.inventory
        self.beginResetModel()
        self.rows = [*inventory.models, *inventory.broken, *self._room.deletions]
        self._texts = [words(row, None) for row in self.rows]
        self.endResetModel()
        self._judge()

    def _judge(self) -> None:
        rows, devices, choice_of = tuple(self.rows), self._room.devices, self._room.loading_of
        if devices is None:
            return
        choices = {row: choice_of(row.header.path) for row in rows if isinstance(row, LocalModel)}

        def judged() -> list[str]:
            fits = {row: place(row, choice, devices) for row, choice in choices.items()}
            return [words(row, fits.get(row) if isinstance(row, LocalModel) else None) for row in rows]

        self._question.ask(judged, self._show)

    def _show(self, texts: list[str]) -> None:
        if len(texts) == len(self.rows):  # a scan may have found others meanwhile; then they are judged next
            self._texts = texts
            self.dataChanged.emit(self.index(0), self.index(len(self.rows) - 1))


def tip(row: Row) -> str:
    match row:
        case BrokenFile():
            return row.reason
        case Deletion():
            return f"It can be put back until Baton closes: {row.moves[0].origin}"
        case LocalModel():
            return str(row.header.path)


def words(row: Row, fit: Fit | None) -> str:
    """Two lines: a name, and what it is; without a fit as long as the machine has not answered."""
    if isinstance(row, BrokenFile):
        return f"{row.path.name}\n✗ cannot be used · {row.source.value}"
    if isinstance(row, Deletion):
        return f"{row.name}\n↶ deleted · {in_gib(row.freed_bytes)} · can be put back"
    header = row.header
    facts = [header.size_label, header.quantisation, in_gib(header.file_bytes), fit_words(fit) if fit else ""]
    return f"{header.name}\n{' · '.join(filter(None, facts))}"
