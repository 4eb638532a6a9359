"""The charts beside the table: accuracy against speed, where the large model stepped in, and in which steps."""

from __future__ import annotations

from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QFrame, QLabel, QVBoxLayout, QWidget

from app.theme import Role, current_theme, set_role
from app.widgets.controls import label
from core.batch.report import PLACES, ArmReport, Report

_SIGNS = ("o", "d", "s", "t")


class ChartCard(QFrame):
    """A heading, a plot, and what it shows in words for those who hear the window."""

    def __init__(self, title: str, height: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        set_role(self, Role.CARD)
        self.title: QLabel = label(title, Role.HEADING)
        self.plot = pg.PlotWidget()
        self.plot.setFixedHeight(height)
        self.plot.setAccessibleName(title)
        self.plot.setMouseEnabled(False, False)
        self.plot.setMenuEnabled(False)
        self.plot.hideButtons()
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 10, 12, 10)
        column.addWidget(self.title)
        column.addWidget(self.plot)
        current_theme().changed.connect(self.draw)

    def draw(self) -> None:
        """In the colours of now."""
        colours = current_theme().colours
        self.plot.setBackground(colours.surface)
        for name in ("left", "bottom"):
            axis = self.plot.getAxis(name)
            axis.setPen(pg.mkPen(colours.border))
            axis.setTextPen(pg.mkPen(colours.muted))
        self.plot.clear()

    def write(self, text: str, x: float, y: float, anchor: tuple[float, float], colour: str = "") -> None:
        item = pg.TextItem(text, color=QColor(colour or current_theme().colours.text), anchor=anchor)
        item.setPos(x, y)
        self.plot.addItem(item, ignoreBounds=True)


class SpeedChart(ChartCard):
    """Each arm a point with its interval; the dashed line joins those that no other beats."""

    def __init__(self) -> None:
        super().__init__("Accuracy against speed", 250)
        self.report: Report | None = None
        self.plot.setLabel("left", "% correct")
        self.plot.setLabel("bottom", "tokens per second")
        self.draw()

    def show_report(self, report: Report) -> None:
        self.report = report
        self.draw()

    def draw(self) -> None:
        super().draw()
        arms = [arm for arm in self.report.arms if arm.accuracy and arm.tokens_per_second] if self.report else []
        if not arms or not self.report:
            return
        colours = current_theme().colours
        front = [(arm.tokens_per_second, 100 * arm.accuracy.value) for arm in self.report.front() if arm.accuracy]
        dashed = pg.mkPen(colours.muted, style=Qt.PenStyle.DashLine)
        self.plot.plot([x for x, _ in front], [y for _, y in front], pen=dashed)
        fastest = max(arm.tokens_per_second for arm in arms)
        labelled: list[tuple[float, float]] = []
        for number, arm in enumerate(arms):
            assert arm.accuracy
            x, y = arm.tokens_per_second, 100 * arm.accuracy.value
            low, high = (100 * end for end in arm.accuracy.interval)
            self.plot.plot([x, x], [low, high], pen=pg.mkPen(colours.muted))
            ink = _ink(arm)
            sign = _SIGNS[number % len(_SIGNS)]
            self.plot.plot([x], [y], pen=None, symbol=sign, symbolSize=11, symbolBrush=ink, symbolPen=ink)
            crowded = any(abs(x - px) < fastest / 3 and abs(y - py) < 8 for px, py in labelled)
            labelled.append((x, y))
            self.write(arm.name, x, y, (1.08 if x > fastest / 2 else -0.08, -0.25 if crowded else 0.5))
        self.plot.setXRange(0, fastest * 1.1)
        told = "; ".join(
            f"{a.name} {a.accuracy.value:.0%} at {a.tokens_per_second:.0f} tok/s" for a in arms if a.accuracy
        )
        self.plot.setAccessibleDescription(told)


class RuleChart(ChartCard):
    """A bar for each rule, longest on top."""

    def __init__(self) -> None:
        super().__init__("Where the large model stepped in", 150)
        self.arm: ArmReport | None = None
        self.plot.hideAxis("left")
        self.plot.hideAxis("bottom")
        self.draw()

    def show_arm(self, arm: ArmReport | None) -> None:
        self.arm = arm
        self.title.setText(
            f"Where the large model stepped in · {arm.name}" if arm else "Where the large model stepped in"
        )
        self.draw()

    def draw(self) -> None:
        super().draw()
        takeovers = list(self.arm.takeovers.items())[:6] if self.arm else []
        if not takeovers:
            self.plot.setAccessibleDescription("No takeover.")
            self.write("No takeover yet.", 0.5, 0.5, (0.5, 0.5), current_theme().colours.muted)
            self.plot.setRange(xRange=(0, 1), yRange=(0, 1))
            return
        total = sum(self.arm.takeovers.values()) if self.arm else 1
        places = [-number for number in range(len(takeovers))]
        widths = [count / total for _, count in takeovers]
        ink = QColor(current_theme().colours.large)
        self.plot.addItem(pg.BarGraphItem(x0=0, y=places, height=0.5, width=widths, brush=ink, pen=ink))
        for place, (rule, count) in zip(places, takeovers, strict=True):
            self.write(f"{rule.value.capitalize()} ", 0, place, (1, 0.5))
            self.write(f" {count / total:.0%}", count / total, place, (0, 0.5))
        self.plot.setXRange(-0.75 * max(widths), 1.25 * max(widths), padding=0)
        self.plot.setYRange(min(places) - 0.5, 0.5, padding=0)
        self.plot.setAccessibleDescription("; ".join(f"{rule.value} {count:,}" for rule, count in takeovers))


class PlaceChart(ChartCard):
    """Takeovers by the place of their step."""

    def __init__(self) -> None:
        super().__init__("In which steps", 130)
        self.arm: ArmReport | None = None
        self.plot.hideAxis("left")
        ticks: list[list[tuple[float, Any]]] = [[(0.3, "first step"), (PLACES - 1.6, "last step")]]
        self.plot.getAxis("bottom").setTicks(ticks)
        self.draw()

    def show_arm(self, arm: ArmReport | None) -> None:
        self.arm = arm
        self.draw()

    def draw(self) -> None:
        super().draw()
        places = self.arm.places if self.arm else (0,) * PLACES
        ink = QColor(current_theme().colours.large)
        self.plot.addItem(pg.BarGraphItem(x=list(range(PLACES)), height=list(places), width=0.8, brush=ink, pen=ink))
        self.plot.setXRange(-0.6, PLACES - 0.4, padding=0)
        self.plot.setYRange(0, max(1, *places), padding=0)
        told = ", ".join(f"{count:,}" for count in places)
        self.plot.setAccessibleDescription(f"Takeovers by tenths of the steps: {told}")


def _ink(arm: ArmReport) -> QColor:
    colours = current_theme().colours
    if not arm.large_tokens:
        return QColor(colours.small)
    return QColor(colours.large if not arm.small_tokens else colours.text)
