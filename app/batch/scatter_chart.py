"""Arms as points, live: accuracy against speed, and against the large model's share."""

from __future__ import annotations

import pyqtgraph as pg
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor

from app.batch.chart_card import ChartCard
from app.shared.theme import current_theme
from core.batch.charts import Box, Point, Scatter, leader, place_labels, scatter_chart
from core.engines.body import Author

_SIGNS = ("o", "d", "s", "t1")
_SIGN_PIXELS = 11
_MARGIN = 4.0
"""Pixels that Qt leaves around a text."""


class ScatterChart(ChartCard):
    """Each arm a sign with its interval and its name."""

    def __init__(self, empty: Scatter) -> None:
        super().__init__(empty.title, 250)
        self.scatter = empty
        self.names: list[pg.TextItem] = []
        self._leaders: list[pg.PlotDataItem] = []
        self.plot.setLabel("left", "% correct")
        self.plot.setLabel("bottom", empty.across)
        self.plot.getViewBox().sigResized.connect(self._place_names)
        self.draw()

    def show_scatter(self, scatter: Scatter) -> None:
        self.scatter = scatter
        self.draw()

    def drawing(self) -> str:
        return scatter_chart(self.scatter)

    def draw(self) -> None:
        super().draw()
        self.names, self._leaders = [], []
        scatter = self.scatter
        self.plot.setAccessibleDescription(scatter.words)
        if not scatter.points:
            return
        for line in scatter.lines:
            style = Qt.PenStyle.DashLine if line.dashed else Qt.PenStyle.SolidLine
            self._line([x for x, _ in line.points], [y for _, y in line.points], style)
        for number, point in enumerate(scatter.points):
            self._line([point.x, point.x], [point.low, point.high])
            ink, sign = _ink(point), _SIGNS[number % len(_SIGNS)]
            self.plot.plot(
                [point.x], [point.y], pen=None, symbol=sign, symbolSize=_SIGN_PIXELS, symbolBrush=ink, symbolPen=ink
            )
            self.names.append(self.write(point.name, point.x, point.y, (0, 0)))
        self.plot.setXRange(scatter.left, scatter.right, padding=0)
        room = 0.07 * (100 - scatter.bottom)  # for half a name above those that are always right
        self.plot.setYRange(scatter.bottom, 100 + room, padding=0)
        self._place_names()

    def _line(self, x: list[float], y: list[float], style: Qt.PenStyle = Qt.PenStyle.SolidLine) -> pg.PlotDataItem:
        return self.plot.plot(x, y, pen=pg.mkPen(current_theme().colours.muted, style=style))

    def _place_names(self) -> None:
        """Where there is room: in pixels, so anew whenever the size changes."""
        for line in self._leaders:
            self.plot.removeItem(line)
        self._leaders = []
        view = self.plot.getViewBox()
        seen, width, height = view.viewRect(), view.width(), view.height()
        if not self.names or width <= 0 or height <= 0:
            return

        def pixel(x: float, y: float) -> tuple[float, float]:
            return (x - seen.left()) / seen.width() * width, height - (y - seen.top()) / seen.height() * height

        def place(x: float, y: float) -> tuple[float, float]:
            return seen.left() + x / width * seen.width(), seen.top() + (height - y) / height * seen.height()

        half = _SIGN_PIXELS / 2
        signs, intervals = [], []
        for point in self.scatter.points:
            x, y = pixel(point.x, point.y)
            signs.append(Box(x - half, y - half, x + half, y + half))
            intervals.append(Box(x - 1, pixel(0, point.high)[1], x + 1, pixel(0, point.low)[1]))
        bounds = [name.textItem.boundingRect() for name in self.names]
        sizes = [(bound.width() - 2 * _MARGIN, bound.height() - 2 * _MARGIN) for bound in bounds]
        boxes = place_labels(signs, sizes, intervals, Box(0, 0, width, height))
        for name, sign, box in zip(self.names, signs, boxes, strict=True):
            name.setPos(*place(box.left - _MARGIN, box.top - _MARGIN))
            if apart := leader(sign, box):
                (x1, y1), (x2, y2) = place(*apart[:2]), place(*apart[2:])
                self._leaders.append(self._line([x1, x2], [y1, y2]))


def _ink(point: Point) -> QColor:
    colours = current_theme().colours
    inks = {Author.SMALL: colours.small, Author.LARGE: colours.large, None: colours.text}
    return QColor(inks[point.author])
