"""The problem keeps to the column of the conversation, however narrow that is."""

from collections.abc import Callable

import pytest
from pytestqt.qtbot import QtBot

from baton_reasoning.app.chat.conversation_view import Bubble
from baton_reasoning.app.window.main_window import MainWindow

PROBLEM = "How many positive whole-number divisors does the product of 196, 225 and 1001 have? " * 3


@pytest.mark.parametrize("width", [900, 1280])
def test_a_long_problem_is_not_clipped_at_the_right(ask: Callable[[str], MainWindow], qtbot: QtBot, width: int) -> None:
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
