"""One column of a comparison: header, steps and answer of an exchange."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QWidget

from baton_reasoning.app.compare.figures import Figure
from baton_reasoning.app.document import RichText
from baton_reasoning.app.document.answer_text import AnswerText
from baton_reasoning.app.document.ribbon_follower import RibbonFollower
from baton_reasoning.app.document.steps_document import AT_ONCE, thinking_pieces
from baton_reasoning.app.document.steps_view import StepsView
from baton_reasoning.app.document.typesetting import Typesetter
from baton_reasoning.app.session.conversation import Exchange
from baton_reasoning.app.toolkit.controls import button, label
from baton_reasoning.app.toolkit.layout import hbox, vbox
from baton_reasoning.app.toolkit.ribbon import Ribbon
from baton_reasoning.app.toolkit.theme import Role, set_role
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.grading.extract import given_in, last_boxed
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.thinking.differences import thinking_steps
from baton_reasoning.core.thinking.events import Finish
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.thinking.trace import Piece, Trace
from baton_reasoning.core.words.authors import SIGN
from baton_reasoning.core.words.labels import finish_text, last_text, title_of

MOST_COLUMNS = 3
AT_ONCE_BESIDE = AT_ONCE // MOST_COLUMNS // 2
"""Pieces of each answer rendered in one go: all columns are, and then they are moved level."""


class AnswerColumn(QObject):
    piece_chosen = Signal(object)  # a Piece
    open_wanted = Signal()

    def __init__(self, exchange: Exchange, typesetter: Typesetter, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.exchange = exchange
        self.head = ColumnHead(exchange.settings, typesetter)
        self.steps = StepsView(typesetter, AT_ONCE_BESIDE)
        self.steps.setAccessibleName(f"Steps, {self.head.title}")
        self.card = AnswerText(typesetter)
        self._ending = label("", Role.MUTED, wrap=True)
        self.foot = self._make_foot(self.open_wanted.emit)
        self.parts = (self.steps, self.card, self.foot)
        """The parts below the head, from top to bottom."""
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
        """Whether the answer has ended or was interrupted."""
        return not self.live and self.exchange.is_read and self.exchange.trace.started is not None

    @property
    def whole(self) -> bool:
        """Whether it ended by itself: not stopped, and not failed."""
        return self.over and self.exchange.trace.finish not in (None, Finish.STOPPED, Finish.FAILED)

    def refresh(self, live: bool, waits: bool) -> None:
        """Show what the trace holds now."""
        self.live = live
        trace = self.exchange.trace
        self.steps.sync(trace, thinking_pieces(trace), live and trace.closed is None)
        self.card.setVisible(self.card.follow(trace, live))
        self.head.follow(trace)
        self.head.show_state(self._status_text(waits), trace.finish is Finish.FAILED and not live)
        if self.over and trace.length != self._read:
            self._show_outcome(trace)
        self.foot.setVisible(self.over)

    def texts(self) -> list[str]:
        """Return its steps as texts, for the alignment; updated when a step begins and when the answer ends."""
        trace = self.exchange.trace
        state = (len(trace.steps), trace.closed is not None, self.live)
        if state != self._state:
            self._state, self._texts = state, thinking_steps(trace, self.live)
        return self._texts

    def choose(self, piece: Piece | None) -> None:
        """Mark a piece in text and ribbon."""
        self.steps.select(piece)
        self.head.ribbon.select(self.head.segments.index_of(piece) if piece else -1)

    def _show_outcome(self, trace: Trace) -> None:
        text, words = trace.answer.strip() or trace.text, last_text(trace, live=False)
        self._read, self.answer = trace.length, given_in(trace)
        self.head.show_answer(self.answer or "", is_boxed=last_boxed(text) is not None)
        self._ending.setText(words)
        self._ending.setVisible(bool(words))

    def _status_text(self, waits: bool) -> str:
        if waits:
            return "Queued"
        if self.live:
            return "Writing…"
        if not self.exchange.is_read:
            return "Loading…"
        trace = self.exchange.trace
        if not trace.started:
            return "Not started"
        return finish_text(trace) if trace.finish else "Interrupted"

    def _chosen(self, piece: Piece) -> None:
        self.choose(piece)
        self.piece_chosen.emit(piece)

    def _segment_clicked(self, index: int) -> None:
        if piece := self.head.segments.piece_at(index):
            self._chosen(piece)

    def _make_foot(self, open_it: Callable[[], None]) -> QWidget:
        foot = QWidget()
        go = button(
            "Open as conversation",
            open_it,
            Role.FLAT,
            "Go on from this answer, fork it, export it",
            name=f"Open as conversation: {self.head.title}",
        )
        foot.setLayout(vbox(self._ending, (go, 0, Qt.AlignmentFlag.AlignRight), margins=0))
        return foot


FIGURES_IN_A_ROW = 2
WIDEST_ANSWER, LEAST_ANSWER = 210, 26
"""Pixels in width and height."""


class ColumnHead:
    """The header of a column: four widgets, placed in a grid so that they align across columns."""

    def __init__(self, settings: RunSettings, typesetter: Typesetter) -> None:
        self._typesetter = typesetter
        self.title = title_of(settings)
        self.state = label("", Role.MUTED, wrap=True)
        self.answer = RichText()
        self.answer.setAccessibleName(f"Answer of {self.title}")
        self.standing = label("", Role.HEADING)
        self.written = {Author.SMALL: label("", Role.SMALL), Author.LARGE: label("", Role.LARGE)}
        self.ribbon = Ribbon()
        self.ribbon.setAccessibleName(f"Who wrote it, {self.title}")
        self.segments = RibbonFollower(self.ribbon)
        self._figures: list[tuple[QLabel, QLabel, QLabel]] = []
        self._grid = QGridLayout()
        self._shown_answer = ""
        self.parts = (self._name_row(settings), self._answer_row(), self.ribbon, self._figures_block())

    def follow(self, trace: Trace) -> None:
        """Update ribbon and shares, which grow with every token."""
        self.segments.follow(trace)
        for author, widget in self.written.items():
            kept = trace.totals[author].kept
            text = f"{SIGN[author]} {kept:,} · {kept / trace.tokens:.0%}" if kept else ""
            if text != widget.text():
                widget.setText(text)
                widget.setVisible(bool(text))
                widget.setAccessibleName(f"{kept:,} tokens by the {author.value} model")

    def show_answer(self, answer: str, is_boxed: bool) -> None:
        """Show the final answer, as a formula if it was boxed."""
        self._shown_answer = f"\\(\\boxed{{{answer}}}\\)" if answer and is_boxed else answer
        self._typesetter.prepare(self._shown_answer, self.answer.formula_size, self._set_answer, self.answer)

    def show_state(self, text: str, failed: bool) -> None:
        """Show the state of the answer, or how it ended."""
        if text == self.state.text():
            return
        self.state.setText(text)
        self.state.setVisible(bool(text))
        set_role(self.state, Role.DANGER if failed else Role.MUTED)

    def show_standing(self, text: str) -> None:
        if text != self.standing.text():
            self.standing.setText(text)
            self.standing.setAccessibleName(f"{self.title}: {text}")
            roles = {"✓": Role.SUCCESS, "✗": Role.DANGER}
            set_role(self.standing, roles.get(text[:1], Role.HEADING))

    def show_figures(self, figures: list[Figure]) -> None:
        while len(self._figures) < len(figures):
            self._add_figure()
        for index, (name, value, difference) in enumerate(self._figures):
            figure = figures[index] if index < len(figures) else Figure("", "")
            for widget, words in ((name, figure.name), (value, figure.value), (difference, figure.difference)):
                if widget.text() != words:
                    widget.setText(words)
            value.setAccessibleName(f"{figure.name}: {figure.value} {figure.difference}".strip())

    def _set_answer(self) -> None:
        """Fit the width to the answer, so that the verdict is beside it."""
        self.answer.set_markdown(self._shown_answer)
        self.answer.fit_width(WIDEST_ANSWER)
        self.answer.setVisible(bool(self._shown_answer))

    def _name_row(self, settings: RunSettings) -> QWidget:
        row, inside = _row()
        needs = POLICIES.of(settings.policy).needs
        for author, needed in ((Author.SMALL, needs.small), (Author.LARGE, needs.large)):
            if needed:
                inside.addWidget(label(SIGN[author], Role.SMALL if author is Author.SMALL else Role.LARGE))
        name = label(self.title, Role.HEADING, wrap=True)
        inside.addWidget(name, 1)
        inside.addWidget(label(f"seed {settings.seed}", Role.MUTED))
        return row

    def _answer_row(self) -> QWidget:
        row, inside = _row()
        row.setMinimumHeight(LEAST_ANSWER)
        self.answer.hide()
        inside.addWidget(self.answer)
        self.standing.setWordWrap(True)
        inside.addWidget(self.standing, 1)
        return row

    def _figures_block(self) -> QWidget:
        block = QWidget()
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(8)
        self._grid.setVerticalSpacing(3)
        for side in range(FIGURES_IN_A_ROW):
            self._grid.setColumnStretch(4 * side + 3, 1)
        shares, inside = _row()
        shares.setMinimumHeight(shares.fontMetrics().height())
        for widget in self.written.values():
            widget.hide()
            inside.addWidget(widget)
        inside.addStretch(1)
        self._grid.addWidget(shares, 0, 0, 1, 4 * FIGURES_IN_A_ROW)
        self._grid.addWidget(self.state, 3, 0, 1, 4 * FIGURES_IN_A_ROW)
        block.setLayout(self._grid)
        return block

    def _add_figure(self) -> None:
        place = len(self._figures)
        row, column = 1 + place // FIGURES_IN_A_ROW, 4 * (place % FIGURES_IN_A_ROW)
        made = (label("", Role.MUTED), label(), label("", Role.HEADING))
        for offset, widget in enumerate(made):
            self._grid.addWidget(widget, row, column + offset)
        self._figures.append(made)


def _row() -> tuple[QWidget, QHBoxLayout]:
    row = QWidget()
    inside = hbox(margins=0, spacing=7)
    row.setLayout(inside)
    return row, inside
