"""The answer of one cell beside the table: problem, verdict, steps, and what models can say of it."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, QRectF, Signal
from PySide6.QtWidgets import QSplitter, QWidget

from baton_reasoning.app.batch.result_table import plain_answer, run_title
from baton_reasoning.app.batch.session import BatchSession
from baton_reasoning.app.document.answer_pane import AnswerPane
from baton_reasoning.app.document.rich_text import RichText
from baton_reasoning.app.document.steps_view import column_width
from baton_reasoning.app.document.typeset import Typesetter
from baton_reasoning.app.inspector.answer_review import AnswerReview
from baton_reasoning.app.session.actions import WindowActions
from baton_reasoning.app.session.reviews import Reviewer
from baton_reasoning.app.toolkit.background import LatestTask
from baton_reasoning.app.toolkit.controls import (
    ElidedLabel,
    IconButton,
    SwitchButton,
    button,
    label,
    scrolling,
    with_key,
)
from baton_reasoning.app.toolkit.layout import STRETCH, flowing, hbox, holder, vbox
from baton_reasoning.app.toolkit.theme import Role, current_theme
from baton_reasoning.core.batch.reporting.failures import Divergence, Failure, FailureKind, kind_of
from baton_reasoning.core.conversation import Exchange
from baton_reasoning.core.grading.verdict import Outcome
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.reviews import Answer, answers_of
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.store.batches import JobState, ResultRow
from baton_reasoning.core.thinking.trace import Piece, Trace

if TYPE_CHECKING:
    from baton_reasoning.app.inspector.panel import Inspector

NEXT, PREVIOUS, FULL, TO_CHAT = "F8", "Shift+F8", "F9", "Ctrl+Return"
CONTINUE_TIP = "Fork, edit or ask again: a conversation begins with a copy of this answer"


class AnswerPanel(QWidget):
    stepped = Signal(int)
    """The next answer that went wrong is wanted (1), or the one before (-1)."""
    closed = Signal()

    def __init__(self, batch: BatchSession, reviewer: Reviewer, actions: WindowActions) -> None:
        super().__init__()
        self.row: ResultRow | None = None
        """The result that is shown."""
        self._batch, self._store, self._actions = batch, batch.store, actions
        self._problem = Problem("", "", None, {}, 0)
        self._first: Piece | None = None
        """The piece in which the large model first strongly disagrees."""
        self._goal: Piece | None = None
        """Shown as soon as it is laid out."""
        self._reading = LatestTask(self, "open an answer", actions.show_error)
        self.heading, self.detail = ElidedLabel("", Role.HEADING), label("", wrap=True, selectable=True)
        self.problem = RichText()
        self.pane = AnswerPane(Exchange("", RunSettings()), Typesetter(self), self)
        previous, following = (f"{which} answer of this policy that went wrong" for which in ("Previous", "Next"))
        self.previous = button("‹", lambda: self.stepped.emit(-1), Role.FLAT, with_key(previous, PREVIOUS), previous)
        self.next = button("›", lambda: self.stepped.emit(1), Role.FLAT, with_key(following, NEXT), following)
        self.inspect = SwitchButton("Inspector")
        self.inspect.setToolTip("Each step, and the run")
        self.full = SwitchButton("Full page")
        self.full.setToolTip(with_key("This answer alone", FULL))
        self.to_chat = button("Continue in chat", self._continue_in_chat, tip=with_key(CONTINUE_TIP, TO_CHAT))
        self.place = button(FailureKind.DIVERGED.value, lambda: self._show_piece(self._first))
        self.pane.follow()  # which gives every part its place, before there is an answer
        self.review = AnswerReview(self.pane, reviewer, self._answer_of)
        self._lay_out()
        self.inspect.toggled.connect(self._show_inspector)
        self.pane.revealed.connect(self._reveal)
        self.pane.steps.grown.connect(self._reach)
        reviewer.ended.connect(self._read)

    @cached_property
    def inspector(self) -> Inspector:
        """The inspector, created on first use."""
        from baton_reasoning.app.inspector.panel import Inspector

        inspector = Inspector(choose=lambda _, piece: self.pane.choose(piece, reveal=True))
        self._split.addWidget(inspector)
        return inspector

    def show_answer(self, row: ResultRow, problem: Problem) -> None:
        """Show what is known of the answer; its text follows."""
        self.row, self._problem = row, problem
        self.heading.setText(f"{problem.id} · {run_title(row)}")
        self.problem.set_markdown(problem.text)
        self._show(Trace(), None)
        self._area.verticalScrollBar().setValue(0)
        self._read()

    def clear(self) -> None:
        """Show nothing: another batch is in view, or the answer is being written anew."""
        self._reading.cancel()
        self.inspect.setChecked(False)
        self.full.setChecked(False)
        self.row = None

    def choose(self, _: Exchange, piece: Piece) -> None:
        """Show a step in the inspector."""
        self.inspect.setChecked(True)
        self._inspect(piece)

    def open_menu(self, _: AnswerPane, piece: Piece, where: QPoint) -> None:
        """Open the inspector at the step; what else can be done with it is done in the chat."""
        del where
        self.pane.choose(piece)
        self.choose(self.pane.exchange, piece)

    # -----------------------------------------------------------------------------------------------------------------

    def _continue_in_chat(self) -> None:
        if self.row and self.pane.exchange.trace.started:
            self._actions.continue_in_chat(self.pane.exchange)

    def _read(self) -> None:
        """Read the answer again, in the background: what belongs to another one by then is dropped."""
        row, problem, store = self.row, self._problem, self._store
        if row is None or row.state is not JobState.DONE:
            return

        def read() -> tuple[Trace, Failure | None]:
            trace = store.runs.trace(row.run)
            if row.outcome is Outcome.CORRECT:
                return trace, None
            divergence = Divergence.of(trace)
            return trace, Failure(row, problem, kind_of(row, divergence), divergence)

        self._reading.run(read, lambda found: self._show(*found))

    def _show(self, trace: Trace, failure: Failure | None) -> None:
        """Show the trace of the answer, and what is known of its failure; None for one that is right."""
        row = self.row
        assert row
        settings = RunSettings.stored(trace.started.settings if trace.started else {})
        self.pane.show_exchange(Exchange(self._problem.text, settings, trace=trace))
        self.review.follow()
        expected = f"✗ expected {plain_answer(self._problem.expected or '')}" if row.outcome is Outcome.WRONG else ""
        reason = f". {row.verdict.reason}" if row.verdict and row.verdict.reason else ""
        known = f"the reference answer, {plain_answer(self._problem.expected or '')}{reason}"
        self.pane.show_verdict(row.outcome, expected, plain_answer(row.answer), known if row.verdict else "")
        self._describe(row, failure)
        self._first = self._goal = None
        if failure and (divergence := failure.divergence):
            self._first = next((each for each in reversed(trace.pieces) if each.position <= divergence.position), None)
            self._show_piece(self._first)
        self.place.setVisible(self._first is not None)
        self.to_chat.setEnabled(trace.started is not None)
        if self.inspect.isChecked():
            self.inspector.show_run(self.pane.exchange)

    def _describe(self, row: ResultRow, failure: Failure | None) -> None:
        if row.state is not JobState.DONE:
            first = "This answer is not written yet."
        elif failure and row.outcome is Outcome.WRONG:  # the verdict says what was expected
            kind = [] if failure.kind is FailureKind.WRONG else [failure.kind.value]
            first = " · ".join([*kind, *failure.place])
        else:
            first = f"{failure.kind.value}: {failure.detail}" if failure else row.error
        self.detail.setText("\n".join(filter(None, (first, *row.notices))))
        self.detail.setVisible(bool(self.detail.text()))

    def _show_piece(self, piece: Piece | None) -> None:
        self._goal = piece
        self._reach()

    def _reach(self) -> None:
        """Select the wanted piece and scroll to it, once it is laid out."""
        piece = self._goal
        if piece and (piece.in_answer or self.pane.steps.place_of(piece) is not None):
            self._goal = None
            self.pane.choose(piece, reveal=True)
            self._inspect(piece)

    def _inspect(self, piece: Piece | None) -> None:
        """Show a step in the inspector, if that is open."""
        if piece and self.inspect.isChecked():
            self.inspector.show_piece(self.pane.exchange, piece)

    def _show_inspector(self, shown: bool) -> None:
        self.inspector.setVisible(shown)
        if shown:
            self.inspector.show_run(self.pane.exchange)
            self._inspect(self.pane.steps.selected)

    def _reveal(self, place: QRectF) -> None:
        top = self.pane.mapTo(self._text, place.center().toPoint()).y()
        self._area.ensureVisible(0, top, 0, self._area.height() // 3)

    def _fit(self) -> None:
        """Keep lines short enough to be read, however wide the page is."""
        self._text.setMaximumWidth(column_width())

    def _answer_of(self, _: Exchange) -> Answer:
        """Return what is to be reviewed; what is found is saved in the batch."""
        assert self.row
        assert self._batch.batch
        (answer,) = answers_of(self._store, self._batch.batch, [self.row], [self._problem])
        return replace(answer, row=None)

    def _lay_out(self) -> None:
        close = IconButton("close", "Close the answer (Esc)", self.closed.emit)
        head = hbox((self.heading, 1), self.previous, self.next, self.inspect, self.full, close, spacing=4)
        buttons = flowing(self.to_chat, self.place, self.review.examine)
        parts = (self.problem, self.detail, buttons, self.pane, STRETCH)
        self._text = holder(vbox(*parts, margins=(0, 0, 8, 0), spacing=12))
        self._area = scrolling(holder(hbox(STRETCH, (self._text, 1000), STRETCH, margins=0)))
        current_theme().changed.connect(self._fit)
        self._fit()
        self._split = QSplitter()
        self._split.addWidget(holder(vbox(head, (self._area, 1), margins=(12, 0, 0, 0), spacing=8)))
        self._split.setChildrenCollapsible(False)
        self.setLayout(vbox(self._split, margins=0))
