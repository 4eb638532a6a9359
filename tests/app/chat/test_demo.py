"""The first minute with the demo pair: one button solves a problem."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QPushButton

from baton_reasoning.app.chat.welcome import EXAMPLES, demo_problem
from baton_reasoning.app.compare.chooser import Chooser
from baton_reasoning.app.session.conversation import expected_answer
from baton_reasoning.core.demo_pair import DemoProblem
from baton_reasoning.core.settings import ModelChoice
from tests.app.conftest import last_answer, last_exchange


def test_nothing_is_written_until_enter_presses_the_button_of_the_start_page(make_window, qtbot):
    window = make_window()
    qtbot.waitUntil(lambda: window.session.ready and window.isActiveWindow())
    assert window.chat.welcome.isVisible()
    assert window.session.conversation.leaf is None
    assert QApplication.focusWidget() is window.chat.welcome.solve
    qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: window.session.ready and window.session.conversation.leaf is not None)
    assert last_exchange(window).problem == demo_problem()
    assert not last_answer(window).folded  # who wrote what is what there is to see
    assert QApplication.focusWidget() is window.chat.composer.edit


def test_a_window_that_was_left_with_a_conversation_lets_one_write_at_once(ask, make_window, qtbot):
    ask(demo_problem()).close()
    window = make_window()
    qtbot.waitUntil(lambda: window.session.conversation.leaf is not None and window.isActiveWindow())
    assert QApplication.focusWidget() is window.chat.composer.edit


def test_the_demo_is_offered_with_its_pair_only(window):
    welcome = window.chat.welcome
    assert welcome.demo.isVisible()
    assert welcome.solve.isVisible()
    window.preferences.change(models=ModelChoice(small="a.gguf", large="b.gguf"))
    assert not welcome.demo.isVisible()
    assert not welcome.solve.isVisible()


def test_a_new_example_is_solved_at_once_and_leaves_the_composer_as_it_was(window, qtbot):
    qtbot.waitUntil(lambda: window.session.ready)
    window.chat.composer.set_text("A draft")
    qtbot.mouseClick(window.chat.welcome.another, Qt.MouseButton.LeftButton)
    problem = DemoProblem.of(last_exchange(window).problem)
    assert problem
    assert problem.held_out
    assert problem.question != demo_problem()
    assert window.chat.composer.edit.toPlainText() == "A draft"
    qtbot.waitUntil(lambda: window.session.ready)


def test_the_problem_of_the_start_page_is_what_is_compared(window, qtbot):
    qtbot.waitUntil(lambda: window.session.ready)
    window.chat.compare()
    dialog = window.findChild(Chooser)
    assert dialog
    assert dialog.expected.text() == expected_answer(demo_problem())
    dialog.go.click()
    qtbot.waitUntil(lambda: window.chat.is_comparing and window.session.ready)
    assert last_exchange(window).problem == demo_problem()


@pytest.mark.parametrize("example", EXAMPLES)
def test_real_models_have_questions_that_a_click_asks(window, qtbot, example):
    qtbot.waitUntil(lambda: window.session.ready)
    window.preferences.change(models=ModelChoice(small="a.gguf", large="b.gguf"))
    (choose,) = (
        press for press in window.chat.welcome.findChildren(QPushButton) if press.accessibleName().endswith(example)
    )
    qtbot.mouseClick(choose, Qt.MouseButton.LeftButton)
    assert last_exchange(window).problem == example
    qtbot.waitUntil(lambda: window.session.ready)
