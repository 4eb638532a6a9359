"""An answer in the conversation: the pane that shows it, its scoreboard, what one may do with it, and its editor."""

from __future__ import annotations

from functools import partial
from typing import Protocol

from PySide6.QtCore import QEvent, QObject, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QFrame, QPlainTextEdit, QPushButton, QWidget

from baton_reasoning.app.chat.remedies import Remedy, remedies
from baton_reasoning.app.chat.scoreboards import Board, ScoreboardView, run_alone
from baton_reasoning.app.document.answer_pane import AnswerActions, AnswerPane
from baton_reasoning.app.document.row_writer import utf16_length
from baton_reasoning.app.document.steps_view import StepsView, left_margin
from baton_reasoning.app.document.typeset import Typesetter
from baton_reasoning.app.inspector.answer_review import AnswerReview
from baton_reasoning.app.inspector.token_card import TokenView
from baton_reasoning.app.session.actions import WindowActions
from baton_reasoning.app.session.chat_session import ChatSession
from baton_reasoning.app.session.reviews import answer_of
from baton_reasoning.app.toolkit.controls import ElidedLabel, IconButton, button, key_text, label, with_key
from baton_reasoning.app.toolkit.copying import copy_text
from baton_reasoning.app.toolkit.layout import FlowLayout, hbox, holder, vbox
from baton_reasoning.app.toolkit.theme import Role, set_role
from baton_reasoning.core.conversation import Exchange
from baton_reasoning.core.demo_pair.task import expected_answer
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.grading.verdict import Outcome
from baton_reasoning.core.thinking.events import Finish
from baton_reasoning.core.thinking.trace import Piece
from baton_reasoning.core.words.plain_text import answer_text
from baton_reasoning.core.words.speed import did_not_pay, time_saved

MOST_LINES = 12
EDGES = 20
"""Pixels of the field above and below its lines: padding, border and the document's margin."""
REWRITTEN = "What follows is written again."


