"""The problem keeps to the column of the conversation, however narrow that is, and parts of an answer to their own."""

from unittest.mock import Mock

import pytest
from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtWidgets import QApplication

from baton_reasoning.app.chat.answer_view import AnswerView, ChatActions
from baton_reasoning.app.chat.conversation_view import Bubble, ConversationView, column_width
from baton_reasoning.app.document.typeset import Typesetter
from baton_reasoning.app.session.conversation import Conversation, Exchange
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.settings import Appearance
from baton_reasoning.core.thinking.events import RunStarted, StepEnded, TokenWritten, WriteStarted
from baton_reasoning.core.thinking.policies.never import Never
from tests.core.thinking.running import run

PROBLEM = "How many positive whole-number divisors does the product of 196, 225 and 1001 have? " * 3


@pytest.mark.parametrize("width", [900, 1280])
def test_a_long_problem_is_not_clipped_at_the_right(ask, qtbot, width):
    window = ask(PROBLEM)
    window.resize(width, 800)
    view = window.chat.conversation
    content = view.widget()
    bubble = view.findChild(Bubble)
    assert content
    assert bubble

    def is_in_view() -> bool:
        right = bubble.mapTo(content, bubble.rect().bottomRight()).x()
        return content.width() <= view.viewport().width() and right < content.width()

    qtbot.waitUntil(is_in_view)


def test_the_composer_is_as_wide_as_the_conversation_at_every_text_size(window):
    usual = column_width()
    for text_size in (1.5, 1.0):
        window.preferences.change(appearance=Appearance(text_size=text_size))
        assert window.chat.composer.maximumWidth() == column_width()
        assert (column_width() > usual) is (text_size > 1)


class PaintedRoom(QObject):
    """Measures at each paint of the steps how much more height the answer has than its parts need."""

    def __init__(self, answer: AnswerView) -> None:
        super().__init__(answer)
        self._answer = answer
        self.spare: list[int] = []
        answer.steps.viewport().installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() is QEvent.Type.Paint:
            self.spare.append(self._answer.height() - self._answer.minimumSizeHint().height())
        return super().eventFilter(watched, event)


def test_growing_steps_never_lie_over_what_is_below_them(window, qtbot):
    written = "\n\n".join(f"Step {number} is long enough to be wrapped. " * 4 for number in range(20))
    view = ConversationView(window.session, Typesetter(), Mock(spec=ChatActions))
    qtbot.addWidget(view)
    conversation = Conversation()
    exchange = Exchange("Count.", RunSettings())
    conversation.add(exchange)
    view.resize(700, 600)
    view.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)  # else the text is wrapped anew half-way
    view.show_path(conversation)
    view.show()
    answer = view.answer_of(exchange)
    assert answer
    painted = PaintedRoom(answer)
    events = run(Never(), [written]).trace.events
    of_growth = RunStarted, WriteStarted, TokenWritten, StepEnded
    for number, event in enumerate(event for event in events if isinstance(event, of_growth)):
        exchange.trace.apply(event)
        if number % 5 == 0:
            answer.follow(live=True)
            QApplication.processEvents()
    assert len(painted.spare) > 20
    assert min(painted.spare) >= 0


def test_the_button_that_jumps_to_the_latest_covers_no_text(ask, qtbot):
    view = ask(PROBLEM * 30).chat.conversation
    qtbot.waitUntil(lambda: view.verticalScrollBar().value() > 0)
    view.verticalScrollBar().setValue(0)
    qtbot.waitUntil(view.latest.isVisible)
    assert not view.latest.geometry().intersects(view.viewport().geometry())
    assert view.rect().contains(view.latest.geometry())
