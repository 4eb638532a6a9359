"""Draws the values of a text over its steps: axes, and curves with the signs of those who wrote the steps."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPen, QPolygonF

from baton_reasoning.app.toolkit.theme import Colours, blend, ink_of
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.trace import Piece, Trace, piece_before
from baton_reasoning.core.thinking.values import StepValues, ValuedPlace

ROOM_FOR_A_NUMBER = 1.6
"""Widths of the last step's number between two numbers below the plot."""
LINE, BAND = 0.09, 0.18
"""Width of lines in heights of the letters; opacity of the band."""
LARGEST_SIGN, SMALLEST_SIGN = 0.3, 1.8
"""Half the size of a sign: at most a share of the height of the letters, at least pixels."""
FEWEST_STEPS = 4
"""A text of fewer steps does not fill the plot."""


class CurvePoint(NamedTuple):
    """A valued place on the plot."""

    x: float
    """In steps: the place where step n ends is at n."""
    place: ValuedPlace
    piece: Piece
    """The text before the place; at the beginning the first piece; of a replaced text the takeover's first."""
    origin: tuple[float, float] | None = None
    """Where the branch to a replaced text begins, as step and value; None on the curve itself."""

    @property
    def value(self) -> float:
        return self.place.value.value


class PlottedValues:
    """Where the values of one text lie on a plot."""

    def __init__(self, trace: Trace, values: StepValues) -> None:
        self._ends = [step.end_position for step in trace.steps]
        self.steps = len(trace.steps)
        self.ends_right = values.estimated.ends_right if values.estimated.is_expected else None
        self.points: list[CurvePoint] = []
        """Of the text that stands, in order."""
        for place in values.places:
            piece = piece_before(trace.pieces, place.position) or trace.pieces[0]
            self.points.append(CurvePoint(self._x(place.position), place, piece))
        self.branches = [
            CurvePoint(
                self._x(worth.span.end),
                worth.before,
                worth.span.piece,
                self._on_curve(self._x(worth.span.start), worth.before),
            )
            for worth in values.takeovers
            if worth.before.place.replaced
        ]
        """To the values of what takeovers replaced."""

    @property
    def all_points(self) -> list[CurvePoint]:
        """Return the points in the order in which keys walk through them."""
        return sorted([*self.branches, *self.points], key=lambda point: (point.x, point.origin is None))

    def _x(self, position: int) -> float:
        step = bisect_left(self._ends, position)
        if position <= 0 or step >= len(self._ends):
            return float(len(self._ends) if position > 0 else 0)
        start = self._ends[step - 1] if step else 0
        return step + (position - start) / (self._ends[step] - start)

    def _on_curve(self, x: float, otherwise: ValuedPlace) -> tuple[float, float]:
        """Return the point of the curve at `x`, between the points that are known."""
        after = bisect_right(self.points, x, key=lambda point: point.x)
        if after == 0:
            return x, otherwise.value.value
        before = self.points[after - 1]
        if after == len(self.points) or before.x == x:
            return x, before.value
        share = (x - before.x) / (self.points[after].x - before.x)
        return x, before.value + share * (self.points[after].value - before.value)