class StepEditor(QFrame):
    """A field over a step. Ctrl+Enter goes on from its text, Esc leaves the step as it is."""

    accepted = Signal(str)
    cancelled = Signal()

    def __init__(self, piece: Piece, parent: QWidget) -> None:
        super().__init__(parent)
        self.piece = piece
        set_role(self, Role.FIELD)
        self.edit = QPlainTextEdit(piece.text)
        self.edit.setAccessibleName("Text of the step")
        self.edit.setAccessibleDescription(f"{REWRITTEN} {key_text('Ctrl+Return')} goes on, Esc cancels.")
        self.edit.installEventFilter(self)
        cancel = button("Cancel", self.cancelled.emit, Role.FLAT, "Leave the step as it is (Esc)", "Cancel editing")
        go_on = button("Go on from here", self._accept, Role.PRIMARY, key_text("Ctrl+Return"))
        row = hbox((ElidedLabel(REWRITTEN, Role.MUTED), 1), cancel, go_on, margins=0)
        self._column = vbox((self.edit, 1), row, margins=(8, 8, 8, 6), spacing=6)
        self.setLayout(self._column)

    def begin(self) -> None:
        """Show it, with the cursor at the end of what is written."""
        self.show()
        self.raise_()
        cursor = self.edit.textCursor()
        cursor.setPosition(utf16_length(self.edit.toPlainText().rstrip()))
        self.edit.setTextCursor(cursor)
        self.edit.setFocus()

    def height_for(self, width: int) -> int:
        """Return the pixels that show the whole text, or its first lines."""
        self.resize(width, self.height())
        self._column.activate()
        text = self.edit.toPlainText()
        breaks = text[len(text.rstrip()) :].count("\n")  # that end the step
        lines = min(max(1, round(self.edit.document().size().height()) - breaks), MOST_LINES)
        scrolls = lines == MOST_LINES
        policy = Qt.ScrollBarPolicy.ScrollBarAsNeeded if scrolls else Qt.ScrollBarPolicy.ScrollBarAlwaysOff
        self.edit.setVerticalScrollBarPolicy(policy)
        around = self.sizeHint().height() - self.edit.sizeHint().height()
        return around + lines * self.edit.fontMetrics().lineSpacing() + EDGES

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Take the keys that are shortcuts of the window."""
        if isinstance(event, QKeyEvent) and event.type() in (QEvent.Type.ShortcutOverride, QEvent.Type.KeyPress):
            is_return = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
            goes_on = is_return and bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
            if goes_on or event.key() == Qt.Key.Key_Escape:
                event.accept()
                if event.type() is QEvent.Type.KeyPress:
                    self._accept() if goes_on else self.cancelled.emit()
                return True
        return super().eventFilter(watched, event)

    def _accept(self) -> None:
        raw = self.edit.document().toRawText()  # the plain text has a blank in place of each no-break space
        self.accepted.emit(raw.replace("\u2029", "\n"))


class ChatActions(AnswerActions, Protocol):
    """What a person does with the exchanges of a conversation, beyond what its session does."""

    @property
    def window_actions(self) -> WindowActions:
        """What a page asks of its window."""

    def compare_answer(self, exchange: Exchange) -> None:
        """Other policies are to be compared with this answer."""

    def show_attempts(self, exchange: Exchange) -> None:
        """The attempts at this place are to stand side by side."""

    def edit_problem(self, exchange: Exchange) -> None:
        """The problem is to be edited and asked again."""

    def take_step(self, exchange: Exchange, piece: Piece, text: str) -> None:
        """This text is to stand in the place of a piece, and the models go on from it."""


class AnswerView(AnswerPane):
    """Shows nothing until `follow` is called with what is known of its run."""

    def __init__(self, exchange: Exchange, session: ChatSession, typesetter: Typesetter, actions: ChatActions) -> None:
        preferences = session.preferences
        folds = preferences.value.window.folds_reasoning
        super().__init__(exchange, typesetter, actions, folds=folds)
        self.setAttribute(Qt.WidgetAttribute.WA_StaticContents)
        self._session, self._chat = session, actions
        if exchange.trace.pieces and not exchange.trace.ended:
            self._folded = False  # a fork: how it goes on is what there is to see
        self.folded_by_hand.connect(lambda folded: preferences.change_window(folds_reasoning=folded))
        self.steps.grown.connect(self._place_editor)
        self.editor: StepEditor | None = None
        """Over the step that a person edits."""
        self.scoreboard = ScoreboardView(partial(run_alone, exchange, session), session.stop)
        self.time = label("", Role.MUTED, wrap=True)
        """How long it took, and the large model alone would have taken; if nothing was gained, what to change."""
        self.below_answer.addWidget(self.scoreboard)
        self.below_answer.addWidget(self.time)
        self.review = AnswerReview(self, session.reviews, answer_of, partial(session.fork, author=Author.LARGE))
        self.token_view = TokenView(self, session.tokens, session.edit)
        self._continue = button("Continue", partial(session.go_on, exchange), tip="Continue this answer")
        again = partial(session.ask_again, exchange)
        self._icons = [
            IconButton("copy", with_key("Copy the answer", "Ctrl+Shift+C"), self.copy),
            IconButton("again", with_key("Answer again, with a new seed", "Ctrl+R"), again),
            IconButton("compare", with_key("Compare…", "Ctrl+D"), partial(actions.compare_answer, exchange)),
            IconButton("download", with_key("Save the conversation", "Ctrl+S"), actions.window_actions.export),
        ]
        set_role(self._icons[0], Role.EDGE)
        self._remedies: list[Remedy] = []
        self._remedy_buttons: list[QPushButton] = []
        self._foot = FlowLayout(2)
        for press in (*self._icons, self.review.examine, self._continue):
            self._foot.addWidget(press)
        self.end_parts.addWidget(holder(self._foot))

    def follow(self, live: bool = False, waiting: str = "") -> None:
        super().follow(live, waiting)
        self.review.follow()
        trace = self.exchange.trace
        self._offer(remedies(self.exchange, self._session, self._chat.window_actions) if self.is_over else [])
        ended_well = trace.finish in (Finish.END_OF_TEXT, Finish.MAX_TOKENS)
        self._continue.setVisible(self.is_dropped or (self.is_over and not ended_well))
        by_both = trace.finish is Finish.END_OF_TEXT and trace.totals[Author.LARGE].kept
        cost = self._session.models.costs.of(trace.started.large) if by_both and trace.started else None
        gained = (did_not_pay(trace, cost) or time_saved(trace, cost)) if by_both else ""
        self.time.setText(gained)
        self.time.setVisible(bool(gained) and self.scoreboard.isHidden())
        for press in self._icons:
            press.setVisible(self.is_over)

    def show_board(self, board: Board) -> None:
        """Show the scoreboard, in place of the time that the large model alone would have taken."""
        self.scoreboard.show_board(board)
        self.time.hide()
        own = next((row.score for row in board.rows if row.score and row.score.answer == self.result.text()), None)
        known = f"the computed answer, {expected_answer(self.exchange.problem)}"
        self.show_verdict(own.outcome if own else Outcome.UNSCORED, known=known if own else "")

    def copy(self) -> None:
        """Copy the answer, or the reasoning if there is none."""
        copy_text(answer_text(self.exchange.trace), self._icons[0])

    def edit(self, piece: Piece) -> None:
        """Let a person edit a piece where it stands."""
        self.close_editor()
        if self.folded and not piece.in_answer:
            self.keep_open()
        self.editor = StepEditor(piece, self)
        self.editor.hide()
        self.editor.accepted.connect(self._take_edit)
        self.editor.cancelled.connect(self.close_editor)
        self.editor.edit.textChanged.connect(self._place_editor)
        self.choose(piece)
        self._place_editor()

    def close_editor(self) -> None:
        """Leave the text as it is."""
        if self.editor:
            self._edited_text.setFocus()  # or Qt would pass the focus on, and scroll there
            self.editor.hide()
            self.editor.deleteLater()
        self.editor = None

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place_editor()

    # -----------------------------------------------------------------------------------------------------------------

    @property
    def _edited_text(self) -> StepsView:
        return self.answer if self.editor and self.editor.piece.in_answer else self.steps

    def _take_edit(self, text: str) -> None:
        if self.editor and text != self.editor.piece.text:
            self._chat.take_step(self.exchange, self.editor.piece, text)
        else:
            self.close_editor()

    def _place_editor(self) -> None:
        """Lay the editor over its step, once that is in the text: a long answer comes in portions."""
        text = self._edited_text
        if not (self.editor and (place := text.place_of(self.editor.piece))):
            return
        if is_new := self.editor.isHidden():
            self.editor.edit.setFont(text.font_of(self.editor.piece))
        margin = left_margin() - 12
        left, top = text.x() + margin, text.y() + round(place.top())
        width = text.width() - margin
        height = self.editor.height_for(width)
        self.editor.setGeometry(left, max(0, min(top, self.height() - height)), width, height)
        if is_new:
            self.editor.begin()
            QTimer.singleShot(0, self, self._reveal_editor)  # once what was unfolded has its room

    def _reveal_editor(self) -> None:
        """Scroll to the editor if it is not in view."""
        if self.editor and not self.visibleRegion().boundingRect().contains(self.editor.geometry()):
            self.revealed.emit(QRectF(self.editor.geometry()))

    def _offer(self, offered: list[Remedy]) -> None:
        """Add buttons that remedy how the run ended, beside the one that continues it."""
        if [each.label for each in offered] == [each.label for each in self._remedies]:
            return
        self._remedies = offered
        for press in self._remedy_buttons:
            self._foot.removeWidget(press)
            press.hide()
            press.deleteLater()
        self._remedy_buttons = [button(each.label, each.act, tip=each.tip) for each in offered]
        for press in self._remedy_buttons:
            self._foot.addWidget(press)
