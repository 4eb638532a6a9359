"""Shows one run of a batch in full: the problem, the verdict, every step, and the inspector beside them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import QDialog, QSplitter, QWidget

from baton_reasoning.app.batch.row_order import mark_of, run_title
from baton_reasoning.app.document import RichText
from baton_reasoning.app.document.ribbon_follower import RibbonFollower
from baton_reasoning.app.document.steps_view import StepsView
from baton_reasoning.app.document.typesetting import Typesetter
from baton_reasoning.app.inspector.panel import Inspector, Tab
from baton_reasoning.app.session.conversation import Exchange
from baton_reasoning.app.toolkit.background import cancel_tasks
from baton_reasoning.app.toolkit.controls import button, label, scrolling
from baton_reasoning.app.toolkit.layout import STRETCH, hbox, vbox
from baton_reasoning.app.toolkit.ribbon import Ribbon
from baton_reasoning.app.toolkit.theme import Role
from baton_reasoning.core.batch.reporting.figures import conditions_text
from baton_reasoning.core.errors import BatonError
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.store.batches import ResultRow
from baton_reasoning.core.thinking.run_settings import RunSettings
from baton_reasoning.core.thinking.trace import Piece, Trace

NEXT, PREVIOUS = "F8", "Shift+F8"
SIZE = QSize(1100, 760)
"""Pixels, unless the window that it was opened from is smaller."""


class RunsInOrder(Protocol):
    """The list that contains a run."""

    def beside(self, row: ResultRow, step: int) -> tuple[ResultRow, Problem] | None:
        """Return the next run that was written (`step` 1), or the one before (-1); None at the ends."""


class RunWindow(QDialog):
    turned = Signal(object)
    """The ResultRow that is shown instead of another."""
    failed = Signal(object)
    """A BatonError: a run cannot be read."""

    def __init__(
        self,
        row: ResultRow,
        problem: Problem,
        read: Callable[[ResultRow], Trace],
        runs: RunsInOrder,
        parent: QWidget | None = None,
    ) -> None:
        """Raises BatonError, as `read` does."""
        trace = read(row)
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(SIZE.boundedTo(parent.window().size()) if parent else SIZE)
        self._read, self._runs = read, runs
        self._typesetter = Typesetter(self)
        self._asked, self._heading = RichText(), label("", Role.HEADING)
        self.ribbon, self.steps, self.inspector = Ribbon(), StepsView(self._typesetter), Inspector()
        self._segments = RibbonFollower(self.ribbon)
        self.previous = button("‹ Previous", lambda: self._turn(-1), tip=f"The answer before, in the list ({PREVIOUS})")
        self.next = button("Next ›", lambda: self._turn(1), tip=f"The next answer of the list ({NEXT})")
        for key, way in ((NEXT, self.next), (PREVIOUS, self.previous)):
            QShortcut(QKeySequence(key), self, way.click)
        self.steps.piece_clicked.connect(self._show_piece)
        self.ribbon.segment_clicked.connect(self._show_segment)
        self.inspector.turn_to(Tab.RUN)
        self._lay_out()
        self._take(row, problem, trace)

    def _take(self, row: ResultRow, problem: Problem, trace: Trace) -> None:
        self._row = row
        self.setWindowTitle(f"{problem.id} · {run_title(row)}")
        settings = RunSettings.stored(trace.started.settings if trace.started else {})
        self.exchange = Exchange(problem.text, settings, trace=trace)
        self._asked.set_markdown(problem.text)
        self._heading.setText(_verdict(row, problem))
        self._segments.follow(trace)
        self.steps.sync(trace, trace.pieces, live=False)
        self.steps.select(None)
        self.previous.setEnabled(self._runs.beside(row, -1) is not None)
        self.next.setEnabled(self._runs.beside(row, 1) is not None)

    def _turn(self, step: int) -> None:
        """Show the run beside this one in its list, with the same tab of the inspector."""
        if (found := self._runs.beside(self._row, step)) is None:
            return
        row, problem = found
        try:
            trace = self._read(row)
        except BatonError as error:
            self.failed.emit(error)
            return
        self._take(row, problem, trace)
        self._area.verticalScrollBar().setValue(0)
        self.inspector.show_run(self.exchange)
        self.turned.emit(row)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.inspector.show_run(self.exchange)  # it fills only what can be seen

    def done(self, result: int) -> None:
        cancel_tasks(self)
        super().done(result)

    def _show_piece(self, piece: Piece) -> None:
        self.steps.select(piece)
        self.inspector.show_piece(self.exchange, piece)

    def _show_segment(self, index: int) -> None:
        if piece := self._segments.piece_at(index):
            self._show_piece(piece)

    def _lay_out(self) -> None:
        text = QWidget()
        self._heading.setWordWrap(True)
        self._heading.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        text.setLayout(
            vbox(
                hbox(self.previous, self.next, STRETCH),
                self._asked,
                self._heading,
                self.ribbon,
                self.steps,
                STRETCH,
                margins=(20, 16, 16, 16),
                spacing=10,
            )
        )
        split = QSplitter()
        self._area = scrolling(text)
        split.addWidget(self._area)
        split.addWidget(self.inspector)
        split.setStretchFactor(0, 1)
        split.setSizes([720, 380])
        self.setLayout(hbox(split, margins=0))


def _verdict(row: ResultRow, problem: Problem) -> str:
    """Describe the outcome: sign, answer, expected answer and reason; then notices, and conditions of the speed."""
    outcome = (
        f"{mark_of(row).value} {row.answer or 'no answer'}, expected {problem.expected or 'nothing to grade against'}"
    )
    reason = row.error or (row.verdict.reason if row.verdict else "")
    conditions = f"Written {conditions_text(row.conditions)}." if row.conditions else ""
    return "\n".join(filter(None, (f"{outcome}. {reason}".strip(), *row.notices, conditions)))
