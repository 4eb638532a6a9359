"""The arms beside each other in words and numbers, and more of them."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QGridLayout, QLabel, QMenu, QPushButton, QVBoxLayout, QWidget

from app.theme import Role, set_role
from app.widgets.controls import label
from core.batch.recipes import ABLATIONS, ARMS
from core.batch.report import Report
from core.batch.report_text import interval, percent, probability


class ComparisonCard(QFrame):
    arm_wanted = Signal(str)
    """The name of a recipe."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        set_role(self, Role.CARD)
        self._table = QGridLayout()
        self._table.setHorizontalSpacing(12)
        self._differences = label("", Role.MUTED)
        self._differences.setWordWrap(True)
        self.add = QPushButton("Compare with …")
        menu = QMenu(self.add)
        for section, recipes in (("Arms", ARMS), ("Ablations", ABLATIONS)):
            menu.addSection(section)
            for name, recipe in recipes.items():
                menu.addAction(recipe.title, partial(self.arm_wanted.emit, name))
        self.add.setMenu(menu)
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 10, 12, 12)
        column.addWidget(label("Arms", Role.HEADING))
        column.addLayout(self._table)
        column.addWidget(self._differences)
        column.addWidget(self.add)

    @property
    def words(self) -> str:
        """Everything shown, as one text."""
        return " ".join(each.text() for each in self.findChildren(QLabel))

    def show_report(self, report: Report) -> None:
        while item := self._table.takeAt(0):
            if widget := item.widget():
                widget.deleteLater()
        for row, arm in enumerate(report.arms):
            accuracy = percent(arm.accuracy.value) if arm.accuracy else "–"
            share = f"◆ {arm.large_share:.0%}"
            cells = (arm.name, accuracy, f"({interval(arm.accuracy)})", share, f"{arm.tokens_per_second:,.0f} tok/s")
            cells = cells if arm.answers else (arm.name, "not run yet", "", "", "")
            for column, cell in enumerate(cells):
                role = (None, Role.HEADING, Role.MUTED, Role.LARGE, Role.MUTED)[column]
                self._table.addWidget(label(cell, role), row, column)
        lines = []
        for first, second, found in report.comparisons[:6]:
            low, high = found.estimate.interval
            lines.append(
                f"{second} less {first}: {100 * found.estimate.value:+.1f} points "
                f"({100 * low:+.1f} to {100 * high:+.1f}), {probability(found.p)}"
            )
        self._differences.setText("\n".join(lines))
