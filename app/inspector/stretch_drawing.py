"""What a stretch of the timeline looks like. What a model did is told by height and hatching, its author by colour."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QBrush, QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.inspector.lanes import Doing
from app.theme import Colours, blend, current_theme

HATCHES = {
    Doing.DECODE: Qt.BrushStyle.SolidPattern,
    Doing.PREFILL: Qt.BrushStyle.BDiagPattern,
    Doing.JUDGING: Qt.BrushStyle.DiagCrossPattern,
    Doing.READ_ALONG: Qt.BrushStyle.VerPattern,
}
HEIGHTS = {Doing.DECODE: 1.0, Doing.PREFILL: 1.0, Doing.JUDGING: 0.5, Doing.READ_ALONG: 0.35}
"""Of the lane, from its foot."""
WORDS = {
    Doing.DECODE: "writing",
    Doing.PREFILL: "reading (prefill)",
    Doing.JUDGING: "judging",
    Doing.READ_ALONG: "reading along",
}
WAITING = "waiting"


def paint_stretch(painter: QPainter, lane: QRectF, doing: Doing, ink: str, colours: Colours) -> None:
    """`lane`: as high as the lane, as wide as the stretch."""
    place = lane.adjusted(0, lane.height() * (1 - HEIGHTS[doing]), 0, 0)
    if doing is Doing.DECODE:
        painter.fillRect(place, QColor(ink))
        return
    painter.fillRect(place, QColor(blend(colours.surface, ink, 0.22)))
    painter.fillRect(place, QBrush(QColor(ink), HATCHES[doing]))


def paint_lane(painter: QPainter, lane: QRectF, colours: Colours) -> None:
    """Where nothing is painted over it, the model waits: a line through an empty lane."""
    painter.fillRect(lane, QColor(colours.panel))
    painter.fillRect(QRectF(lane.left(), lane.center().y(), lane.width(), 1), QColor(colours.outline))


class Legend(QWidget):
    """A sample of each, with its word; in two columns."""

    LINE, SAMPLE, COLUMNS = 20, 30, 2

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Legend of the timeline")
        self.setAccessibleDescription(", ".join((*WORDS.values(), WAITING)))
        current_theme().changed.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(240, self.LINE * -(-(len(WORDS) + 1) // self.COLUMNS))

    def minimumSizeHint(self) -> QSize:
        return QSize(120, self.sizeHint().height())

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        colours = current_theme().colours
        width = self.width() / self.COLUMNS
        for number, (doing, words) in enumerate([*WORDS.items(), (None, WAITING)]):
            line, column = divmod(number, self.COLUMNS)
            sample = QRectF(column * width, line * self.LINE + 3, self.SAMPLE, self.LINE - 6)
            paint_lane(painter, sample, colours)
            if doing:
                paint_stretch(painter, sample, doing, colours.muted, colours)
            painter.setPen(QColor(colours.muted))
            place = QRectF(sample.right() + 8, line * self.LINE, width - self.SAMPLE - 8, self.LINE)
            painter.drawText(place, Qt.AlignmentFlag.AlignVCenter, words)
