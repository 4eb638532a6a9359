"""The models on this machine: all of them as a list, and the card of one."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QModelIndex, Qt, Signal
from PySide6.QtWidgets import QListView, QSplitter, QWidget

from app.models.card import ModelCardView
from app.models.late import Late
from app.models.library_list import LibraryModel, Row
from app.models.room import ModelRoom
from core.models.library import BrokenFile, LocalModel
from core.models.trash import Deletion

LIST_WIDTH = 260
"""Pixels: a name, and below it size, quantisation and fit."""


class Here(QSplitter):
    use_wanted = Signal(object, object)
    """Author and path: put this model into the pair."""
    reload_wanted = Signal()
    policy_wanted = Signal(str)

    def __init__(self, room: ModelRoom, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self._wanted: Path | None = None
        self.library = LibraryModel(room)
        self.list = QListView()
        self.list.setModel(self.library)
        self.list.setAccessibleName("Models on this machine")
        self.list.setSpacing(1)
        self.list.setMinimumWidth(LIST_WIDTH)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._room = room
        self._card = Late(self._make_card)
        self.addWidget(self.list)
        self.addWidget(self._card)
        self.setStretchFactor(0, 2)
        self.setStretchFactor(1, 3)
        self.setChildrenCollapsible(False)
        self.list.selectionModel().currentChanged.connect(self._show_card)
        self.library.modelReset.connect(self._reloaded)

    @property
    def card(self) -> ModelCardView:
        return self._card.part

    def choose(self, path: Path) -> None:
        """Show the card of this model, or of one in this folder, as soon as it is there."""
        self._wanted = path
        self._choose_wanted()

    def finish(self) -> None:
        """The window is closing."""
        self.library.finish()
        if self._card.is_made:
            self.card.finish()

    def _make_card(self) -> ModelCardView:
        card = ModelCardView(self._room)
        card.use_wanted.connect(lambda author, model: self.use_wanted.emit(author, model.header.path))
        card.reload_wanted.connect(self.reload_wanted)
        card.policy_wanted.connect(self.policy_wanted)
        return card

    def _reloaded(self) -> None:
        self._show_card(self.list.currentIndex())
        self._choose_wanted()

    def _choose_wanted(self) -> None:
        for row, entry in enumerate(self.library.rows):
            path = path_of(entry)
            if self._wanted is not None and self._wanted in (path, path.parent):
                self.list.setCurrentIndex(self.library.index(row))
                self._wanted = None
                return

    def _show_card(self, index: QModelIndex) -> None:
        rows = self.library.rows
        row = rows[index.row()] if index.isValid() and index.row() < len(rows) else None
        if row is not None or self._card.is_made:  # a card of nothing needs not be made yet
            self.card.show_row(row)


def path_of(row: Row) -> Path:
    match row:
        case LocalModel():
            return row.header.path
        case BrokenFile():
            return row.path
        case Deletion():
            return row.moves[0].waiting
