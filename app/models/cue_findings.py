"""What a cue profile found: how sentences open after a boundary, and the cues that it proposes, each to be left out."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QHBoxLayout,
    QHeaderView,
    QListWidget,
    QListWidgetItem,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.theme import Role
from app.widgets.controls import label
from core.cue_profiler import CueProfile, StepOpening
from core.thinking.cues import Lexicon

_HEADS = ("StepOpening", "Times", "Share", "Before “wait”")
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class CueFindings(QWidget):
    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._found: CueProfile | None = None
        self.table = QTableWidget(0, len(_HEADS))
        self.table.setHorizontalHeaderLabels(_HEADS)
        self.table.setAccessibleName("How sentences open after a boundary")
        self.table.verticalHeader().hide()
        self.table.setShowGrid(False)
        self.table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.table.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.cues = QListWidget()
        self.cues.setAccessibleName("Proposed cues")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        views: tuple[tuple[str, QWidget, int], ...] = (
            ("How its sentences open", self.table, 3),
            ("Proposed cues", self.cues, 2),
        )
        for title, view, share in views:
            side = QVBoxLayout()
            side.addWidget(label(title, Role.HEADING))
            side.addWidget(view)
            row.addLayout(side, share)

    @property
    def has_proposal(self) -> bool:
        return self._found is not None and any(self._found.proposed.cues.values())

    @property
    def chosen(self) -> Lexicon | None:
        """The proposed cues without those that a person took out; None if none is left."""
        items = [self.cues.item(row) for row in range(self.cues.count())] if self.has_proposal else []
        taken = {item.data(Qt.ItemDataRole.UserRole) for item in items if item.checkState() is Qt.CheckState.Checked}
        if self._found is None or not taken:
            return None
        return Lexicon(
            {
                category: {word: forms for word, forms in words.items() if (category, word) in taken}
                for category, words in self._found.proposed.cues.items()
            }
        )

    def show_profile(self, found: CueProfile) -> None:
        self._found = found
        self.table.setRowCount(len(found.openings))
        for row, opening in enumerate(found.openings):
            self._show_opening(row, opening, found.boundaries)
        self.cues.clear()
        for category, words in found.proposed.cues.items():
            for word, forms in words.items():
                times = found.times(category, (word, *forms))
                cue = QListWidgetItem(f"{word} ({category.value}), {times} times", self.cues)
                cue.setData(Qt.ItemDataRole.UserRole, (category, word))
                cue.setCheckState(Qt.CheckState.Checked)
        if not self.has_proposal:
            QListWidgetItem("none: it has no habit to hold on to", self.cues).setFlags(Qt.ItemFlag.NoItemFlags)

    def _show_opening(self, row: int, opening: StepOpening, boundaries: int) -> None:
        share = f"{opening.count / boundaries:.0%}"
        for column, text in enumerate((opening.words, str(opening.count), share, str(opening.before_wait))):
            item = QTableWidgetItem(text)
            if column:
                item.setTextAlignment(_RIGHT)
            self.table.setItem(row, column, item)
