"""One run of a batch in full: the problem, the verdict, every step, and the inspector beside them."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QDialog, QHBoxLayout, QSplitter, QVBoxLayout, QWidget

from app.batch.row_order import mark_of
from app.shared.background import cancel_background
from app.shared.conversations.conversation import Exchange
from app.shared.parts import RunInspector
from app.shared.rendering import RichText
from app.shared.steps.ribbon_follower import RibbonFollower
from app.shared.steps.steps_view import StepsView
from app.shared.steps.typesetting import Typesetter
from app.shared.theme import Role
from app.shared.widgets.controls import label, scrolling
from app.shared.widgets.ribbon import Ribbon
from core.batch.report_text import conditions_in_words
from core.problem import Problem
from core.run import RunSettings
from core.store.batch_rows import ResultRow
from core.thinking.trace import Piece, Trace


class RunWindow(QDialog):
    def __init__(
        self, trace: Trace, row: ResultRow, problem: Problem, inspector: RunInspector, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(f"{problem.id} · {row.arm}")
        self.resize(1100, 760)
        settings = RunSettings.model_validate(trace.started.settings) if trace.started else RunSettings()
        self.exchange = Exchange(problem.text, settings, trace=trace)
        self._typesetter = Typesetter(self)
        self.ribbon, self.steps, self.inspector = Ribbon(), StepsView(self._typesetter), inspector
        self._segments = RibbonFollower(self.ribbon)
        self._segments.follow(trace)
        self.steps.sync(trace, trace.pieces, live=False)
        self.steps.piece_clicked.connect(self._show_piece)
        self.ribbon.segment_clicked.connect(self._show_segment)
        self.inspector.turn_to_run()
        self._lay_out(_verdict(row, problem), problem.text)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.inspector.show_run(self.exchange)  # it fills only what can be seen

    def done(self, result: int) -> None:
        cancel_background(self)
        super().done(result)

    def _show_piece(self, piece: Piece) -> None:
        self.steps.select(piece)
        self.inspector.show_piece(self.exchange, piece)

    def _show_segment(self, index: int) -> None:
        if piece := self._segments.piece_at(index):
            self._show_piece(piece)

    def _lay_out(self, verdict: str, problem: str) -> None:
        text = QWidget()
        column = QVBoxLayout(text)
        column.setContentsMargins(20, 16, 16, 16)
        column.setSpacing(10)
        asked = RichText()
        asked.set_markdown(problem)
        heading = label(verdict, Role.HEADING)
        heading.setWordWrap(True)
        heading.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        column.addWidget(asked)
        column.addWidget(heading)
        column.addWidget(self.ribbon)
        column.addWidget(self.steps)
        column.addStretch(1)
        split = QSplitter()
        split.addWidget(scrolling(text))
        split.addWidget(self.inspector)
        split.setStretchFactor(0, 1)
        split.setSizes([720, 380])
        outside = QHBoxLayout(self)
        outside.setContentsMargins(0, 0, 0, 0)
        outside.addWidget(split)


def _verdict(row: ResultRow, problem: Problem) -> str:
    """Sign, answer, what was expected, and why; what the engines reported, and the conditions of its speed."""
    outcome = (
        f"{mark_of(row).value} {row.answer or 'no answer'}, expected {problem.expected or 'nothing to grade against'}"
    )
    reason = row.error or (row.verdict.reason if row.verdict else "")
    conditions = f"Written {conditions_in_words(row.conditions)}." if row.conditions else ""
    return "\n".join(filter(None, (f"{outcome}. {reason}".strip(), *row.notices, conditions)))
