"""The curve of values of an answer, by mouse and by keyboard."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QAccessible,
    QColor,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from baton_reasoning.app.toolkit.accessible import set_accessible_role
from baton_reasoning.app.toolkit.controls import plain_tip
from baton_reasoning.app.toolkit.theme import current_theme
from baton_reasoning.app.toolkit.value_plot import CurvePoint, PlottedValues, ValuePlot
from baton_reasoning.core.thinking.trace import Piece, Trace
from baton_reasoning.core.thinking.values import StepValues
from baton_reasoning.core.words.numbers import count
from baton_reasoning.core.words.values import noun_of, place_in_words, value_sentences, value_text

LINES = 10
"""Height in lines of text."""
NEAR = 14
"""Pixels within which the mouse reaches a point."""
RING, RING_LINE = 3.0, 1.6


class ValueCurveView(QWidget):
    """Left, Right, Home and End go from point to point; Enter or a click leads to the step."""

    piece_chosen = Signal(object)
    place_shown = Signal(str)
    """The point under the mouse or the keyboard, in words; "" for none."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._values: StepValues | None = None
        self._trace: Trace | None = None
        self.curve: PlottedValues | None = None
        self.points: list[CurvePoint] = []
        """In the order of the keys."""
        self._chosen = self._hovered = -1
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Value by step")
        set_accessible_role(self, QAccessible.Role.Chart)
        current_theme().changed.connect(self.updateGeometry)

    def show_values(self, trace: Trace, values: StepValues | None) -> None:
        """Show other values; the chosen place stays the same if it still has a value."""
        before = self.points[self._chosen].place.place if self._chosen >= 0 and trace is self._trace else None
        self._trace, self._values = trace, values
        self.curve = PlottedValues(trace, values) if values else None
        self.points = self.curve.all_points if self.curve else []
        self._hovered = -1
        self._chosen = next((i for i, point in enumerate(self.points) if point.place.place == before), -1)
        self._describe()
        self.update()

    def select(self, piece: Piece | None) -> None:
        """Mark the place where a piece ends that was chosen elsewhere; none if it has no value."""
        if self._chosen < 0 or self.points[self._chosen].piece is not piece:
            self._choose(max((i for i, point in enumerate(self.points) if point.piece is piece), default=-1))

    def sizeHint(self) -> QSize:
        return QSize(300, LINES * self.fontMetrics().height())

    def minimumSizeHint(self) -> QSize:
        return QSize(140, self.sizeHint().height())

    def place_of(self, index: int) -> QPointF:
        """Return where a point is in the widget."""
        return self._plot().of(self.points[index])

    # Qt's own

    def paintEvent(self, _event: QPaintEvent) -> None:
        if self.curve is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colours, plot = current_theme().colours, self._plot()
        plot.paint(painter, self.curve, colours)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for index, style in ((self._hovered, Qt.PenStyle.DotLine), (self._chosen, Qt.PenStyle.SolidLine)):
            if index >= 0:
                painter.setPen(QPen(QColor(colours.text), RING_LINE, style))
                radius = plot.sign_size + RING
                painter.drawEllipse(plot.of(self.points[index]), radius, radius)
        if self.hasFocus() and self._chosen < 0:
            painter.setPen(QPen(QColor(colours.accent), 1.0))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 4, 4)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() is QEvent.Type.ToolTip:
            index = self._index_at(QPointF(event.pos()))
            if index >= 0:
                QToolTip.showText(event.globalPos(), plain_tip(self._words(index)), self)
            else:
                QToolTip.hideText()
            return True
        return super().event(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._hover(self._index_at(event.position()))

    def leaveEvent(self, _event: QEvent) -> None:
        self._hover(-1)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        index = self._index_at(event.position())
        if event.button() is Qt.MouseButton.LeftButton and index >= 0:
            self._choose(index)
            self.piece_chosen.emit(self.points[index].piece)
        else:
            super().mousePressEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        last = len(self.points) - 1
        match event.key():
            case Qt.Key.Key_Right:
                self._choose(min(self._chosen + 1, last))
            case Qt.Key.Key_Left:
                self._choose(max(self._chosen - 1, 0))
            case Qt.Key.Key_Home:
                self._choose(0)
            case Qt.Key.Key_End:
                self._choose(last)
            case Qt.Key.Key_Return | Qt.Key.Key_Enter | Qt.Key.Key_Space if self._chosen >= 0:
                self.piece_chosen.emit(self.points[self._chosen].piece)
            case _:
                super().keyPressEvent(event)

    def _choose(self, index: int) -> None:
        self._chosen = index if self.points else -1
        self._describe()
        self.place_shown.emit(self._words(self._chosen))
        self.update()

    def _hover(self, index: int) -> None:
        if index != self._hovered:
            self._hovered = index
            self.setCursor(Qt.CursorShape.PointingHandCursor if index >= 0 else Qt.CursorShape.ArrowCursor)
            self.place_shown.emit(self._words(index if index >= 0 else self._chosen))
            self.update()

    def _index_at(self, at: QPointF) -> int:
        """Return the nearest point that is near enough; -1 if none is."""
        plot = self._plot()
        distances = [(plot.of(point) - at).manhattanLength() for point in self.points]
        on_top = range(len(distances) - 1, -1, -1)
        nearest = min(on_top, key=distances.__getitem__, default=-1)
        return nearest if nearest >= 0 and distances[nearest] <= NEAR else -1

    def _words(self, index: int) -> str:
        if self._values is None or index < 0:
            return ""
        point = self.points[index]
        return place_in_words(point.place, point.piece, self._values)

    def _plot(self) -> ValuePlot:
        return ValuePlot(QRectF(self.rect()), self.curve.steps if self.curve else 1, self.font())

    def _describe(self) -> None:
        """Describe the curve, and the chosen point, for screen readers."""
        if not self._values or not self._trace or not self.curve or not self.curve.points:
            self.setAccessibleDescription("Nothing valued yet.")
            return
        first, last = (value_text(self.curve.points[at].value) for at in (0, -1))
        noun = noun_of(self._values.estimated)
        text = f"The {noun} of {count(self.curve.steps, 'step')}, from {first} to {last}"
        sentences = [text, *value_sentences(self._trace, self._values), self._words(self._chosen)]
        self.setAccessibleDescription(". ".join(each.rstrip(".") for each in sentences if each))
