"""Where the large model stepped in: by rule, and by the place of the step."""

from __future__ import annotations

from typing import Any

import pyqtgraph as pg
from PySide6.QtGui import QColor

from app.batch.chart_card import ChartCard
from app.shared.theme import current_theme
from core.batch.charts import places_of_takeovers, takeovers_by_reason
from core.batch.report import PLACES, ArmReport


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

    def drawing(self) -> str:
        return takeovers_by_reason(self.arm) if self.arm else ""

    def draw(self) -> None:
        super().draw()
        self.save_button.setEnabled(self.arm is not None)
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
        for place, (reason, count) in zip(places, takeovers, strict=True):
            self.write(f"{reason.capitalize()} ", 0, place, (1, 0.5))
            self.write(f" {count / total:.0%}", count / total, place, (0, 0.5))
        self.plot.setXRange(-0.75 * max(widths), 1.25 * max(widths), padding=0)
        self.plot.setYRange(min(places) - 0.5, 0.5, padding=0)
        self.plot.setAccessibleDescription("; ".join(f"{reason} {count:,}" for reason, count in takeovers))


class PlaceChart(ChartCard):
    """Takeovers by the place of their step."""

    def __init__(self) -> None:
        super().__init__("In which steps", 130)
        self.arm: ArmReport | None = None
        self.plot.hideAxis("left")
        ticks: list[list[tuple[float, Any]]] = [[(0.3, "first step"), (PLACES - 1.6, "last step")]]
        self.plot.getAxis("bottom").setTicks(ticks)
        self.plot.getAxis("bottom").setStyle(tickLength=0)
        self.draw()

    def show_arm(self, arm: ArmReport | None) -> None:
        self.arm = arm
        self.draw()

    def drawing(self) -> str:
        return places_of_takeovers(self.arm) if self.arm else ""

    def draw(self) -> None:
        super().draw()
        self.save_button.setEnabled(self.arm is not None)
        places = self.arm.places if self.arm else (0,) * PLACES
        ink = QColor(current_theme().colours.large)
        self.plot.addItem(pg.BarGraphItem(x=list(range(PLACES)), height=list(places), width=0.8, brush=ink, pen=ink))
        self.plot.setXRange(-0.6, PLACES - 0.4, padding=0)
        self.plot.setYRange(0, max(1, *places), padding=0)
        told = ", ".join(f"{count:,}" for count in places)
        self.plot.setAccessibleDescription(f"Takeovers by tenths of the steps: {told}")
