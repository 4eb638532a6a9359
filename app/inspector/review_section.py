"""One review of an answer in the answer: a line that says what was found, and the rest while it is open."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from PySide6.QtCore import QRectF, Qt, QTimer
from PySide6.QtWidgets import QVBoxLayout, QWidget

from baton_reasoning.app.document.answer_pane import AnswerPane
from baton_reasoning.app.session.reviews import AnswerReviews
from baton_reasoning.app.toolkit.controls import ElidedLabel, button, label, progress_bar
from baton_reasoning.app.toolkit.layout import hbox, vbox
from baton_reasoning.app.toolkit.theme import Role
from baton_reasoning.core.thinking.opinion import SecondOpinion
from baton_reasoning.core.thinking.trace import Trace

if TYPE_CHECKING:
    from baton_reasoning.core.step_values.estimator import ValueEstimator


class ReviewState(NamedTuple):
    line: str = ""
    """What was found, or how far the review is; "" for nothing."""
    remark: str = ""
    """Why nothing can be found now, or what it would take."""
    done: int = 0
    total: int = 0
    """Of the progress; 0 while it is not known."""


class ReviewSection(QWidget):
    """Hidden until it is asked for, runs, or has found something. Subclasses fill the body and describe it."""

    title: str
    kind: type[SecondOpinion | ValueEstimator]

    def __init__(self, pane: AnswerPane, reviews: AnswerReviews | None) -> None:
        """`reviews`: what reviews answers; without it, only what was found before is shown."""
        super().__init__()
        self.pane, self.reviews = pane, reviews
        self.is_open = False
        self._trace: Trace | None = None
        self.head, self.line = button("", self.toggle, Role.FLAT), ElidedLabel("", Role.MUTED)
        self.line.setAlignment(Qt.AlignmentFlag.AlignVCenter)
        self.stop = button("Stop", self._stop, tip="What was found until now is kept")
        self.bar = progress_bar(f"Progress: {self.title}")
        self.note = label("", Role.MUTED, wrap=True, selectable=True)
        self.body = QWidget()
        self.column = QVBoxLayout(self.body)
        self.column.setContentsMargins(0, 0, 0, 0)
        row = hbox(self.head, (self.line, 1), self.stop, spacing=8)
        self.setLayout(vbox(row, self.bar, self.note, self.body, margins=0, spacing=6))
        self.hide()

    @property
    def is_running(self) -> bool:
        """Whether the pane's answer is being reviewed in this way."""
        return self.reviews is not None and self.reviews.is_running(self.pane.exchange, self.kind)

    def toggle(self) -> None:
        """Open it, or close it to one line."""
        self.is_open = not self.is_open
        self.follow()
        if self.is_open:
            QTimer.singleShot(0, self, self.reveal)  # once it is laid out

    def follow(self) -> None:
        """Update to what was found in the answer that the pane shows, and to how far a review is."""
        before, self._trace = self._trace, self.pane.exchange.trace
        if before is not None and before is not self._trace:
            self.is_open = False
        self.show_findings(self._trace, is_other=before is not self._trace)
        state, runs = self.describe(), self.is_running
        self.setVisible(self.is_open or runs or bool(state.line))
        self.head.setText(f"{'▾' if self.is_open else '▸'} {self.title}")
        self.head.setAccessibleName(f"{'Hide' if self.is_open else 'Show'}: {self.title}")
        self.line.setText(state.line)
        self.bar.setRange(0, state.total)
        self.bar.setValue(state.done)
        self.bar.setVisible(runs)
        self.stop.setVisible(runs)
        self.note.setText(state.remark)
        self.note.setVisible(self.is_open and not runs and bool(state.remark))
        self.body.setVisible(self.is_open)

    def show_findings(self, trace: Trace, is_other: bool) -> None:
        """Bring the body up to the trace; `is_other`: it is another one than before."""
        raise NotImplementedError

    def describe(self) -> ReviewState:
        raise NotImplementedError

    def unavailable_reason(self) -> str:
        """Return why no review can begin now, in a sentence; "" if one can."""
        return self.reviews.unavailable_reason(self.pane.exchange) if self.reviews else ""

    def _stop(self) -> None:
        if self.reviews:
            self.reviews.stop()

    def reveal(self) -> None:
        """Scroll to it."""
        self.pane.revealed.emit(QRectF(self.mapTo(self.pane, self.rect().topLeft()), self.size().toSizeF()))
