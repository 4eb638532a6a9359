"""The right side of a batch: charts, and a table that compares the arms."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import zip_longest

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QMenu, QPushButton, QScrollArea, QWidget

from baton_reasoning.app.batch.charts import ChartCard
from baton_reasoning.app.toolkit.controls import button, label, plain_tip, see_through
from baton_reasoning.app.toolkit.figure_table import FigureTable
from baton_reasoning.app.toolkit.layout import STRETCH, hbox, holder, vbox
from baton_reasoning.app.toolkit.theme import Role, set_role
from baton_reasoning.core.batch.reporting import charts, figures, tables
from baton_reasoning.core.batch.reporting.report import ArmReport, Report
from baton_reasoning.core.batch.running.arms import ABLATIONS, ARMS
from baton_reasoning.core.table import Table
from baton_reasoning.core.text import counted

REASONS = "Where the large model stepped in"


class EvidencePanel(QScrollArea):
    chart_saved = Signal(object)
    """The Path of a file that was written."""
    failed = Signal(object)
    """A BatonError."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.comparison = ComparisonCard()
        self.share = ChartCard("Accuracy against large share")
        self.reasons = ChartCard(REASONS)
        cards = self._cards = QWidget()
        cards.setLayout(vbox(self.share, self.comparison, self.reasons, STRETCH, margins=(0, 0, 4, 0), spacing=10))
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(cards)
        see_through(self, cards)
        for chart in (self.share, self.reasons):
            chart.saved.connect(self.chart_saved)
            chart.failed.connect(self.failed)

    def clear(self) -> None:
        """Show nothing until there is a report on another batch."""
        self._cards.hide()

    def show_report(self, report: Report, arm: ArmReport | None) -> None:
        """Show a report; `arm` is the one that is selected in the list."""
        self._cards.show()
        self.share.show_chart(partial(charts.share_chart, report, height=250), charts.shares_in_words(report))
        self.share.setVisible(len(report.arms) > 1)
        self.comparison.show_report(report, arm.name if arm else "")
        self.reasons.setVisible(arm is not None)
        if arm:
            counts = "; ".join(f"{reason} {count:,}" for reason, count in arm.takeovers.items()) or "No takeover."
            drawing = partial(charts.takeovers_by_reason, arm)
            self.reasons.show_chart(drawing, counts, f"{REASONS} · {arm.title}")
        self.setMinimumWidth(self._cards.minimumSizeHint().width() + self.verticalScrollBar().sizeHint().width())


class ComparisonCard(QFrame):
    arm_wanted = Signal(str)
    """The name of a recipe."""
    larges_wanted = Signal()
    """Other large models, still to be chosen."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        set_role(self, Role.CARD)
        self.tables, self.more_tables = TableList(), TableList()
        self.notes = label("", Role.MUTED, wrap=True, selectable=True)
        self.notes.setAccessibleName("What to know beside the figures")
        self.more = button("More figures", self._unfold, Role.FLAT, "Seconds, tokens and every comparison")
        self.more.setCheckable(True)
        self.more_tables.hide()
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
            vbox(self.tables, self.notes, self.add, self.more, self.more_tables, margins=(12, 10, 12, 12), spacing=8)
        )

    def show_report(self, report: Report, against: str) -> None:
        """Show a report; the other arms are compared with `against`."""
        self.tables.show_tables(tables.main_tables(report, against))
        self.more_tables.show_tables(tables.more_tables(report))
        notes = tables.notes(report)
        self.notes.setText("\n".join(f"• {note}" for note in notes))
        self.notes.setVisible(bool(notes))

    def _unfold(self) -> None:
        self.more_tables.setVisible(self.more.isChecked())


class TableList(QWidget):
    """Tables below each other."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._list = vbox(margins=0, spacing=8)
        self.setLayout(self._list)

    @property
    def shown(self) -> list[Table]:
        return [each.shown for each in self.findChildren(FigureTable) if each.shown and not each.isHidden()]

    def show_tables(self, shown: Sequence[Table]) -> None:
        for widget, table in zip_longest(self.findChildren(FigureTable), shown):
            if widget is None:
                self._list.addWidget(widget := FigureTable())
            if table:
                widget.show_table(table)
            widget.setVisible(table is not None)


_MEANINGS = ("correct", "written by ◆ large", "tokens per answer", "s to the end", "unscored")
"""What the figure of each card means."""
_TIME = 3
"""Index of the card with the seconds."""


class Figures(QWidget):
    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._figures = [(label("–", Role.TITLE), label("", Role.MUTED, wrap=True)) for _ in _MEANINGS]
        cards = self._cards = [
            holder(vbox(figure, meaning, STRETCH, margins=(12, 8, 12, 10), spacing=2), Role.CARD)
            for figure, meaning in self._figures
        ]
        self.setLayout(hbox(*((card, 1) for card in cards), margins=0, spacing=10))
        self.show_arm(None)

    def show_times(self, shown: bool) -> None:
        self._cards[_TIME].setVisible(shown)

    def show_arm(self, arm: ArmReport | None) -> None:
        empty = [("–", meaning, "") for meaning in _MEANINGS]
        parts = _figures(arm) if arm and arm.answers else empty
        for (figure, text), (number, meaning, more) in zip(self._figures, parts, strict=True):
            figure.setText(number)
            text.setText(meaning)
            text.setToolTip(plain_tip(more))


def _figures(arm: ArmReport) -> list[tuple[str, str, str]]:
    """Return a figure, what it means, and what else is known of it, for each card; of an arm with answers."""
    correct, large, tokens, seconds, unscored = _MEANINGS
    accuracy, end, answer = arm.accuracy, arm.seconds_to_end, arm.seconds_to_answer
    assert end, "each answer has its seconds"
    read = f"{arm.handoffs / arm.answers:,.1f} handoffs, {arm.reread / arm.answers:,.0f} read again"
    begins = f"To the answer {answer.p50.value:,.2f} (p95 {answer.p95.value:,.2f})" if answer else ""
    return [
        (figures.percent(accuracy.value), f"{correct} ({figures.interval(accuracy)}) · {arm.title}", "")
        if accuracy
        else ("–", arm.title, ""),
        (figures.percent(arm.large_share), large, ""),
        (f"{arm.tokens_per_answer:,.0f}", tokens, read if arm.handoffs else ""),
        (f"{end.p50.value:,.2f}", f"{seconds} (p95 {end.p95.value:,.2f})", begins),
        (f"{arm.unscored:,}", f"{unscored} · {counted(arm.failed, 'error')}", ""),
    ]
