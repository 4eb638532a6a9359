"""One review of an answer in the answer: a line that says what was found, and the rest while it is open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from PySide6.QtCore import QRectF, Qt, QTimer
from PySide6.QtWidgets import QVBoxLayout, QWidget

from baton_reasoning.app.document.answer_pane import AnswerPane
from baton_reasoning.app.session.reviews import Reviewer, ReviewKind
from baton_reasoning.app.toolkit.controls import ElidedLabel, button, label, progress_bar
from baton_reasoning.app.toolkit.layout import hbox, vbox
from baton_reasoning.app.toolkit.theme import Role
from baton_reasoning.core.conversation import Exchange
from baton_reasoning.core.thinking.trace import Trace

if TYPE_CHECKING:
    from baton_reasoning.core.grading.grader import Grader
    from baton_reasoning.core.reviews import Answer, Review

AnswerOf = Callable[[Exchange], "Answer"]
"""Returns the answer of an exchange as what is to be reviewed."""


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

    kind: ReviewKind

    def __init__(self, pane: AnswerPane, reviewer: Reviewer, answer_of: AnswerOf) -> None:
        super().__init__()
        self.pane, self.reviewer, self.answer_of = pane, reviewer, answer_of
        self.start = button("Start", self.begin, Role.PRIMARY, name=f"Start: {self.kind.value}")
        self.is_open = False
        self._trace: Trace | None = None
        self.head, self.line = button("", self.toggle, Role.FLAT), ElidedLabel("", Role.MUTED)
        self.line.setAlignment(Qt.AlignmentFlag.AlignVCenter)
        self.stop = button("Stop", reviewer.stop, tip="What was found until now is kept")
        self.bar = progress_bar(f"Progress: {self.kind.value}")
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
        return self.reviewer.is_running(self.pane.exchange, self.kind)

    @property
    def price(self) -> str:
        """What it takes, and which models are loaded for it, a sentence each."""
        from baton_reasoning.core.grading.grader import Grader  # would delay the start of a window

        trace = self.pane.exchange.trace
        return f"{self.review(Grader()).price(trace)}. {self.reviewer.others(trace)}".strip()

    @property
    def review(self) -> Callable[[Grader], Review]:
        """Makes the review as a person chose it."""
        raise NotImplementedError

    @property
    def expected_answer(self) -> str | None:
        """The expected answer that a person named; None if the review needs none."""
        return None

    def begin(self) -> None:
        """Begin the review, or go on with it."""
        if not self.unavailable_reason():
            exchange = self.pane.exchange
            answer = self.answer_of(exchange)
            if self.expected_answer is not None:
                answer = replace(answer, expected=self.expected_answer)
            self.reviewer.review(exchange, self.kind, self.review, lambda: [answer])

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
        self.head.setText(f"{'▾' if self.is_open else '▸'} {self.kind.value}")
        self.head.setAccessibleName(f"{'Hide' if self.is_open else 'Show'}: {self.kind.value}")
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
        return self.reviewer.unavailable_reason(self.pane.exchange)

    def reveal(self) -> None:
        """Scroll to it."""
        self.pane.revealed.emit(QRectF(self.mapTo(self.pane, self.rect().topLeft()), self.size().toSizeF()))
