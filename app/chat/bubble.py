"""What the person asked, at the right, and the ways to other tries at it."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from app.rendering import RichText
from app.theme import Role, set_role
from app.widgets.controls import IconButton, label

WIDEST = 560


class Bubble(QWidget):
    edit_wanted = Signal()
    sibling_wanted = Signal(int)
    compare_wanted = Signal()

    def __init__(self, problem: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        frame = QFrame()
        set_role(frame, Role.BUBBLE)
        frame.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Preferred)
        self._text = RichText()
        self._text.setAccessibleName("Problem")
        self._text.set_markdown(problem)
        inside = QVBoxLayout(frame)
        inside.setContentsMargins(14, 10, 14, 5)
        inside.addWidget(self._text)
        self._text.fit_width(WIDEST)

        self._earlier = IconButton("chevron-left", "Earlier try", lambda: self.sibling_wanted.emit(-1))
        self._later = IconButton("chevron-right", "Later try", lambda: self.sibling_wanted.emit(1))
        self._place = label("", Role.MUTED)
        self._compare = IconButton("compare", "The tries side by side (Ctrl+Shift+D)", self.compare_wanted.emit)
        edit = IconButton("edit", "Edit and ask again", self.edit_wanted.emit)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(2)
        row.addStretch(1)
        for widget in (self._earlier, self._place, self._later, self._compare, edit):
            row.addWidget(widget, 0, Qt.AlignmentFlag.AlignBottom)
        row.addSpacing(6)
        row.addWidget(frame)
        self.show_place(0, 1)

    def show_place(self, index: int, siblings: int) -> None:
        """Which of how many tries this is."""
        for widget in (self._earlier, self._place, self._later, self._compare):
            widget.setVisible(siblings > 1)
        self._place.setText(f"{index + 1} / {siblings}")
        self._place.setAccessibleName(f"Try {index + 1} of {siblings}")
        self._earlier.setEnabled(index > 0)
        self._later.setEnabled(index + 1 < siblings)
