"""Under two ribbons: where the large model stepped in in both, only in one, or only in the other."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.theme import current_theme
from core.thinking.replay import Kind

SIGNS = {Kind.BOTH: "=", Kind.REPLAYED: "+", Kind.RECORDED: "−"}
ROWS = {Kind.REPLAYED: 0, Kind.BOTH: 1, Kind.RECORDED: 2}
"""Each kind has a height of its own, so that it is told by its place, too."""
ROW = 11
CLOSEST = 7.0
"""Pixels between two signs of a row; where there are more, one stands for them."""
MARGIN = 3
"""As much as a ribbon leaves at its ends."""


class ReplayMarks(QWidget):
    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._marks: Sequence[tuple[Kind, float]] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Where the large model would have stepped in")
        current_theme().changed.connect(self.update)

    def show_marks(self, marks: Sequence[tuple[Kind, float]]) -> None:
        """Each with its place along the text, 0 to 1, in order."""
        self._marks = marks
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(320, len(ROWS) * ROW + 2)

    def minimumSizeHint(self) -> QSize:
        return QSize(40, self.sizeHint().height())

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        colours = current_theme().colours
        inks = {Kind.BOTH: colours.muted, Kind.REPLAYED: colours.text, Kind.RECORDED: colours.text}
        font = painter.font()
        font.setBold(True)
        painter.setFont(font)
        drawn = dict.fromkeys(Kind, -CLOSEST)
        for kind, place in self._marks:
            x = MARGIN + place * (self.width() - 2 * MARGIN)
            if x - drawn[kind] < CLOSEST:
                continue
            drawn[kind] = x
            painter.setPen(QColor(inks[kind]))
            at = QRectF(x - ROW / 2, ROWS[kind] * ROW - 2, ROW, ROW + 4)
            painter.drawText(at, Qt.AlignmentFlag.AlignCenter, SIGNS[kind])
