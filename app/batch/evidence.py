"""The right side of a batch: charts, and a table that compares the arms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QLabel,
    QMenu,
    QPushButton,
    QScrollArea,
    QWidget,
)

from baton_reasoning.app.batch.charts import ChartCard
from baton_reasoning.app.shared.theme import Role, set_role
from baton_reasoning.app.shared.widgets.controls import ElidedLabel, label, plain_tip, see_through
from baton_reasoning.app.shared.widgets.layout import STRETCH, hbox, holder, vbox
from baton_reasoning.core.batch.reporting.charts import (
    Scatter,
    accuracy_against_share,
    accuracy_in_time,
    scatter_chart,
    takeovers_by_reason,
)
from baton_reasoning.core.batch.reporting.report import ArmReport, Report
from baton_reasoning.core.batch.reporting.report_text import (
    footnotes,
    interval,
    method_of_tests,
    money,
    percent,
    times_note,
)
from baton_reasoning.core.batch.running.arms import ABLATIONS, ARMS, arm_title

REASONS = "Where the large model stepped in"


def _draw_scatter(scatter: Scatter, width: int) -> str:
    return scatter_chart(scatter, width, height=250)


class EvidencePanel(QScrollArea):
    chart_saved = Signal(object)
    """The Path of a file that was written."""
    failed = Signal(object)
    """A BatonError."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.comparison = ComparisonCard()
        self.in_time = ChartCard("Accuracy within a time")
        self.times_note = label("", Role.MUTED, wrap=True, selectable=True)
        """Stands in the place of times that say nothing."""
        self.times_note.setAccessibleName("What is said instead of times")
        self.times_note.setContentsMargins(12, 6, 12, 0)  # as the text of the cards below
        self.share = ChartCard("Accuracy against large share")
        self.reasons = ChartCard(REASONS)
        cards = self._cards = QWidget()
        cards.setLayout(
            vbox(
                self.in_time,
                self.times_note,
                self.comparison,
                self.share,
                self.reasons,
                STRETCH,
                margins=(0, 0, 4, 0),
                spacing=10,
            )
        )
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(cards)
        see_through(self, cards)
        for chart in (self.in_time, self.share, self.reasons):
            chart.saved.connect(self.chart_saved)
            chart.failed.connect(self.failed)

    def clear(self) -> None:
        """Show nothing until there is a report on another batch."""
        self._cards.hide()

    def show_report(self, report: Report, arm: ArmReport | None) -> None:
        """Show a report; `arm` is the one that is selected in the list."""
        self._cards.show()
        self._draw(self.in_time, accuracy_in_time(report))
        self.in_time.setVisible(not report.is_demo)
        self.times_note.setText(times_note(report))
        self.times_note.setVisible(report.is_demo)
        self._draw(self.share, accuracy_against_share(report))
        self.share.setVisible(len(report.arms) > 1)
        self.comparison.show_report(report, arm.name if arm else "")
        self.reasons.setVisible(arm is not None)
        if arm:
            counts = "; ".join(f"{reason} {count:,}" for reason, count in arm.takeovers.items())
            self.reasons.show_chart(
                partial(takeovers_by_reason, arm), counts or "No takeover.", f"{REASONS} · {arm.title}"
            )
        self.setMinimumWidth(self._cards.minimumSizeHint().width() + self.verticalScrollBar().sizeHint().width())

    def _draw(self, card: ChartCard, scatter: Scatter) -> None:
        card.show_chart(partial(_draw_scatter, scatter), scatter.description or "No right answer yet.")


