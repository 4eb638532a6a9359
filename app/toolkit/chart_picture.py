"""Shows an SVG chart of `core` in the colours of the theme; its points may be chosen by mouse and by keyboard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import NamedTuple

from PySide6.QtCore import QByteArray, QEvent, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import (
    QAccessible,
    QColor,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QToolTip, QWidget

from baton_reasoning.app.toolkit.controls import plain_tip, set_accessible_role
from baton_reasoning.app.toolkit.theme import bundled_family, current_theme
from baton_reasoning.core.charts import FONTS, coloured

Draw = Callable[[int], str]
"""Draws the SVG of a chart of this width in pixels."""
NARROWEST = 300
"""Pixels; a narrower widget shows the chart smaller."""
NEAR = 14
"""Pixels within which the mouse reaches a point."""
RING = 8


class ChartPicture(QWidget):
    """Draws an SVG as wide as the widget, in the colours of the theme; its text grows with the window's text size."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self._draw: Draw | None = None
        self._renderer = QSvgRenderer(self)
        self.setAccessibleName(title)
        set_accessible_role(self, QAccessible.Role.Chart)
        current_theme().changed.connect(self._redraw)

    def show_drawing(self, draw: Draw, text: str) -> None:
        self._draw = draw
        self.setAccessibleDescription(text)
        self.setToolTip(plain_tip(text))
        self._redraw()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self._redraw()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        self._renderer.render(painter, QRectF(self.rect()))
        painter.end()

    def _redraw(self) -> None:
        if self._draw is None:
            return
        theme = current_theme()
        colours = asdict(theme.colours) | {"background": theme.colours.surface}
        drawing = self._draw(max(NARROWEST, round(self.width() / theme.text_size)))
        # Qt takes a list of several typefaces for the name of one.
        drawing = coloured(drawing, colours).replace(FONTS, bundled_family() or FONTS)
        self._renderer.load(QByteArray(drawing.encode("utf-8")))
        size = self._renderer.defaultSize()
        self.setFixedHeight(round(size.height() * self.width() / max(1, size.width())))
        self.update()


class ChartPoint(NamedTuple):
    """A point of a chart that can be chosen; in pixels of the drawing, y downwards."""

    x: float
    y: float
    text: str


class ChartWithPoints(ChartPicture):
    """Left, Right, Home and End go from point to point; Enter or a click chooses one; the mouse shows its text."""

    chosen = Signal(int)
    """The index of a point."""
    pointed = Signal(str)
    """The text of the point under the mouse or the keyboard; "" for none."""

    def __init__(self, title: str) -> None:
        super().__init__(title)
        self.points: Sequence[ChartPoint] = ()
        self.current = -1
        """The point that the keyboard is at; -1 for none."""
        self._text = ""
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)

    def show_points(self, draw: Callable[[int], tuple[str, Sequence[ChartPoint]]], text: str) -> None:
        """`draw`: draws the chart at this width, and says where its points are."""

        def drawn(width: int) -> str:
            drawing, self.points = draw(width)
            return drawing

        self._text = text
        self.show_drawing(drawn, text)
        self.setToolTip("")
        self.point_at(self.current if self.current < len(self.points) else -1)

    def point_at(self, index: int) -> None:
        """Mark a point, and describe it for screen readers; none with -1."""
        self.current = index
        here = self.points[index].text if index >= 0 else ""
        self.setAccessibleDescription(f"{self._text} {here}".strip())
        self.pointed.emit(here)
        self.update()

    def place_of(self, index: int) -> QPointF:
        """Return where a point is in the widget."""
        scale = self.width() / max(1, self._renderer.defaultSize().width())
        return QPointF(self.points[index].x, self.points[index].y) * scale

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self.current >= 0:
            painter.setPen(QPen(QColor(current_theme().colours.text), 1.6))
            painter.drawEllipse(self.place_of(self.current), RING, RING)
        elif self.hasFocus():
            painter.setPen(QPen(QColor(current_theme().colours.accent), 1.0))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 4, 4)
        painter.end()

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() is QEvent.Type.ToolTip:
            index = self._index_at(QPointF(event.pos()))
            QToolTip.showText(event.globalPos(), plain_tip(self.points[index].text) if index >= 0 else "", self)
            return True
        return super().event(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        is_near = self._index_at(event.position()) >= 0
        self.setCursor(Qt.CursorShape.PointingHandCursor if is_near else Qt.CursorShape.ArrowCursor)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        index = self._index_at(event.position())
        if event.button() is Qt.MouseButton.LeftButton and index >= 0:
            self.point_at(index)
            self.chosen.emit(index)
        else:
            super().mousePressEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        last = len(self.points) - 1
        match event.key():
            case Qt.Key.Key_Right:
                self.point_at(min(self.current + 1, last))
            case Qt.Key.Key_Left:
                self.point_at(min(max(self.current - 1, 0), last))
            case Qt.Key.Key_Home:
                self.point_at(min(0, last))
            case Qt.Key.Key_End:
                self.point_at(last)
            case Qt.Key.Key_Return | Qt.Key.Key_Enter | Qt.Key.Key_Space if self.current >= 0:
                self.chosen.emit(self.current)
            case _:
                super().keyPressEvent(event)

    def _index_at(self, at: QPointF) -> int:
        """Return the nearest point that is near enough; -1 if none is."""
        distances = [(self.place_of(index) - at).manhattanLength() for index in range(len(self.points))]
        nearest = min(range(len(distances)), key=distances.__getitem__, default=-1)
        return nearest if nearest >= 0 and distances[nearest] <= NEAR else -1