class ValuePlot:
    """The area of a plot within a rectangle: steps from left to right, values from 0 to 1 upwards."""

    def __init__(self, around: QRectF, steps: int, font: QFont) -> None:
        self.metrics = QFontMetricsF(font)
        self.steps = max(steps, FEWEST_STEPS)
        self._gap = 0.7 * self.metrics.height()
        left = self.metrics.horizontalAdvance("0.5") + self._gap
        right = self.metrics.horizontalAdvance("✗") + self._gap
        self.area = around.adjusted(left, self.metrics.height() * 0.6, -right, -self.metrics.height() * 1.4)

    def at(self, x: float, value: float) -> QPointF:
        return QPointF(
            self.area.left() + x / self.steps * self.area.width(), self.area.bottom() - value * self.area.height()
        )

    def of(self, point: CurvePoint) -> QPointF:
        return self.at(point.x, point.value)

    @property
    def _line(self) -> float:
        return LINE * self.metrics.height()

    @property
    def sign_size(self) -> float:
        """Half the size of a sign in pixels: smaller where there are many steps."""
        between = self.area.width() / self.steps
        return max(SMALLEST_SIGN, min(LARGEST_SIGN * self.metrics.height(), 0.4 * between))

    def paint(self, painter: QPainter, curve: PlottedValues, colours: Colours) -> None:
        """Paint the curve of one text with its axes."""
        self._paint_band(painter, curve, colours)
        self.paint_axes(painter, colours)
        self.paint_line(painter, curve, colours.muted)
        self._paint_branches(painter, curve, colours)
        self._paint_signs(painter, curve, colours)

    def paint_axes(self, painter: QPainter, colours: Colours) -> None:
        """Paint lines for 0, a half and 1, and the numbers of the steps."""
        for value, text in ((0.0, "0"), (0.5, ".5"), (1.0, "1")):
            left, right = self.at(0, value), self.at(self.steps, value)
            painter.setPen(QPen(QColor(colours.border), 1))
            painter.drawLine(left, right)
            painter.setPen(QColor(colours.muted))
            beside = QRectF(self.area.left() - 80 - self._gap, 0, 80, self.metrics.height())
            beside.moveCenter(QPointF(beside.center().x(), left.y()))
            painter.drawText(beside, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, text)
        for step in self._numbered_steps():
            below = QRectF(0, self.area.bottom() + self.metrics.height() * 0.3, 80, self.metrics.height())
            below.moveCenter(QPointF(self.at(step, 0).x(), below.center().y()))
            painter.drawText(below, Qt.AlignmentFlag.AlignCenter, str(step))

    def _paint_band(self, painter: QPainter, curve: PlottedValues, colours: Colours) -> None:
        """Paint the intervals as a band."""
        upper = [self.at(point.x, point.place.value.high) for point in curve.points]
        lower = [self.at(point.x, point.place.value.low) for point in reversed(curve.points)]
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(blend(colours.surface, colours.muted, BAND)))
        painter.drawPolygon(QPolygonF([*upper, *lower]))

    def paint_line(
        self, painter: QPainter, curve: PlottedValues, ink: str, style: Qt.PenStyle = Qt.PenStyle.SolidLine
    ) -> None:
        painter.setPen(QPen(QColor(ink), self._line, style))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPolyline(QPolygonF([self.of(point) for point in curve.points]))

    def _paint_branches(self, painter: QPainter, curve: PlottedValues, colours: Colours) -> None:
        """Paint a dotted line from the curve to the value of each replaced text, which has a hollow sign."""
        for point in curve.branches:
            assert point.origin
            painter.setPen(QPen(QColor(colours.muted), self._line, Qt.PenStyle.DotLine))
            painter.drawLine(self.at(*point.origin), self.of(point))
            painter.setPen(QPen(QColor(colours.small), self._line))
            painter.setBrush(QColor(colours.surface))
            painter.drawEllipse(self.of(point), self.sign_size, self.sign_size)

    def _paint_signs(self, painter: QPainter, curve: PlottedValues, colours: Colours) -> None:
        """Paint the sign of its author at each point, and at the end whether the answer is right."""
        for point in curve.points:
            self._paint_sign(painter, self.of(point), point.place.author, colours)
        if curve.points and curve.ends_right is not None and not curve.points[-1].place.continuations:
            end = self.of(curve.points[-1])
            sign, ink = ("✓", colours.success) if curve.ends_right else ("✗", colours.danger)
            painter.setPen(QColor(ink))
            place = QRectF(end.x() + self.sign_size + 0.2 * self._gap, 0, 60, self.metrics.height())
            place.moveCenter(QPointF(place.center().x(), end.y()))
            painter.drawText(place, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, sign)

    def _paint_sign(self, painter: QPainter, at: QPointF, author: Author | None, colours: Colours) -> None:
        half = self.sign_size
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(ink_of(author, colours) if author else colours.muted))
        if author is Author.LARGE:
            corners = (QPointF(0, -half), QPointF(half, 0), QPointF(0, half), QPointF(-half, 0))
            painter.drawPolygon(QPolygonF([at + corner * 1.25 for corner in corners]))
        elif author in (Author.INSERTED, Author.PERSON):
            painter.drawRect(QRectF(at.x() - half, at.y() - half, 2 * half, 2 * half))
        else:
            painter.drawEllipse(at, half, half)

    def _numbered_steps(self) -> range:
        """Return the steps whose numbers fit beside each other below the plot."""
        width = ROOM_FOR_A_NUMBER * self.metrics.horizontalAdvance(str(self.steps))
        fitting = max(1.0, self.area.width() / max(1.0, width))
        every = next(each for each in _intervals() if self.steps / each <= fitting)
        return range(every, self.steps + 1, every)


def _intervals() -> Iterator[int]:
    """Yield 1, 2, 5, 10, 20, 50 …"""
    power = 1
    while True:
        yield from (power, 2 * power, 5 * power)
        power *= 10
