"""The visible path of a conversation, from top to bottom: problems and answers."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QPoint, QRectF, Qt, QTimer
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QScrollArea, QSizePolicy, QVBoxLayout, QWidget
from shiboken6 import isValid

from baton_reasoning.app.chat.answer_view import AnswerView, ChatActions
from baton_reasoning.app.document.rich_text import RichText
from baton_reasoning.app.document.steps_view import column_width
from baton_reasoning.app.document.typeset import Typesetter
from baton_reasoning.app.session.chat_session import ChatSession
from baton_reasoning.app.toolkit.controls import IconButton, label, with_key
from baton_reasoning.app.toolkit.layout import STRETCH, hbox, holder, vbox
from baton_reasoning.app.toolkit.theme import Role, current_theme, set_role
from baton_reasoning.core.conversation import Conversation, Exchange
from baton_reasoning.core.thinking.trace import Piece

EDGE = 26
BELOW_HANDLE = 2
"""Pixels."""
NEAR = 48
"""Pixels from where the view would scroll by itself within which it does so."""


class ConversationView(QScrollArea):
    """Follows what is being written, and shows the result at the top when it is over.

    A person who scrolls away reads in peace: whatever comes in above, what is read stays where it is.
    """

    def __init__(self, session: ChatSession, typesetter: Typesetter, actions: ChatActions) -> None:
        super().__init__()
        self._session, self._typesetter, self._actions = session, typesetter, actions
        self._answers: dict[str, AnswerView] = {}
        self._bubbles: dict[str, Bubble] = {}
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        # Qt scrolls by copying pixels where nothing lies over them: the splitter's handle does, by so much.
        self.setViewportMargins(BELOW_HANDLE, 0, 0, 0)
        self.setAccessibleName("Conversation")
        self._content = QWidget()
        self._content.setAttribute(Qt.WidgetAttribute.WA_StaticContents)  # growing paints only what is new
        self._column = QVBoxLayout(self._content)
        self._column.setContentsMargins(EDGE, 18, EDGE, 18)
        self._column.setSpacing(16)
        self._column.addStretch()
        self.setWidget(self._content)
        self._width = 0
        self._follows = True
        self._moves = False
        """Whether the view scrolls by itself just now."""
        self._read: tuple[QWidget, int] | None = None
        """What a person reads who scrolled away: a part of the conversation, and its pixels above the view."""
        bar = self.verticalScrollBar()
        bar.valueChanged.connect(self._scrolled)
        bar.rangeChanged.connect(self._keep_place)
        current_theme().changed.connect(self._centre)

    def show_path(self, conversation: Conversation) -> None:
        """Show the exchanges of a path, and what is known of each; those shown already stay."""
        path = conversation.path
        wanted = {exchange.id for exchange in path}
        for id in [id for id in self._answers if id not in wanted]:
            for widget in (self._answers.pop(id), self._bubbles.pop(id)):
                self._column.removeWidget(widget)
                widget.hide()
                widget.deleteLater()
        for place, exchange in enumerate(path):
            if exchange.id not in self._answers:
                self._add(exchange, 2 * place)
            self.refresh(exchange)
        self.show_attempts(conversation)
        self.jump_to_latest()

    def show_attempts(self, conversation: Conversation) -> None:
        """Show which attempt of how many each problem in view has."""
        for exchange in conversation.path:
            siblings = conversation.siblings(exchange)
            if bubble := self._bubbles.get(exchange.id):
                bubble.show_place(siblings.index(exchange), len(siblings))
                bubble.fit(self._inner_width())

    def jump_to_latest(self) -> None:
        """Show the latest answer, and follow what is being written."""
        self._follows = True
        QTimer.singleShot(0, self, self._keep_place)

    def refresh(self, exchange: Exchange) -> None:
        """Update the answer if it is in view."""
        if answer := self._answers.get(exchange.id):
            live, was_live = self._session.runs.writes(exchange), answer.is_live
            if was_live and not live and not self._follows:
                answer.keep_open()  # else what is being read would go
            answer.follow(live, self._session.waiting_text(exchange))
            if live is not was_live:
                QTimer.singleShot(0, self, self._keep_place)  # its end may be as high as it was before

    def answer_of(self, exchange: Exchange) -> AnswerView | None:
        return self._answers.get(exchange.id)

    def answers(self) -> list[AnswerView]:
        return list(self._answers.values())

    def choose(self, exchange: Exchange, piece: Piece | None, reveal: bool = False) -> None:
        for answer in self._answers.values():
            answer.choose(piece if answer.exchange is exchange else None, reveal and answer.exchange is exchange)

    # What find asks for

    def texts(self) -> list[RichText]:
        """Return the texts of problems, answers and steps, from top to bottom. Folded steps are built for it."""
        texts: list[RichText] = []
        for id, answer in self._answers.items():
            answer.build_folded()
            texts += [self._bubbles[id].text, answer.answer, answer.steps]
        return texts

    def unfold(self, text: RichText) -> None:
        """Expand the steps that a text shows, and stop following what is being written."""
        answer = next((answer for answer in self._answers.values() if answer.steps is text), None)
        if answer and answer.folded:
            answer.toggle_fold()
        self._stop_following()

    # Qt's own

    def resizeEvent(self, event: QResizeEvent) -> None:
        bar, is_as_wide, self._width = self.verticalScrollBar(), self._width == self.width(), self.width()
        value, rests = bar.value(), self._rests()
        self._centre()  # first, so that the content may become as narrow as the view
        super().resizeEvent(event)
        if is_as_wide and rests:
            bar.setValue(value)  # a message that comes or goes below the page moves no text that is read

    def focusNextPrevChild(self, next: bool) -> bool:
        """Pass the focus on; what is higher than the view stays where it is if it is in view, where Qt would scroll to
        its middle."""
        bar, height = self.verticalScrollBar(), self.viewport().height()
        value = bar.value()
        is_passed_on = super().focusNextPrevChild(next)
        focused = self._content.focusWidget()
        if focused and self._content.isAncestorOf(focused) and focused.height() > height:
            top = self._top_of(focused)
            bar.setValue(min(max(value, top - 2 * height // 3), top + focused.height() - height // 3))
        return is_passed_on

    def _centre(self) -> None:
        edge = max(EDGE, (self.width() - column_width() + 1) // 2)
        beside = self.width() - self.viewport().width()  # the scroll bar moves nothing when it comes
        self._column.setContentsMargins(edge, 18, max(EDGE, edge - beside), 18)
        for bubble in self._bubbles.values():
            bubble.fit(self._inner_width())

    def _inner_width(self) -> int:
        """Return the pixels between the margins."""
        margins = self._column.contentsMargins()
        return self.viewport().width() - margins.left() - margins.right()

    def _add(self, exchange: Exchange, place: int) -> None:
        bubble = Bubble(exchange, self._session, self._actions)
        answer = AnswerView(exchange, self._session, self._typesetter, self._actions)
        answer.revealed.connect(lambda rect: self._reveal(answer, rect))
        self._bubbles[exchange.id], self._answers[exchange.id] = bubble, answer
        for offset, widget in enumerate((bubble, answer)):
            self._column.insertWidget(place + offset, widget)

    def _reveal(self, answer: AnswerView, place: QRectF) -> None:
        top = answer.mapTo(self._content, place.topLeft().toPoint()).y()
        self.ensureVisible(0, top, 0, self.viewport().height() // 3)
        self._stop_following()

    def _scrolled(self, value: int) -> None:
        """Follow on if a person has scrolled to where the view would be; else remember what is read."""
        if self._moves:
            return
        if abs(value - self._place_to_follow()) <= NEAR:
            self._follows = True
        else:
            self._stop_following()

    def _stop_following(self) -> None:
        self._follows = False
        value = self.verticalScrollBar().value()
        tops = [(part, self._top_of(part)) for part in self._parts()]
        part, top = next((each for each in reversed(tops) if each[1] <= value), tops[0] if tops else (None, 0))
        self._read = (part, value - top) if part else None

    def _keep_place(self) -> None:
        """Scroll so that what is followed, or read, stays in view, after something has grown or gone."""
        bar = self.verticalScrollBar()
        self._moves = True
        if self._follows:
            bar.setValue(self._place_to_follow())
        elif self._read and isValid(self._read[0]) and self._read[0].isVisibleTo(self._content):
            bar.setValue(self._top_of(self._read[0]) + self._read[1])
        self._moves = False

    def _place_to_follow(self) -> int:
        """Return the value of the scroll bar at which the end of what is being written stands at the bottom or, when
        nothing is, the last result at the top, below its problem if that is short."""
        bar, height = self.verticalScrollBar(), self.viewport().height()
        if not self._answers:
            return 0
        id, last = next((each for each in self._answers.items() if each[1].is_live), [*self._answers.items()][-1])
        if last.is_live and last.shows_answer:
            place = self._top_of(last.answer) + last.answer.height() + EDGE - height
        elif last.is_over and (last.shows_answer or last.result.isVisibleTo(last)):
            place = max(self._top_of(self._bubbles[id]) - EDGE, self._top_of(last) - height // 3)
        else:
            place = bar.maximum()
        return max(bar.minimum(), min(place, bar.maximum()))

    def _rests(self) -> bool:
        """Whether nothing is being written or asked, and the view is where it should be."""
        answers = self.answers()
        if answers and (any(answer.is_live for answer in answers) or not answers[-1].is_over):
            return False
        return not self._follows or abs(self.verticalScrollBar().value() - self._place_to_follow()) <= NEAR

    def _parts(self) -> list[QWidget]:
        """Return what can be read, from top to bottom."""
        parts: list[QWidget] = []
        for id, answer in self._answers.items():
            parts += [self._bubbles[id], answer, answer.answer, answer.ribbon, answer.steps]
        return [part for part in parts if part.isVisibleTo(self._content)]

    def _top_of(self, part: QWidget) -> int:
        return part.mapTo(self._content, QPoint()).y()


WIDEST_BUBBLE = 560
PAD = 14
GAP = 2
BESIDE_FRAME = 6


class Bubble(QWidget):
    """The problem of an exchange, with what one may do with it."""

    def __init__(self, exchange: Exchange, session: ChatSession, actions: ChatActions) -> None:
        super().__init__()
        frame = QFrame()
        set_role(frame, Role.BUBBLE)
        frame.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Preferred)
        self.text = RichText()
        self.text.setAccessibleName("Problem")
        self.text.set_markdown(exchange.problem)
        frame.setLayout(vbox(self.text, margins=(PAD, 10, PAD, 5)))
        self.text.fit_width(WIDEST_BUBBLE)

        self._earlier = IconButton("chevron-left", "Previous attempt", partial(session.show_sibling, exchange, -1))
        self._later = IconButton("chevron-right", "Next attempt", partial(session.show_sibling, exchange, 1))
        self._place = label("", Role.MUTED)
        side_by_side = with_key("Attempts side by side", "Ctrl+Shift+D")
        self._attempts = IconButton("attempts", side_by_side, partial(actions.show_attempts, exchange))
        edit = IconButton("edit", "Edit and ask again", partial(actions.edit_problem, exchange))
        self._buttons = self._earlier, self._place, self._later, self._attempts, edit
        beside = holder(hbox(*self._buttons, margins=0, spacing=GAP))
        at_bottom = beside, 0, Qt.AlignmentFlag.AlignBottom
        self.setLayout(hbox(STRETCH, at_bottom, BESIDE_FRAME, frame, margins=0, spacing=GAP))
        self.show_place(0, 1)

    def fit(self, width: int) -> None:
        """Wrap the text so that it and the buttons beside it fit into `width` pixels."""
        shown = [widget for widget in self._buttons if not widget.isHidden()]
        beside = sum(widget.sizeHint().width() + GAP for widget in shown) + BESIDE_FRAME + GAP + 2 * PAD + 2
        self.text.fit_width(max(1, min(WIDEST_BUBBLE, width - beside)))

    def show_place(self, index: int, siblings: int) -> None:
        """Show which of how many attempts this is."""
        for widget in (self._earlier, self._place, self._later, self._attempts):
            widget.setVisible(siblings > 1)
        self._place.setText(f"{index + 1} / {siblings}")
        self._place.setAccessibleName(f"Attempt {index + 1} of {siblings}")
        self._earlier.setEnabled(index > 0)
        self._later.setEnabled(index + 1 < siblings)
