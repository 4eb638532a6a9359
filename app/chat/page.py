"""The chat page: conversations at the left, problems and answers in the middle, the inspector at the right."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, QRect, QSize, Qt
from PySide6.QtWidgets import QMenu, QSplitter, QStackedWidget, QWidget

from baton_reasoning.app.chat.answer_view import AnswerView
from baton_reasoning.app.chat.composer import ASK, ASK_SAME_COLUMNS, Composer
from baton_reasoning.app.chat.conversation_view import ConversationView
from baton_reasoning.app.chat.find import FindBar
from baton_reasoning.app.chat.scoreboards import board_of, measure_small
from baton_reasoning.app.chat.sidebar import Sidebar
from baton_reasoning.app.chat.welcome import Welcome
from baton_reasoning.app.document.answer_pane import AnswerPane
from baton_reasoning.app.document.steps_view import column_width
from baton_reasoning.app.document.typeset import Typesetter
from baton_reasoning.app.inspector.panel import Inspector
from baton_reasoning.app.session.actions import WindowActions
from baton_reasoning.app.session.chat_session import ChatSession
from baton_reasoning.app.session.run_queue import QueuedRun
from baton_reasoning.app.toolkit.controls import announce, key_text, scrolling
from baton_reasoning.app.toolkit.copying import copy_text
from baton_reasoning.app.toolkit.layout import STRETCH, hbox, holder, vbox
from baton_reasoning.app.toolkit.theme import current_theme
from baton_reasoning.core.conversation import Conversation, Exchange
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import BatonError, NotApplicable
from baton_reasoning.core.thinking.events import Finish
from baton_reasoning.core.thinking.trace import Piece, Trace
from baton_reasoning.core.words.authors import WHO
from baton_reasoning.core.words.plain_text import step_text, whole_text

if TYPE_CHECKING:
    from baton_reasoning.app.compare.controller import ComparisonController
    from baton_reasoning.app.compare.view import CompareView

NARROW = 1120
"""Pixels of a window below which the list of conversations makes room for an open inspector."""


class ChatPage(QSplitter):
    """Implements ChatActions: what a person does with an answer."""

    def __init__(self, session: ChatSession, actions: WindowActions) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self._session = session
        self._preferences = session.preferences
        self.window_actions = actions
        self._typesetter = Typesetter(self)
        self._shown: Conversation | CompareView | None = None
        self._written: Exchange | None = None
        """The exchange in view that is being written."""
        self.sidebar = Sidebar(session, actions, self.new)
        self.conversation = ConversationView(session, self._typesetter, self)
        self.find_bar = FindBar(self.conversation, self.close_find)
        self.composer = Composer(session, self.send, self.compare)
        self.welcome = Welcome(self._solve)
        self.inspector = Inspector(session, self._mark)
        self._middle = QStackedWidget()
        self._welcome_area = scrolling(self.welcome)
        self._middle.addWidget(self._welcome_area)
        self._middle.addWidget(self.conversation)
        self.setChildrenCollapsible(False)
        self.setHandleWidth(1)
        for widget in (self.sidebar, self._centre(), self.inspector):
            self.addWidget(widget)
        self.setStretchFactor(1, 1)
        self._connect()
        self._show_preferences()
        self._show_path()
        self._show_activity()

    @cached_property
    def comparison(self) -> ComparisonController:
        """The comparisons of this page, created on first use to keep start-up fast."""
        from baton_reasoning.app.compare.controller import ComparisonController

        return ComparisonController(self._session, self._typesetter, self, self._show_beside, self)

    @property
    def is_comparing(self) -> bool:
        """Whether a comparison is shown."""
        return self._columns is not None

    @property
    def _columns(self) -> CompareView | None:
        """The comparison that is shown; the controller is not made to look for one."""
        return self.comparison.view if "comparison" in self.__dict__ else None

    @property
    def is_narrow(self) -> bool:
        return self.window().width() < NARROW

    def make_room(self) -> None:
        """Let the list of conversations go beside columns, and while a narrow window shows the inspector."""
        is_tight = self.is_comparing or (self.is_narrow and not self.inspector.isHidden())
        self.sidebar.setVisible(self._preferences.value.window.sidebar and not is_tight)

    def focus_first(self) -> None:
        """Focus the button that starts the demo while it is offered, else the composer."""
        (self.composer.edit if self.welcome.demo.isHidden() else self.welcome.solve).setFocus()

    def new(self) -> None:
        self._session.new()
        self.composer.edit.setFocus()

    def close_find(self) -> None:
        self.find_bar.leave()
        self.composer.edit.setFocus()

    def escape(self) -> bool:
        """Close the find bar or the card of a token, else cancel editing, else empty the composer of a recalled
        problem, else stop what is written here, else leave the comparison. Returns False if there was none of these."""
        if not self.find_bar.isHidden():
            self.close_find()
        elif cards := [each.token_view for each in self.conversation.answers() if each.token_view.card]:
            cards[0].close_card()
        elif self.composer.edited:
            self.composer.end_edit()
        elif self.composer.edit.is_recalling:
            self.composer.edit.clear()
        elif self._session.conversation in self._session.runs.conversations:
            self._session.stop()
        elif self.is_comparing:
            self.comparison.leave()
        else:
            return False
        return True

    def copy_step(self) -> None:
        """Copy the step shown in the inspector."""
        if self.inspector.piece:
            self.inspector.step.copy()

    def copy_answer(self, exchange: Exchange) -> None:
        """Copy the answer, or the reasoning if there is none."""
        if answer := self.conversation.answer_of(exchange):
            answer.copy()

    def edit_step(self) -> None:
        """Edit the step shown in the inspector where it stands in the conversation."""
        exchange, piece = self.inspector.exchange, self.inspector.piece
        if exchange is None or piece is None or piece.in_answer or self.is_comparing:
            words = (
                "No step of the reasoning is chosen.",
                f"Choose one in the conversation, by mouse or with {key_text('Ctrl+Down')}.",
            )
            self._session.failed.emit(NotApplicable(*words))
        elif self._session.is_ready_or_says_why() and (answer := self.conversation.answer_of(exchange)):
            answer.edit(piece)

    def step_through(self, by: int) -> None:
        """Select the next or previous piece of the inspected answer."""
        exchange = self.inspector.exchange or self._session.current
        if exchange is None or not exchange.trace.pieces:
            return
        pieces = exchange.trace.pieces
        outside = -1 if by > 0 else len(pieces)
        at = next((i for i, piece in enumerate(pieces) if piece is self.inspector.piece), outside)
        self.choose(exchange, pieces[min(max(at + by, 0), len(pieces) - 1)], reveal=True)

    def toggle_tokens(self) -> None:
        """Show how sure each token was, or no longer."""
        self._session.tokens.show_tokens(not self._session.tokens.are_shown)

    def compare(self) -> None:
        """Compare policies on the problem in the composer, else on the last answered one or that of the start page."""
        answer = self.comparison.view.exchanges[0] if self.comparison.view else self._session.conversation.leaf
        if problem := self.composer.edit.toPlainText().strip():
            self.comparison.choose(problem)
        elif answer:
            self.compare_answer(answer)
        elif self.welcome.problem:
            self.comparison.choose(self.welcome.problem)
        else:
            self._session.failed.emit(
                NotApplicable("There is no problem yet to compare policies on.", "Write one first.")
            )

    def send(self, problem: str, edited: Exchange | None) -> None:
        """Ask a problem: of the same columns, in the place of an edited one, or next."""
        if self.is_comparing:
            self.comparison.ask(problem)
        elif edited:
            self._session.ask_again(edited, problem)
        else:
            self._session.ask(problem)

    # -----------------------------------------------------------------------------------------------------------------

    def _centre(self) -> QWidget:
        self._fit_composer()
        self.foot = holder(hbox(STRETCH, (self.composer, 1000), STRETCH, margins=(26, 8, 26, 16)))
        """The composer and what is around it."""
        parts = ((self._middle, 1), self.find_bar, self.foot)
        centre = holder(vbox(*parts, margins=0, spacing=0))
        centre.setMinimumWidth(420)
        return centre

    def _fit_composer(self) -> None:
        """Make it as wide as the conversation."""
        self.composer.setMaximumWidth(column_width())

    def _connect(self) -> None:
        session = self._session
        session.path_changed.connect(self._show_path)
        session.progressed.connect(self._show_progress)
        session.activity_changed.connect(self._show_activity)
        session.runs.ended.connect(self._announce)
        session.models.changed.connect(self._show_scores)
        self._preferences.changed.connect(self._show_preferences)
        current_theme().changed.connect(self._fit_composer)

    # -----------------------------------------------------------------------------------------------------------------

    def _solve(self, problem: str) -> None:
        """Ask a problem of the start page; the steps of the demo stay open: who wrote what is what there is to see."""
        self._session.ask(problem)
        current = self._session.current
        if self._preferences.value.models.is_demo and current and (answer := self.conversation.answer_of(current)):
            answer.keep_open()

    def _mark(self, exchange: Exchange, piece: Piece, reveal: bool = True) -> None:
        """Mark a step where it is shown; `reveal` scrolls there."""
        self.conversation.choose(exchange, piece, reveal)
        if self._columns:
            self._columns.choose(exchange, piece, reveal)

    def _show_beside(self, view: CompareView | None) -> None:
        """Show a comparison instead of the conversation; None: back to the conversation."""
        if view is None:
            self._show_path()
            return
        self._middle.addWidget(view)
        self._middle.setCurrentWidget(view)
        self.make_room()
        self.composer.forget(view.exchanges[0].problem)
        self.composer.edit.setPlaceholderText(ASK_SAME_COLUMNS)
        self._inspect(view, view.exchanges[0])
        self.find_bar.look_at(view)

    def _show_path(self) -> None:
        self.composer.show_unsent()
        if self.is_comparing:
            self.comparison.close()
        self.make_room()
        self.composer.edit.setPlaceholderText(ASK)
        conversation = self._session.conversation
        focused = self.focusWidget()  # also while another page is in view
        goes = self.welcome, self.inspector.step
        if conversation.leaf and focused and any(each.isAncestorOf(focused) for each in goes):
            self.composer.edit.setFocus()  # before its page goes, or Qt would focus what comes next
        self._middle.setCurrentWidget(self.conversation if conversation.leaf else self._welcome_area)
        self.conversation.show_path(conversation)
        self.find_bar.look_at(self.conversation)
        self._inspect(conversation, self._session.current)
        self._show_scores()
        if conversation.comparison:
            browses = self.sidebar.isVisible()
            self.comparison.show(conversation.comparison)
            self.sidebar.setVisible(browses)  # a person who goes from one conversation to the next keeps the list

    def _inspect(self, shown: Conversation | CompareView, exchange: Exchange | None) -> None:
        """Show an answer in the inspector, which closes where something else is shown and no step of it is chosen."""
        self.inspector.show_run(exchange)
        if not self.inspector.piece:
            for answer in self.conversation.answers():
                answer.choose(None)
            if shown is not self._shown:
                self.inspector.hide()
        self._shown = shown

    def _show_progress(self, exchange: Exchange) -> None:
        if not self.is_comparing:  # it is brought up to date when the conversation is shown again
            self.conversation.refresh(exchange)
        if not self._session.runs.writes(exchange) or exchange not in self._session.conversation.path:
            self._show_scores()
        self.inspector.follow(exchange)
        self.composer.show_writer()

    def _announce(self, run: QueuedRun, error: BatonError | None) -> None:
        """Have the end of an answer read out, in view or not; errors are read out where they are shown."""
        if error is None:
            announce(self.conversation, end_in_words(run.conversation, run.exchange.trace))

    def _refresh_waiting(self) -> None:
        """Update the answers in view that wait, have just begun, or were dropped: that changes with other answers."""
        session = self._session
        for exchange in session.conversation.path:
            if not exchange.trace.started or session.runs.waits(exchange) or session.runs.writes(exchange):
                self.conversation.refresh(exchange)

    def _show_activity(self) -> None:
        self._refresh_waiting()
        self.conversation.show_attempts(self._session.conversation)
        current = self._session.current
        before, self._written = self._written, current if self._session.answering else None
        if self._written and self._written is not before:
            self.inspector.show_run(self._written)
        elif current:
            self.inspector.follow(current)  # whose answer has ended, perhaps without a last event
        self._show_scores()

    def _show_scores(self) -> None:
        """Update the scoreboards in view; for the last answer, the small model alone answers as well."""
        for answer in self.conversation.answers():
            if board := board_of(answer.exchange, self._session):
                answer.show_board(board)
        if self._session.current and not self.is_comparing:
            measure_small(self._session.current, self._session)

    def _show_preferences(self) -> None:
        settings = self._preferences.value
        self.welcome.offer(is_demo=settings.models.is_demo)
        self._show_scores()

    # What a person does with an exchange: ChatActions

    def choose(self, exchange: Exchange, piece: Piece, reveal: bool = False) -> None:
        """Mark a step, and show it in the inspector."""
        self._mark(exchange, piece, reveal)
        self.inspector.show()
        self.inspector.show_piece(exchange, piece)

    def compare_answer(self, exchange: Exchange) -> None:
        self.comparison.choose(exchange.problem, exchange)

    def show_attempts(self, exchange: Exchange) -> None:
        self.comparison.show_attempts(exchange)

    def edit_problem(self, exchange: Exchange) -> None:
        self.composer.begin_edit(exchange)

    def open_menu(self, pane: AnswerPane, piece: Piece, where: QPoint) -> None:
        session, exchange = self._session, pane.exchange
        other = Author.SMALL if piece.author is Author.LARGE else Author.LARGE
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        again = menu.addAction(
            f"Continue here with {WHO[other]}", lambda: session.fork(exchange, piece.position, other)
        )
        fork = menu.addAction("Fork here", lambda: session.fork(exchange, piece.position))
        again.setEnabled(session.ready)
        fork.setEnabled(session.ready)
        if isinstance(pane, AnswerView):
            edit = menu.addAction("Edit this step\tF4", lambda: pane.edit(piece))
            edit.setEnabled(session.ready)
        tokens = menu.addAction("Show tokens", self.toggle_tokens)
        tokens.setCheckable(True)
        tokens.setChecked(session.tokens.are_shown)
        menu.addSeparator()
        text = pane.answer if piece.in_answer else pane.steps
        if text.textCursor().hasSelection():
            menu.addAction("Copy the selection", text.copy)
        at = QRect(text.mapFromGlobal(where), QSize())
        trace = exchange.trace
        menu.addAction("Copy the step", lambda: copy_text(step_text(trace, piece), text, at))
        menu.addAction("Copy reasoning and answer", lambda: copy_text(whole_text(trace), text, at))
        menu.popup(where)

    def take_step(self, exchange: Exchange, piece: Piece, text: str) -> None:
        """Go on from the edited step; if that is not possible, the editor stays open."""
        if self._session.edit(exchange, piece.position, text):
            self.composer.edit.setFocus()


def end_in_words(conversation: Conversation, trace: Trace) -> str:
    """Say how an answer ended, and its boxed result, for a person who hears it."""
    from baton_reasoning.core.grading.extract import last_boxed  # would delay the start of a window

    ending = "has been stopped" if trace.finish in (None, Finish.STOPPED) else "is finished"
    answer = last_boxed(trace.answer)
    return f"The answer in “{conversation.name}” {ending}" + (f": {answer}." if answer else ".")
