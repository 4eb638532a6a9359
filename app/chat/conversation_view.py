"""The visible path of a conversation, from top to bottom: problems and answers."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt, QTimer
from PySide6.QtGui import QGuiApplication, QResizeEvent
from PySide6.QtWidgets import QFrame, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from baton_reasoning.app.chat.answer_view import AnswerView, ChatActions
from baton_reasoning.app.document import RichText
from baton_reasoning.app.document.steps_view import MARGIN, RIGHT_MARGIN
from baton_reasoning.app.document.typesetting import Typesetter
from baton_reasoning.app.session.conversation import Conversation, Exchange
from baton_reasoning.app.toolkit.controls import IconButton, button, label
from baton_reasoning.app.toolkit.layout import STRETCH, hbox, vbox
from baton_reasoning.app.toolkit.theme import Role, current_theme, line_width, set_role
from baton_reasoning.core.model_costs import ModelCosts
from baton_reasoning.core.thinking.trace import Piece

EDGE = 26
BELOW_HANDLE = 2
"""Pixels."""
NEAR_END = 48
"""Pixels from the end within which the view follows what is being written."""


def column_width() -> int:
    """Return the pixels of the centred column: a full line of text between the margins of the steps."""
    return line_width(QGuiApplication.font()) + MARGIN + RIGHT_MARGIN


class ConversationView(QScrollArea):
    def __init__(
        self, typesetter: Typesetter, costs: ModelCosts, actions: ChatActions, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._typesetter = typesetter
        self._actions = actions
        self._costs = costs
        self._answers: dict[str, AnswerView] = {}
        self._bubbles: dict[str, Bubble] = {}
        self.folds = True
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        # Qt scrolls by copying pixels where nothing lies over them: the splitter's handle does, by so much.
        self.setViewportMargins(BELOW_HANDLE, 0, 0, 0)
        self.setAccessibleName("Conversation")
        self._content = QWidget()
        self._content.setAttribute(Qt.WidgetAttribute.WA_StaticContents)  # growing paints only what is new
        self._column = QVBoxLayout(self._content)
        self._column.setContentsMargins(EDGE, 18, EDGE, 18)
        self._column.setSpacing(10)
        self._column.addStretch()
        self.setWidget(self._content)
        self._follows = True
        """Whether the end is kept in view; a person who scrolls up reads in peace."""
        self.latest = button(
            "↓ Latest",
            self.jump_to_latest,
            tip="Jump to the end of the conversation (Alt+End)",
            name="Jump to the latest",
        )
        self.latest.setParent(self)
        self.latest.hide()
        bar = self.verticalScrollBar()
        bar.valueChanged.connect(self._scrolled)
        bar.rangeChanged.connect(self._lengthened)
        current_theme().changed.connect(self._centre)

    def show_path(self, conversation: Conversation) -> None:
        """Show the exchanges of a path; exchanges already shown keep their widgets."""
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
            siblings = conversation.siblings(exchange)
            self._bubbles[exchange.id].show_place(siblings.index(exchange), len(siblings))
            self._bubbles[exchange.id].fit(self._inner_width())
        self.jump_to_latest()

    def jump_to_latest(self) -> None:
        """Scroll to the end, and follow what is being written."""
        self._follows = True
        QTimer.singleShot(0, self, self._to_end)

    def refresh(self, exchange: Exchange, live: bool, waiting: str = "") -> None:
        """Update the answer if it is in view. `waiting`: what it waits for, if it has not begun."""
        if answer := self._answers.get(exchange.id):
            answer.follow(live, waiting)

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
        self._follows = False

    # Qt's own

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._centre()
        self._place_latest()

    def _centre(self) -> None:
        edge = max(EDGE, (self.viewport().width() - column_width()) // 2)
        self._column.setContentsMargins(edge, 18, edge, 18)
        for bubble in self._bubbles.values():
            bubble.fit(self._inner_width())

    def _inner_width(self) -> int:
        """Return the pixels between the margins."""
        margins = self._column.contentsMargins()
        return self.viewport().width() - margins.left() - margins.right()

    def _add(self, exchange: Exchange, place: int) -> None:
        bubble = Bubble(exchange, self._actions)
        answer = AnswerView(exchange, self._typesetter, self._costs, self._actions, self.folds)
        answer.revealed.connect(lambda rect: self._reveal(answer, rect))
        self._bubbles[exchange.id], self._answers[exchange.id] = bubble, answer
        for offset, widget in enumerate((bubble, answer)):
            self._column.insertWidget(place + offset, widget)

    def _reveal(self, answer: AnswerView, place: QRectF) -> None:
        self._follows = False
        top = answer.mapTo(self._content, place.topLeft().toPoint()).y()
        self.ensureVisible(0, top, 0, self.viewport().height() // 3)

    def _scrolled(self, value: int) -> None:
        self._follows = value >= self.verticalScrollBar().maximum() - NEAR_END
        self.latest.setHidden(self._follows)

    def _lengthened(self) -> None:
        if self._follows:
            self._to_end()
        else:
            self.latest.setHidden(self.verticalScrollBar().value() >= self.verticalScrollBar().maximum() - NEAR_END)

    def _place_latest(self) -> None:
        self.latest.adjustSize()
        area = self.viewport().rect()
        self.latest.move(area.right() - self.latest.width() - 14, area.bottom() - self.latest.height() - 10)

    def _to_end(self) -> None:
        bar = self.verticalScrollBar()
        follows = self._follows
        bar.setValue(bar.maximum() if follows else bar.value())
        self._follows = follows


WIDEST_BUBBLE = 560
PAD = 14
GAP = 2
BESIDE_FRAME = 6


class Bubble(QWidget):
    """The problem of an exchange, with what one may do with it."""

    def __init__(self, exchange: Exchange, actions: ChatActions, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        frame = QFrame()
        set_role(frame, Role.BUBBLE)
        frame.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Preferred)
        self.text = RichText()
        self.text.setAccessibleName("Problem")
        self.text.set_markdown(exchange.problem)
        frame.setLayout(vbox(self.text, margins=(PAD, 10, PAD, 5)))
        self.text.fit_width(WIDEST_BUBBLE)

        self._earlier = IconButton("chevron-left", "Previous attempt", lambda: actions.show_sibling(exchange, -1))
        self._later = IconButton("chevron-right", "Next attempt", lambda: actions.show_sibling(exchange, 1))
        self._place = label("", Role.MUTED)
        self._place.setMinimumHeight(self._earlier.sizeHint().height())  # its text is level with the arrows
        self._compare = IconButton(
            "attempts", "Compare attempts (Ctrl+Shift+D)", lambda: actions.show_attempts(exchange)
        )
        edit = IconButton("edit", "Edit and ask again", lambda: actions.edit_again(exchange))
        self._buttons = self._earlier, self._place, self._later, self._compare, edit
        at_bottom = [(widget, 0, Qt.AlignmentFlag.AlignBottom) for widget in self._buttons]
        self.setLayout(hbox(STRETCH, *at_bottom, BESIDE_FRAME, frame, margins=0, spacing=GAP))
        self.show_place(0, 1)

    def fit(self, width: int) -> None:
        """Wrap the text so that it and the buttons beside it fit into `width` pixels."""
        shown = [widget for widget in self._buttons if not widget.isHidden()]
        beside = sum(widget.sizeHint().width() + GAP for widget in shown) + BESIDE_FRAME + GAP + 2 * PAD + 2
        self.text.fit_width(max(1, min(WIDEST_BUBBLE, width - beside)))

    def show_place(self, index: int, siblings: int) -> None:
        """Show which of how many attempts this is."""
        for widget in (self._earlier, self._place, self._later, self._compare):
            widget.setVisible(siblings > 1)
        self._place.setText(f"{index + 1} / {siblings}")
        self._place.setAccessibleName(f"Attempt {index + 1} of {siblings}")
        self._earlier.setEnabled(index > 0)
        self._later.setEnabled(index + 1 < siblings)
