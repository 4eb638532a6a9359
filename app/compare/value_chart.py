"""The values of compared answers over each other in one chart, once two of them have values."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QAccessible, QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from baton_reasoning.app.toolkit.accessible import set_accessible_role
from baton_reasoning.app.toolkit.controls import label
from baton_reasoning.app.toolkit.layout import vbox
from baton_reasoning.app.toolkit.theme import Role, current_theme
from baton_reasoning.app.toolkit.value_plot import PlottedValues, ValuePlot
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.thinking.values import StepValues
from baton_reasoning.core.words.values import noun_of, value_text

LINES = 7
"""Height in lines of text."""
COLUMN_SIGNS = "○□△"
STYLES = (Qt.PenStyle.SolidLine, Qt.PenStyle.DashLine, Qt.PenStyle.DotLine)
SIGN_ROOM = 16
"""Pixels between two signs on a curve."""


class ComparedValues(NamedTuple):
    title: str
    values: StepValues
    curve: PlottedValues

    @classmethod
    def of(cls, title: str, trace: Trace) -> ComparedValues | None:
        values = StepValues.of(trace)
        return cls(title, values, PlottedValues(trace, values)) if values and values.places else None

    @property
    def text(self) -> str:
        """Return “Small only ✗, value .81 to .00”."""
        verdict = "" if self.curve.ends_right is None else " ✓" if self.curve.ends_right else " ✗"
        first, last = (value_text(self.curve.points[at].value) for at in (0, -1))
        return f"{self.title}{verdict}, {noun_of(self.values.estimated)} {first} to {last}"


class ValueChart(QWidget):
    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.plot, self.legend = CurvesPlot(), label("", Role.MUTED, wrap=True, selectable=True)
        self.setLayout(vbox(self.plot, self.legend, margins=(18, 6, 18, 6), spacing=4))
        self.hide()

    def follow(self, columns: Sequence[tuple[str, Trace]]) -> None:
        """Show the values of these answers, with their titles; nothing while fewer than two have some."""
        found = [ComparedValues.of(title, trace) for title, trace in columns]
        self.plot.show_curves([each and each.curve for each in found])
        known = [f"{sign} {each.text}" for sign, each in zip_longest(COLUMN_SIGNS, found) if each]
        self.legend.setText("   ".join(known))
        self.plot.setAccessibleDescription("; ".join(known))
        self.setVisible(len(known) > 1)


class CurvesPlot(QWidget):
    """A curve for each column, told apart by signs and lines: the colours are those of authors."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._curves: list[PlottedValues | None] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Values of the answers by step")
        set_accessible_role(self, QAccessible.Role.Chart)
        current_theme().changed.connect(self.updateGeometry)

    def show_curves(self, curves: list[PlottedValues | None]) -> None:
        self._curves = curves
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(300, LINES * self.fontMetrics().height())

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colours = current_theme().colours
        steps = max((curve.steps for curve in self._curves if curve), default=1)
        plot = ValuePlot(QRectF(self.rect()), steps, self.font())
        plot.paint_axes(painter, colours)
        for curve, sign, style in zip(self._curves, COLUMN_SIGNS, STYLES, strict=False):
            if curve:
                plot.paint_line(painter, curve, colours.text, style)
                painter.setPen(QColor(colours.text))
                drawn = -float(SIGN_ROOM)
                for point in curve.points:
                    at = plot.of(point)
                    if at.x() - drawn >= SIGN_ROOM:
                        drawn = at.x()
                        place = QRectF(at.x() - SIGN_ROOM, at.y() - SIGN_ROOM, 2 * SIGN_ROOM, 2 * SIGN_ROOM)
                        painter.drawText(place, Qt.AlignmentFlag.AlignCenter, sign)
        painter.end()
