"""Shows one failed answer of a batch: what went wrong, its steps, the first disagreement of the large model, a note."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtGui import QFocusEvent
from PySide6.QtWidgets import QPlainTextEdit, QWidget

from baton_reasoning.app.batch.row_order import run_title
from baton_reasoning.app.document import RichText
from baton_reasoning.app.document.ribbon_follower import RibbonFollower
from baton_reasoning.app.document.steps_view import StepsView
from baton_reasoning.app.document.typesetting import Typesetter
from baton_reasoning.app.toolkit.controls import button, label, scrolling
from baton_reasoning.app.toolkit.layout import STRETCH, holder, in_row, vbox
from baton_reasoning.app.toolkit.ribbon import Ribbon
from baton_reasoning.app.toolkit.theme import Role
from baton_reasoning.app.toolkit.timer import single_shot_timer
from baton_reasoning.core.batch.reporting.failures import Failure
from baton_reasoning.core.store.batches import ResultRow
from baton_reasoning.core.thinking.trace import Piece, Trace

NOTE_LINES = 3
KEEP_MS = 800
"""A note is saved after this pause in typing, and when another answer is shown."""


class NoteEdit(QPlainTextEdit):
    """A field for a note: Tab leaves it, and its owner saves the text."""

    left = Signal()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.left.emit()


class FailedAnswer(QWidget):
    noted = Signal(object, str)
    """A ResultRow, and the note on it."""
    full_wanted = Signal()
    """Open the answer with the inspector beside it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._failure: Failure | None = None
        self._kept = ""
        """The note as it is stored."""
        self._first: Piece | None = None
        """The piece with the first disagreement."""
        self._goal: Piece | None = None
        """Scrolled to as soon as its place is known."""
        self.heading, self.detail = label("", Role.HEADING, wrap=True), label(wrap=True)
        self.problem = RichText()
        self.ribbon, self.steps = Ribbon(), StepsView(Typesetter(self))
        self.ribbon.setAccessibleName("Who wrote it")
        self._segments = RibbonFollower(self.ribbon)
        self.place = button("Show the first disagreement", lambda: self._show(self._first))
        self.full = button("Open with inspector", self.full_wanted.emit, tip="Every token, the run and the opinion")
        self.note = NoteEdit()
        self.note.setAccessibleName("Note on this answer")
        self.note.setPlaceholderText("Note on this answer: kept with it, and exported")
        self.note.setTabChangesFocus(True)
        self._keeping = single_shot_timer(self, KEEP_MS, self.keep_note)
        self._lay_out()
        self.note.textChanged.connect(self._keeping.start)
        self.note.left.connect(self.keep_note)
        self.steps.grown.connect(lambda _: self._reach())
        self.steps.piece_clicked.connect(self.steps.select)
        self.ribbon.segment_clicked.connect(lambda index: self._show(self._segments.piece_at(index)))
        self.show_nothing()

    @property
    def row(self) -> ResultRow | None:
        return self._failure.row if self._failure else None

    def expect(self, failure: Failure) -> None:
        """Show what is known of the answer; its text follows."""
        self._failure, self._first, self._goal = failure, None, None
        self._kept = failure.row.note
        self._follow(Trace())
        self.note.setPlainText(self._kept)
        self._keeping.stop()
        self.heading.setText(f"✗ {failure.problem.id} · {run_title(failure.row)} · {failure.kind.value}")
        self.detail.setText(failure.detail)
        self.problem.set_markdown(failure.problem.text)
        self.place.setVisible(failure.divergence is not None)
        self._set_visible(True)

    def show_trace(self, row: ResultRow, trace: Trace) -> None:
        failure = self._failure
        if failure is None or row.job != failure.row.job:
            return
        self._follow(trace)
        if failure.divergence:
            at = failure.divergence.position
            self._first = next((piece for piece in reversed(trace.pieces) if piece.position <= at), None)
            self._show(self._first)

    def show_nothing(self) -> None:
        self._failure = self._goal = None
        self._set_visible(False)
        self.heading.setText("No answer of this kind.")

    def keep_note(self) -> None:
        """Save the note now if it has changed."""
        self._keeping.stop()
        written = self.note.toPlainText().strip()
        if self._failure and written != self._kept:
            self._kept = written
            self.noted.emit(self._failure.row, written)

    def _follow(self, trace: Trace) -> None:
        self._segments.follow(trace)
        self.steps.sync(trace, trace.pieces, live=False)
        self.steps.select(None)

    def _show(self, piece: Piece | None) -> None:
        self._goal = piece
        self._reach()

    def _reach(self) -> None:
        """Select the wanted piece and scroll to it, once it is laid out."""
        if self._goal and (place := self.steps.place_of(self._goal)) is not None:
            self.steps.select(self._goal)
            top = self.steps.mapTo(self._text, place.center().toPoint()).y()
            self._area.ensureVisible(0, top, 0, self._area.height() // 3)
            self._goal = None

    def _set_visible(self, is_visible: bool) -> None:
        for widget in (self.detail, self._area, self.note, self._buttons):
            widget.setVisible(is_visible)

    def _lay_out(self) -> None:
        self._text = holder(vbox(self.problem, self.ribbon, self.steps, STRETCH, margins=(0, 0, 8, 0), spacing=10))
        self._area = scrolling(self._text)
        self._buttons = in_row(self.place, self.full)
        self.note.setFixedHeight(self.note.fontMetrics().lineSpacing() * NOTE_LINES + 20)
        self.setLayout(
            vbox(self.heading, self.detail, self._buttons, (self._area, 1), self.note, margins=(8, 0, 0, 0), spacing=8)
        )
