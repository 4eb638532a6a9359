"""What lies folded below the results: tests and intervals, the worth of takeovers, times and tokens, notes."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from functools import partial
from itertools import zip_longest

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from baton_reasoning.app.toolkit.controls import button, label
from baton_reasoning.app.toolkit.layout import FlowRow, vbox
from baton_reasoning.app.toolkit.tables import FigureTable
from baton_reasoning.app.toolkit.theme import Role
from baton_reasoning.core.batch.reporting import tables
from baton_reasoning.core.batch.reporting.report import Report
from baton_reasoning.core.table import Table


class Fold(Enum):
    TESTS = "Paired tests and intervals"
    WORTH = "What takeovers were worth"
    TIMES = "Time and tokens"
    NOTES = "Notes"


class FoldedParts(QWidget):
    opened = Signal(object)
    """The `Fold` that a person has opened."""

    def __init__(self) -> None:
        super().__init__()
        self.tests, self.takeovers, self.times = TableList(), TableList(), TableList()
        self.notes = label("", Role.MUTED, wrap=True, selectable=True)
        self.notes.setAccessibleName("What to know beside the figures")
        self.bodies: dict[Fold, QWidget] = {
            Fold.TESTS: self.tests,
            Fold.WORTH: self.takeovers,
            Fold.TIMES: self.times,
            Fold.NOTES: self.notes,
        }
        self.heads = {fold: button("", partial(self._turn, fold), Role.FLAT) for fold in Fold}
        for body in self.bodies.values():
            body.hide()
        self.row = FlowRow(*self.heads.values(), gap=4)
        """The heads; a page may put them elsewhere."""
        self.setLayout(vbox(self.row, *self.bodies.values(), margins=0, spacing=12))
        self._name()

    def is_open(self, fold: Fold) -> bool:
        return not self.bodies[fold].isHidden()

    def show_report(self, report: Report) -> None:
        times, seconds = tables.time_tables(report), tables.about_seconds(report)
        notes = [note for note in tables.notes(report) if note not in seconds]
        self.tests.show_tables((*tables.main_tables(report), *tables.more_tables(report)[len(times) :]))
        self.times.show_tables(times, "\n".join(seconds))
        self.notes.setText("\n".join(f"• {note}" for note in notes))
        self._name()

    def _turn(self, fold: Fold) -> None:
        self.bodies[fold].setVisible(not self.is_open(fold))
        self._name()
        if self.is_open(fold):
            self.opened.emit(fold)

    def _name(self) -> None:
        notes = len(self.notes.text().splitlines())
        for fold, head in self.heads.items():
            number = f" ({notes})" if fold is Fold.NOTES else ""
            head.setText(f"{'▾' if self.is_open(fold) else '▸'} {fold.value}{number}")
            head.setAccessibleName(f"{'Hide' if self.is_open(fold) else 'Show'}: {fold.value}{number}")
        self.heads[Fold.NOTES].setVisible(notes > 0)


class TableList(QWidget):
    """Tables below each other, after what to know first."""

    def __init__(self) -> None:
        super().__init__()
        self.first = label("", Role.MUTED, wrap=True, selectable=True)
        self._list = vbox(self.first, margins=0, spacing=8)
        self.setLayout(self._list)

    @property
    def shown(self) -> list[Table]:
        return [each.shown for each in self.findChildren(FigureTable) if each.shown and not each.isHidden()]

    def show_tables(self, shown: Sequence[Table], first: str = "") -> None:
        self.first.setText(first)
        self.first.setVisible(bool(first))
        for widget, table in zip_longest(self.findChildren(FigureTable), shown):
            if widget is None:
                self._list.addWidget(widget := FigureTable())
            if table:
                widget.show_table(table)
            widget.setVisible(table is not None)
