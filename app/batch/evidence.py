"""The right side of a batch: charts, and the arms beside each other."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QScrollArea, QVBoxLayout, QWidget

from app.batch.comparison_card import ComparisonCard
from app.batch.scatter_chart import ScatterChart
from app.batch.takeover_charts import PlaceChart, RuleChart
from app.widgets.scrolling import see_through
from core.batch.charts import accuracy_against_share, accuracy_against_speed
from core.batch.report import ArmReport, Report

_NOTHING = Report("", 0, 0, 0, None, None, (), ())


class Evidence(QScrollArea):
    chart_saved = Signal(object)
    """The Path of a file that was written."""
    failed = Signal(object)
    """A BatonError."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.comparison = ComparisonCard()
        self.speed = ScatterChart(accuracy_against_speed(_NOTHING))
        self.share = ScatterChart(accuracy_against_share(_NOTHING))
        self.rules, self.places = RuleChart(), PlaceChart()
        cards = self._cards = QWidget()
        column = QVBoxLayout(cards)
        column.setContentsMargins(0, 0, 4, 0)
        column.setSpacing(10)
        for card in (self.speed, self.comparison, self.share, self.rules, self.places):
            column.addWidget(card)
        column.addStretch(1)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(cards)
        see_through(self, cards)
        for chart in (self.speed, self.share, self.rules, self.places):
            chart.saved.connect(self.chart_saved)
            chart.failed.connect(self.failed)

    def show_report(self, report: Report, arm: ArmReport | None) -> None:
        """`arm`: the one that a person looks at."""
        self.speed.show_scatter(accuracy_against_speed(report))
        self.share.show_scatter(accuracy_against_share(report))
        self.share.setVisible(len(report.arms) > 1)
        self.comparison.show_report(report, arm.name if arm else "")
        self.rules.show_arm(arm)
        self.places.show_arm(arm)
        self.places.setVisible(bool(arm and arm.takeovers))
        self.setMinimumWidth(self._cards.minimumSizeHint().width() + self.verticalScrollBar().sizeHint().width())
