"""The list of places at which two runs of one text differ or agree, one row each."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from app.chat.wording import rule_and_cue
from app.inspector.replay_marks import SIGNS
from core.thinking.pieces import Piece
from core.thinking.replay import Place

Index = QModelIndex | QPersistentModelIndex


class ReplayPlaces(QAbstractListModel):
    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._places: Sequence[Place] = ()
        self._pieces: Sequence[Piece] = ()

    def show_places(self, places: Sequence[Place], pieces: Sequence[Piece]) -> None:
        """`pieces`: of the recorded run, in which the places lie."""
        self.beginResetModel()
        self._places, self._pieces = places, pieces
        self.endResetModel()

    def piece_at(self, row: int) -> Piece | None:
        if not 0 <= row < len(self._places):
            return None
        return piece_at(self._pieces, self._places[row].takeover.start)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        return 0 if parent.isValid() else len(self._places)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        place = self._places[index.row()]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return f"{SIGNS[place.kind]}  {self._words(index.row(), place)}"
            case Qt.ItemDataRole.AccessibleTextRole | Qt.ItemDataRole.ToolTipRole:
                return f"{self._words(index.row(), place)} ({place.kind.value})"
        return None

    def _words(self, row: int, place: Place) -> str:
        piece, took = self.piece_at(row), place.takeover
        step = f"Step {piece.step + 1}" if piece else "The end"
        return f"{step}: {rule_and_cue(took.rule, took.cue)}"


def piece_at(pieces: Sequence[Piece], position: int) -> Piece | None:
    """The piece in which a character of the text lies."""
    found = bisect_right(pieces, position, key=lambda piece: piece.position) - 1
    return pieces[found] if found >= 0 else None
