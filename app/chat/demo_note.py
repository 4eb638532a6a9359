"""What the demo pair is, how fast it shows itself, and another problem for it."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QSlider, QVBoxLayout, QWidget

from app.theme import Role
from app.widgets.controls import button, label

WORDS = (
    "These two models come with Baton. They are tiny, were trained for this one family of problems, and can do "
    "nothing else. They reflect where a step looks hard, not where they notice a mistake. For real questions, "
    "choose a pair of your own at the top."
)
PACES = (10, 20, 40, 80, 160, 0)
"""Tokens a second; the last is as fast as it goes."""
WIDEST = 560


class DemoNote(QWidget):
    another_wanted = Signal()
    pace_chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        words = label(WORDS, Role.MUTED)
        words.setWordWrap(True)
        words.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self.setMaximumWidth(WIDEST)
        self.pace = QSlider(Qt.Orientation.Horizontal)
        self.pace.setRange(0, len(PACES) - 1)
        self.pace.setPageStep(1)
        self.pace.setFixedWidth(120)
        self.pace.setAccessibleName("Pace")
        self._told = label("", Role.MUTED)
        name = label("&Pace", Role.MUTED)
        name.setTextFormat(Qt.TextFormat.AutoText)
        name.setBuddy(self.pace)
        row = QHBoxLayout()
        row.addStretch()
        row.addWidget(button("Another one", self.another_wanted.emit, tip="A problem that neither model has seen"))
        row.addSpacing(18)
        for widget in (name, self.pace, self._told):
            row.addWidget(widget)
        row.addStretch()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 10, 0, 0)
        column.setSpacing(10)
        column.addWidget(words)
        column.addLayout(row)
        self.pace.valueChanged.connect(self._choose)

    def show_pace(self, pace: int) -> None:
        """The nearest of the slider's places."""
        place = min(range(len(PACES) - 1), key=lambda i: abs(PACES[i] - pace)) if pace else len(PACES) - 1
        self.pace.blockSignals(True)
        self.pace.setValue(place)
        self.pace.blockSignals(False)
        self._tell(pace)

    def _choose(self, place: int) -> None:
        self._tell(PACES[place])
        self.pace_chosen.emit(PACES[place])

    def _tell(self, pace: int) -> None:
        self._told.setText(f"{pace} tokens a second" if pace else "as fast as it goes")
        self.pace.setToolTip(self._told.text())
