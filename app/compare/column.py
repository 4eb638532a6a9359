"""One column: an exchange with its head, its steps and its answer."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from app.chat.answer_card import AnswerCard
from app.chat.conversation import Exchange
from app.chat.steps_document import AT_ONCE, thinking_pieces
from app.chat.steps_view import StepsView
from app.chat.typesetting import Typesetter
from app.chat.wording import ENDINGS, last_words
from app.compare.head import ColumnHead
from app.theme import Role
from app.widgets.controls import button, label
from core.grading.extraction import extract_answer, last_boxed
from core.thinking.alignment import thinking_steps
from core.thinking.events import Finish
from core.thinking.pieces import Piece
from core.thinking.trace import Trace

MOST_COLUMNS = 3
AT_ONCE_BESIDE = AT_ONCE // MOST_COLUMNS // 2
"""Pieces of each answer rendered in one go: all columns are, and then they are moved level."""


class Column(QObject):
    piece_chosen = Signal(object)  # a Piece
    open_wanted = Signal()

    def __init__(self, exchange: Exchange, typesetter: Typesetter, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.exchange = exchange
        self.head = ColumnHead(exchange.settings, typesetter)
        self.steps = StepsView(typesetter, AT_ONCE_BESIDE)
        self.steps.setAccessibleName(f"Steps, {self.head.title}")
        self.card = AnswerCard(typesetter)
        self._ending = label("", Role.MUTED)
        self._ending.setWordWrap(True)
        self.foot = self._make_foot(self.open_wanted.emit)
        self.parts = (self.steps, self.card, self.foot)
        """Below the head, from top to bottom."""
        self.live = False
        self.answer: str | None = None
        """The final answer, once it is over."""
        self._read = -1
        """Characters of the text in which the answer was looked for."""
        self._state = (0, False, False)
        self._texts: list[str] = []
        self.steps.piece_clicked.connect(self._chosen)
        self.head.ribbon.segment_clicked.connect(self._segment_clicked)

    @property
    def over(self) -> bool:
        """Whether nothing more comes: it has ended, or was broken off."""
        return not self.live and self.exchange.is_read and self.exchange.trace.started is not None

    @property
    def whole(self) -> bool:
        """Whether it came to an end that nobody and nothing forced."""
        return self.over and self.exchange.trace.finish not in (None, Finish.STOPPED, Finish.FAILED)

    def refresh(self, live: bool, waits: bool) -> None:
        """Show what the trace holds now."""
        self.live = live
        trace = self.exchange.trace
        self.steps.sync(trace, thinking_pieces(trace), live and trace.closed is None)
        self.card.follow(trace, live)
        self.head.follow(trace)
        self.head.show_state(self._words(waits), trace.finish is Finish.FAILED and not live)
        if self.over and trace.length != self._read:
            self._conclude(trace)
        self.foot.setVisible(self.over)

    def texts(self) -> list[str]:
        """Its steps, as they are lined up. Made anew only when a step has begun or the writing has ended."""
        trace = self.exchange.trace
        state = (len(trace.steps), trace.closed is not None, self.live)
        if state != self._state:
            self._state, self._texts = state, thinking_steps(trace, self.live)
        return self._texts

    def choose(self, piece: Piece | None) -> None:
        """Mark a piece in text and ribbon."""
        self.steps.select(piece)
        self.head.ribbon.select(self.head.segments.index_of(piece) if piece else -1)

    def _conclude(self, trace: Trace) -> None:
        text, words = trace.answer.strip() or trace.text, last_words(trace, live=False)
        self._read, self.answer = trace.length, extract_answer(text)
        self.head.show_answer(last_boxed(text), self.answer)
        self._ending.setText(words)
        self._ending.setVisible(bool(words))

    def _words(self, waits: bool) -> str:
        if waits:
            return "waits for its turn"
        if self.live:
            return "is being written …"
        if not self.exchange.is_read:
            return "is being read …"
        trace = self.exchange.trace
        if not trace.started:
            return "was not begun"
        return ENDINGS[trace.finish] if trace.finish else "was broken off"

    def _chosen(self, piece: Piece) -> None:
        self.choose(piece)
        self.piece_chosen.emit(piece)

    def _segment_clicked(self, index: int) -> None:
        if piece := self.head.segments.piece_at(index):
            self._chosen(piece)

    def _make_foot(self, open_it: Callable[[], None]) -> QWidget:
        foot = QWidget()
        inside = QVBoxLayout(foot)
        inside.setContentsMargins(0, 0, 0, 0)
        go = button("Open as conversation", open_it, Role.FLAT, "Go on from this answer, fork it, export it")
        go.setAccessibleName(f"Open as conversation: {self.head.title}")
        inside.addWidget(self._ending)
        inside.addWidget(go, 0, Qt.AlignmentFlag.AlignRight)
        return foot