_HEADER = ("", "correct", "", "◆ large", "tok/s")
_DIFFERENCE_HEADER = ("", "points", "95% CI", "p", "adjusted p")
_AT_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class ComparisonCard(QFrame):
    arm_wanted = Signal(str)
    """The name of a recipe."""
    larges_wanted = Signal()
    """Other large models, still to be chosen."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        set_role(self, Role.CARD)
        self._arms, self._differences = _grid(), _grid()
        self._against, self._notes = label("", Role.MUTED), label("", Role.MUTED, wrap=True, selectable=True)
        self._notes.setAccessibleName("What to know beside the figures")
        self.add = QPushButton("Compare with…")
        menu = QMenu(self.add)
        for recipes in (ARMS, ABLATIONS):
            for name, recipe in recipes.items():
                menu.addAction(
                    "\t".join(filter(None, (recipe.title, recipe.summary))), partial(self.arm_wanted.emit, name)
                )
            menu.addSeparator()
        menu.addAction("Add large models…", self.larges_wanted.emit)
        self.add.setMenu(menu)
        self.setLayout(
            vbox(
                label("Policies", Role.HEADING),
                self._arms,
                self._against,
                self._differences,
                self._notes,
                self.add,
                margins=(12, 10, 12, 12),
                spacing=8,
            )
        )

    @property
    def text(self) -> str:
        """All visible text."""
        return " ".join(each.text() for each in self.findChildren(QLabel))

    def show_report(self, report: Report, against: str) -> None:
        """Show a report; the other arms are compared with `against`."""
        rows = [_HEADER, *map(_cells, report.arms)]
        if report.is_demo:
            rows = [row[:-1] for row in rows]
        if any(arm.money for arm in report.arms):
            spent = ("cost", *(money(arm.money_per_answer, arm.currency) for arm in report.arms))
            rows = [(*row, cell) for row, cell in zip(rows, spent, strict=True)]
        _fill(self._arms, rows)
        differences = list(_differences(report, against))
        self._against.setText(f"Difference from “{arm_title(against)}”")
        self._against.setVisible(bool(differences))
        header = [_DIFFERENCE_HEADER[: len(differences[0])]] if differences else []
        _fill(self._differences, [*header, *differences])
        notes = _notes(report, against)
        self._notes.setText("\n".join(f"• {note}" for note in notes))
        self._notes.setVisible(bool(notes))


def _notes(report: Report, against: str) -> list[str]:
    """Return what every report says below the table: tests, disagreements, errors, notices, conditions."""
    compared = [found for found in report.comparisons if against in (found.first, found.second)]
    odd = [f"{found.title}: {found.remark}" for found in compared if found.remark]
    return [*odd, *([method_of_tests(report)] if compared else []), *footnotes(report).splitlines()]


def _cells(arm: ArmReport) -> tuple[str, ...]:
    if not arm.answers:
        return (arm.title, "not run", "", "", "")
    accuracy = percent(arm.accuracy.value) if arm.accuracy else "–"
    speed = f"{arm.tokens_per_second:,.0f}" if arm.speed else "–"
    return (arm.title, accuracy, interval(arm.accuracy), f"{arm.large_share:.0%}", speed)


def _differences(report: Report, against: str) -> Iterable[tuple[str, ...]]:
    for found in report.comparisons:
        if against in (found.first, found.second):
            sign, other = (100, found.second) if against == found.first else (-100, found.first)
            low, high = sorted(sign * end for end in found.difference.interval)
            yield (
                arm_title(other),
                _points(sign * found.difference.value),
                f"{_points(low)} to {_points(high)}",
                _probability(found.p),
                *([_probability(found.adjusted_p)] if len(report.comparisons) > 1 else []),
            )


def _probability(p: float) -> str:
    return "< 0.0001" if p < 0.0001 else f"{p:.2g}"


def _points(value: float) -> str:
    return f"{round(value, 1) + 0.0:+.1f}"  # adding 0 takes the sign from a zero


def _grid() -> QGridLayout:
    grid = QGridLayout()
    grid.setHorizontalSpacing(12)
    grid.setVerticalSpacing(4)
    grid.setColumnStretch(0, 1)
    return grid


def _fill(grid: QGridLayout, rows: Sequence[tuple[str, ...]]) -> None:
    """Replace the rows of a grid, header first, with names at the left and numbers at the right."""
    while item := grid.takeAt(0):
        if widget := item.widget():
            widget.deleteLater()
    for row, (name, *cells) in enumerate(rows):
        grid.addWidget(ElidedLabel(name), row, 0)
        for column, cell in enumerate(cells, 1):
            bold = column == 1 and row > 0
            grid.addWidget(label(cell, Role.HEADING if bold else Role.MUTED), row, column, _AT_RIGHT)


def _involved(arm: ArmReport) -> str:
    """Return its other shares; nothing without the large model."""
    steps, problems = arm.involvement.steps, arm.involvement.problems
    if not (steps and problems and problems.value):
        return ""
    return f"In {steps.value:.0%} of steps and {problems.value:.0%} of answers"


def _read(arm: ArmReport) -> str:
    """Return handoffs and tokens that were read again, of an answer; nothing without a handoff."""
    handoffs = arm.involvement.handoffs
    if not (handoffs and handoffs.value):
        return ""
    return f"{handoffs.value:,.1f} handoffs, {arm.reread / arm.answers:,.0f} read again"


def _times(arm: ArmReport) -> tuple[str, str, str]:
    """Return the seconds to the end and what else is known of the time; nothing without answers."""
    end, answer = arm.seconds_to_end, arm.seconds_to_answer
    if end is None:
        return "–", "s to the end", ""
    begins = f"To the answer {answer.p50.value:,.2f} (p95 {answer.p95.value:,.2f})" if answer else ""
    return f"{end.p50.value:,.2f}", f"s to the end (p95 {end.p95.value:,.2f})", begins


_SHARE, _TIME = 1, 3
"""Indexes of the cards with the large share and with the seconds."""


class Figures(QWidget):
    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._figures = [
            (label("–", Role.LARGE_FIGURE if place == _SHARE else Role.FIGURE), label("", Role.MUTED, wrap=True))
            for place in range(5)
        ]
        cards = self._cards = [
            holder(vbox(figure, meaning, STRETCH, margins=(12, 8, 12, 10), spacing=2), Role.CARD)
            for figure, meaning in self._figures
        ]
        self.setLayout(hbox(*((card, 1) for card in cards), margins=0, spacing=10))
        self.show_arm(None)

    @property
    def text(self) -> str:
        """All visible text."""
        shown = [each for card, each in zip(self._cards, self._figures, strict=True) if not card.isHidden()]
        return "; ".join(f"{figure.text()} {words.text()}" for figure, words in shown)

    def show_times(self, shown: bool) -> None:
        self._cards[_TIME].setVisible(shown)

    def show_arm(self, arm: ArmReport | None) -> None:
        if arm is None or not arm.answers:
            parts = [
                ("–", "correct", ""),
                ("–", "written by ◆ large", ""),
                ("–", "tokens per answer", ""),
                ("–", "s to the end", ""),
                ("–", "unscored", ""),
            ]
        else:
            accuracy = arm.accuracy
            share = f"{100 * accuracy.value:.1f}%" if accuracy else "–"
            low, high = (100 * end for end in accuracy.interval) if accuracy else (0, 0)
            parts = [
                (share, f"correct ({low:.1f}–{high:.1f}) · {arm.title}" if accuracy else arm.title, ""),
                (f"{100 * arm.large_share:.1f}%", "written by ◆ large", _involved(arm)),
                (f"{arm.tokens_per_answer:,.0f}", "tokens per answer", _read(arm)),
                _times(arm),
                (f"{arm.unscored:,}", f"unscored · {arm.failed:,} errors", ""),
            ]
        for (figure, text), (number, meaning, more) in zip(self._figures, parts, strict=True):
            figure.setText(number)
            text.setText(meaning)
            text.setToolTip(plain_tip(more))
