"""One answer on the screen: its result first, then its text and how it ended, then the reasoning step by step.

Chat, comparisons and batches all show answers in this pane. It keeps no state of the run: `follow` brings it up to the
trace, whatever has happened there.
"""

from __future__ import annotations

from typing import Protocol

from PySide6.QtCore import QPoint, QRectF, Signal
from PySide6.QtWidgets import QLayout, QVBoxLayout, QWidget

from baton_reasoning.app.document.result_label import ResultLabel
from baton_reasoning.app.document.steps_view import StepsView
from baton_reasoning.app.document.typeset import Typesetter
from baton_reasoning.app.toolkit.controls import ElidedLabel, button, label, plain_tip
from baton_reasoning.app.toolkit.layout import Spacer, hbox, holder, vbox
from baton_reasoning.app.toolkit.ribbon import Ribbon
from baton_reasoning.app.toolkit.theme import Role, set_role
from baton_reasoning.core.conversation import Exchange
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.grading.verdict import Outcome
from baton_reasoning.core.thinking.events import Finish
from baton_reasoning.core.thinking.trace import Piece, Trace, thinking_pieces
from baton_reasoning.core.words.authors import SIGN, own_names
from baton_reasoning.core.words.labels import last_text, piece_text, run_in_brief
from baton_reasoning.core.words.step_rows import TracePart

NOT_BEGUN = "Stopped before it began."
LONGEST_RESULT = 40
"""Characters of a result that stands in large type; a longer one is read in the text."""
CHARACTERS_A_TOKEN = 4
"""By which an inserted text, which has no tokens, is given a width on the ribbon."""
VERDICTS = {
    Outcome.CORRECT: ("✓ right", Role.SUCCESS),
    Outcome.WRONG: ("✗ wrong", Role.DANGER),
    Outcome.UNSCORED: ("", Role.MUTED),
}


class AnswerActions(Protocol):
    """What a person does with an answer. Each page that shows answers says what follows."""

    def choose(self, exchange: Exchange, piece: Piece) -> None:
        """A step was chosen, in the text or in the ribbon."""

    def open_menu(self, pane: AnswerPane, piece: Piece, where: QPoint) -> None:
        """The menu of a step of this pane is wanted there on the screen."""


