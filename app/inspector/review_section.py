"""One review of an answer in the answer: a line that says what was found, and the rest while it is open."""

from __future__ import annotations

from typing import NamedTuple

from PySide6.QtCore import QRectF, Qt, QTimer
from PySide6.QtWidgets import QVBoxLayout, QWidget

from baton_reasoning.app.document.answer_pane import AnswerPane
from baton_reasoning.app.session.reviews import AnswerReviews
from baton_reasoning.app.toolkit.controls import ElidedLabel, button, label, progress_bar
from baton_reasoning.app.toolkit.layout import hbox, vbox
from baton_reasoning.app.toolkit.theme import Role
from baton_reasoning.core.thinking.trace import Trace


class ReviewProgress(NamedTuple):
    text: str
    done: int = 0
    total: int = 0
    """0 while it is not known."""


class ReviewSection(QWidget):
    """Hidden until it is asked for, runs, or has found something. Subclasses say what, and fill the body."""

    def __init__(self, title: str, pane: AnswerPane, reviews: AnswerReviews | None) -> None:
        """`reviews`: what reviews answers; without it, only what was found before is shown."""
        super().__init__()
        self.title, self.pane, self.reviews = title, pane, reviews
        self.is_open = False
        self._trace: Trace | None = None
        self.head, self.line = button("", self.toggle, Role.FLAT), ElidedLabel("", Role.MUTED)
        self.stop = button("Stop", lambda: reviews and reviews.stop(), tip="What was found until now is kept")
        self.bar = progress_bar(f"Progress: {title}")
        self.note = label("", Role.MUTED, wrap=True, selectable=True)
        self.body = QWidget()
        self.column = QVBoxLayout(self.body)
        self.column.setContentsMargins(0, 0, 0, 0)
        row = hbox(self.head, (self.line, 1), self.stop, spacing=8)
        self.setLayout(vbox(row, self.bar, self.note, self.body, margins=0, spacing=6))
        self.hide()

    def toggle(self) -> None:
        """Open it, or close it to one line."""
        self.is_open = not self.is_open
        self.follow()
        if self.is_open:
            QTimer.singleShot(0, self, self._reveal)  # once it is laid out

    def carry_out(self) -> None:
        """Do what the answer's command means: here, open it or close it."""
        self.toggle()

    def follow(self) -> None:
        """Update to what was found in the answer that the pane shows, and to how far a review is."""
        trace = self.pane.exchange.trace
        before, self._trace = self._trace, trace
        if before is not None and before is not trace:
            self.is_open = False
        self.show_findings(trace, is_other=before is not trace)
        progress, summary = self.progress(), self.summary()
        self.setVisible(self.is_open or progress is not None or bool(summary))
        self.head.setText(f"{'▾' if self.is_open else '▸'} {self.title}")
        self.head.setAccessibleName(f"{'Hide' if self.is_open else 'Show'}: {self.title}")
        self.line.setText(progress.text if progress else summary)
        self.line.setAlignment(Qt.AlignmentFlag.AlignVCenter)
        self.bar.setVisible(progress is not None)
        self.stop.setVisible(progress is not None)
        if progress:
            self.bar.setRange(0, progress.total)
            self.bar.setValue(progress.done)
        note = "" if progress else self.remark()
        self.note.setText(note)
        self.note.setVisible(self.is_open and bool(note))
        self.body.setVisible(self.is_open)

    # What subclasses say

    def show_findings(self, trace: Trace, is_other: bool) -> None:
        """Bring the body up to the trace; `is_other`: it is another one than before."""
        raise NotImplementedError

    def summary(self) -> str:
        """Return what was found in a line; "" for nothing."""
        raise NotImplementedError

    def progress(self) -> ReviewProgress | None:
        """Return how far a review of this answer is; None if none is running."""
        raise NotImplementedError

    def remark(self) -> str:
        """Return why nothing can be found now, or what it would take."""
        raise NotImplementedError

    def unavailable_reason(self) -> str:
        """Return why no review can begin now, in a sentence; "" if one can."""
        return self.reviews.unavailable_reason(self.pane.exchange) if self.reviews else ""

    def _reveal(self) -> None:
        self.pane.revealed.emit(QRectF(self.mapTo(self.pane, self.rect().topLeft()), self.size().toSizeF()))
