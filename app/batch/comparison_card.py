"""The arms beside each other in numbers, how sure the differences are, and more arms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QGridLayout, QLabel, QMenu, QPushButton, QVBoxLayout, QWidget

from app.theme import Role, set_role
from app.widgets.controls import label
from app.widgets.elided import ElidedLabel
from core.batch.recipes import ABLATIONS, ARMS
from core.batch.report import ArmReport, Report
from core.batch.report_text import interval, money, percent, probability

_HEADER = ("", "correct", "", "◆ large", "tok/s")
_AT_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class ComparisonCard(QFrame):
    arm_wanted = Signal(str)
    """The name of a recipe."""
    guides_wanted = Signal()
    """Other large models, still to be chosen."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        set_role(self, Role.CARD)
        self._arms, self._differences = _grid(), _grid()
        self._against = label("", Role.MUTED)
        self.add = QPushButton("Compare with …")
        menu = QMenu(self.add)
        for recipes in (ARMS, ABLATIONS):
            for name, recipe in recipes.items():
                menu.addAction(recipe.title, partial(self.arm_wanted.emit, name))
            menu.addSeparator()
        menu.addAction("other large models …", self.guides_wanted.emit)
        self.add.setMenu(menu)
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 10, 12, 12)
        column.setSpacing(8)
        column.addWidget(label("Arms", Role.HEADING))
        column.addLayout(self._arms)
        column.addWidget(self._against)
        column.addLayout(self._differences)
        column.addWidget(self.add)

    @property
    def words(self) -> str:
        """Everything shown, as one text."""
        return " ".join(each.text() for each in self.findChildren(QLabel))

    def show_report(self, report: Report, against: str) -> None:
        """`against`: the arm that the others are compared with."""
        rows = [_HEADER, *map(_cells, report.arms)]
        if any(arm.money for arm in report.arms):
            spent = ("cost", *(money(arm.money_per_answer, arm.currency) for arm in report.arms))
            rows = [(*row, cell) for row, cell in zip(rows, spent, strict=True)]
        _fill(self._arms, rows)
        differences = list(_differences(report, against))
        self._against.setText(f"Points more than {against}, and how sure")
        self._against.setVisible(bool(differences))
        _fill(self._differences, differences)


def _cells(arm: ArmReport) -> tuple[str, ...]:
    if not arm.answers:
        return (arm.name, "not run", "", "", "")
    accuracy = percent(arm.accuracy.value) if arm.accuracy else "–"
    return (arm.name, accuracy, interval(arm.accuracy), f"{arm.large_share:.0%}", f"{arm.tokens_per_second:,.0f}")


def _differences(report: Report, against: str) -> Iterable[tuple[str, ...]]:
    for first, second, found in report.comparisons:
        if against in (first, second):
            sign, other = (100, second) if against == first else (-100, first)
            low, high = sorted(sign * end for end in found.estimate.interval)
            yield (
                other,
                _points(sign * found.estimate.value),
                f"{_points(low)} to {_points(high)}",
                probability(found.p),
            )


def _points(value: float) -> str:
    return f"{round(value, 1) + 0.0:+.1f}"  # adding 0 takes the sign from a zero


def _grid() -> QGridLayout:
    grid = QGridLayout()
    grid.setHorizontalSpacing(12)
    grid.setVerticalSpacing(4)
    grid.setColumnStretch(0, 1)
    return grid


def _fill(grid: QGridLayout, rows: Sequence[tuple[str, ...]]) -> None:
    """Names at the left, numbers at the right."""
    while item := grid.takeAt(0):
        if widget := item.widget():
            widget.deleteLater()
    for row, (name, *cells) in enumerate(rows):
        grid.addWidget(ElidedLabel(name), row, 0)
        for column, cell in enumerate(cells, 1):
            bold = column == 1 and cell not in _HEADER
            grid.addWidget(label(cell, Role.HEADING if bold else Role.MUTED), row, column, _AT_RIGHT)