class AnswerPane(QWidget):
    """The answer of an exchange. A page adds what is its own in `below_answer`, `below_ribbon` and `end_parts`."""

    revealed = Signal(QRectF)
    """Scroll there: a place in this widget."""
    folded_by_hand = Signal(bool)
    """A person has folded the reasoning, or opened it."""

    def __init__(
        self, exchange: Exchange, typesetter: Typesetter, actions: AnswerActions, *, folds: bool = False
    ) -> None:
        """`folds`: whether the reasoning is folded once there is an answer."""
        super().__init__()
        self.exchange, self._folds = exchange, folds
        self._folded: bool | None = None
        """What the person chose for this answer; None for `folds`."""
        self._actions = actions
        self.is_live, self._waiting = False, ""
        """Whether it is still being written; and what it waits for."""
        self._builds_folded = False
        self._read = -1
        """Characters of the trace in which the result was looked for."""
        self.result, self.verdict = ResultLabel(typesetter), label("", Role.HEADING)
        self.answer = StepsView(typesetter, TracePart.ANSWER)
        self.below_answer, self.below_ribbon = QVBoxLayout(), QVBoxLayout()
        """Room for what a page adds: a scoreboard, a curve of values."""
        self.heading, self.brief = label("", Role.HEADING), ElidedLabel("", Role.MUTED)
        self.share = ElidedLabel("", Role.LARGE)
        self._fold = button("", self.toggle_fold, Role.FLAT)
        self.ribbon = Ribbon("Who wrote it", self._text_of)
        self.steps = StepsView(typesetter)
        self.ending = label("", Role.MUTED, wrap=True)
        self.end_parts = vbox(self.ending, margins=0, spacing=6)
        """How it ended, and what a page adds to that: below the answer or, while there is none, below the steps."""
        self._end = holder(self.end_parts)
        self.ribbon.chosen.connect(lambda index: self.pick(self.exchange.trace.pieces[index]))
        for text in (self.answer, self.steps):
            text.piece_clicked.connect(lambda piece: self.pick(piece, reveal=False))
            text.menu_wanted.connect(lambda piece, where: actions.open_menu(self, piece, where))
        self._lay_out()

    def show_exchange(self, exchange: Exchange) -> None:
        """Show another answer, which has been written."""
        self.exchange, self._folded, self._read = exchange, None, -1
        self.show_verdict(Outcome.UNSCORED)
        self.steps.select(None)
        self.follow()

    def follow(self, live: bool = False, waiting: str = "") -> None:
        """Update from the trace. `live`: it is still being written; `waiting`: what it waits for before it begins."""
        self.is_live, self._waiting = live, waiting
        trace = self.exchange.trace
        thinking = thinking_pieces(trace)
        self.answer.sync(trace, live)
        self.answer.setVisible(bool(self.answer.pieces))
        # Folded steps are not even built: an old conversation opens at once, however long its reasoning.
        if not self.folded or self._builds_folded:
            self.steps.sync(trace, live and trace.closed is None)
        self.steps.setVisible(bool(thinking) and not self.folded)
        self.ribbon.set_segments([(piece.author, _width(piece)) for piece in trace.pieces])
        self._show_result(trace)
        self._describe(trace, bool(thinking))
        place = self.below_answer if self.shows_answer else self._below_steps
        if place.indexOf(self._end) < 0:
            place.addWidget(self._end)

    @property
    def shows_answer(self) -> bool:
        """Whether there is an answer already, above the reasoning."""
        return not self.answer.isHidden()

    @property
    def folded(self) -> bool:
        """Whether the steps are hidden. Only reasoning is ever folded, and only when there is an answer."""
        trace = self.exchange.trace
        if not trace.thinks or self.is_live or self._folded is not None:
            return bool(self._folded)
        return self._folds and trace.closed is not None and self.shows_answer

    @property
    def is_over(self) -> bool:
        """Whether the answer has ended or was interrupted."""
        return bool(self.exchange.trace.started) and self.exchange.is_read and not self.is_live and not self._waiting

    @property
    def is_dropped(self) -> bool:
        """Whether it was stopped before it began."""
        return self.exchange.is_read and not (self.exchange.trace.started or self.is_live or self._waiting)

    def toggle_fold(self) -> None:
        self._folded = not self.folded
        self.follow(self.is_live, self._waiting)
        self.folded_by_hand.emit(self._folded)

    def keep_open(self) -> None:
        """Keep the steps in view when the answer arrives."""
        self._folded = False
        self.follow(self.is_live, self._waiting)

    def build_folded(self) -> None:
        """Put the steps into their text although they are folded, so that they can be searched."""
        if not self._builds_folded:
            self._builds_folded = True
            self.steps.resize(self.width(), self.steps.height())  # the text is wrapped once, not again when it is shown
            self.follow(self.is_live, self._waiting)

    def show_verdict(self, outcome: Outcome, text: str = "", answer: str = "", known: str = "") -> None:
        """Say beside the result whether it is right. `text`: the verdict in other words than “✓ right” and “✗ wrong”.

        `answer`: the answer that was graded, which becomes the result: the grader also finds it in a conclusion.
        `known`: the source of the verdict, such as “the expected answer, 7”.
        """
        if 0 < len(answer) <= LONGEST_RESULT:
            self.result.setText(answer)
            self.result.show()
        words, role = VERDICTS[outcome]
        self.verdict.setText(text or words)
        set_role(self.verdict, role)
        self.verdict.setVisible(bool(self.verdict.text()))
        by = f"Judged by {known}" if known else ""
        self.verdict.setToolTip(plain_tip(by))
        self.verdict.setAccessibleName(". ".join(filter(None, (self.verdict.text(), by))))

    def choose(self, piece: Piece | None, reveal: bool = False) -> None:
        """Mark a piece in text and ribbon; `reveal` opens the reasoning and scrolls there."""
        self.steps.select(piece)
        self.answer.select(piece)
        places = (index for index, each in enumerate(self.exchange.trace.pieces) if each is piece)
        self.ribbon.select(next(places, -1))
        if piece and not piece.in_answer and not self.folded:
            self._folded = False  # what a person looks at is not folded when the answer arrives
        if piece is None or not reveal:
            return
        if self.folded and not piece.in_answer:
            self.keep_open()
        text = self.answer if piece.in_answer else self.steps
        if (place := text.place_of(piece)) is not None:
            self.revealed.emit(place.translated(text.pos()))

    def pick(self, piece: Piece, reveal: bool = True) -> None:
        """Choose a piece for the person, as a click on the ribbon does; in the text it need not be revealed."""
        self.choose(piece, reveal)
        self._actions.choose(self.exchange, piece)

    # -----------------------------------------------------------------------------------------------------------------

    def _show_result(self, trace: Trace) -> None:
        """Show the result in large type, once it is there and short enough."""
        is_reasoning = trace.thinks and trace.closed is None
        if self.is_live or is_reasoning or not self.exchange.is_read:
            self.result.hide()
            return
        if trace.length != self._read:
            from baton_reasoning.core.grading.extract import marked_answer  # would delay the start of a window

            self._read = trace.length
            found = marked_answer(trace.answer or trace.text) or ""
            self.result.setText(found if len(found) <= LONGEST_RESULT else "")
        self.result.setVisible(bool(self.result.text()))

    def _describe(self, trace: Trace, has_steps: bool) -> None:
        has_begun = bool(trace.started)
        self.ribbon.setVisible(has_begun)
        self.heading.setVisible(has_begun)
        self.brief.setVisible(has_begun)
        self.heading.setText("Reasoning" if trace.thinks else "Answer")
        self.brief.setText(run_in_brief(trace, self.is_live))
        by_large = trace.totals[Author.LARGE].kept
        self.share.setText(f"{SIGN[Author.LARGE]} {trace.large_share:.0%}" if by_large else "")
        self.share.setVisible(bool(by_large))
        self.share.setToolTip(f"The large model wrote {trace.large_share:.0%} of the tokens" if by_large else "")
        self._fold.setVisible(has_steps and (trace.thinks or self.folded))
        self._fold.setText("▸ show" if self.folded else "▾ hide")
        self._fold.setAccessibleName("Show the steps" if self.folded else "Hide the steps")
        words = self._waiting or last_text(trace, self.is_live or not self.exchange.is_read)
        self.ending.setText(NOT_BEGUN if self.is_dropped else words)
        self.ending.setVisible(bool(self.ending.text()))
        set_role(self.ending, Role.DANGER if trace.finish is Finish.FAILED else Role.MUTED)

    def _lay_out(self) -> None:
        self.verdict.hide()
        self._below_steps = vbox(self._end, margins=0)
        first = hbox(self.result, self.verdict, Spacer(0), spacing=16)
        head = hbox(self.heading, self.brief, self.share, Spacer(0), self._fold, spacing=8)
        reasoning = self.ribbon, self.below_ribbon, self.steps, self._below_steps
        column = vbox(first, self.answer, self.below_answer, 6, head, *reasoning, margins=0, spacing=8)
        # Growing steps get their room at once. Else they lie over what is below until the page is laid out.
        column.setSizeConstraint(QLayout.SizeConstraint.SetMinimumSize)
        self.setLayout(column)

    def _text_of(self, index: int) -> str:
        trace = self.exchange.trace
        return piece_text(trace.pieces[index], name=own_names(trace)(trace.pieces[index]))


def _width(piece: Piece) -> int:
    """Return how wide a piece is on the ribbon: its tokens; an inserted text has none, and is drawn as if it had."""
    return len(piece.tokens) or max(1, piece.length // CHARACTERS_A_TOKEN)
