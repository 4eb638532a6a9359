"""The first minute with the demo pair: a problem is solved at once, at a pace that one can follow."""

from __future__ import annotations

from collections.abc import Callable

from pytestqt.qtbot import QtBot

from app.chat.welcome import PACES, demo_examples
from app.window.main_window import MainWindow
from core.settings import ModelChoice


def test_the_very_first_start_solves_a_problem_by_itself_and_later_ones_do_not(
    make_window: Callable[..., MainWindow], qtbot: QtBot
) -> None:
    window = make_window()
    window.chat.greet()
    qtbot.waitUntil(lambda: window.session.ready and window.session.conversation.leaf is not None)
    leaf = window.session.conversation.leaf
    assert leaf is not None
    assert leaf.problem == demo_examples()[0]
    answer = window.chat.conversation.answer_of(leaf)
    assert answer
    assert not answer.folded  # who wrote what is what there is to see
    window.session.new()
    window.chat.greet()
    assert window.session.conversation.leaf is None


def test_what_the_demo_pair_is_stands_below_its_problems_and_goes_with_it(window: MainWindow) -> None:
    demo = window.chat.welcome.demo
    assert demo.isVisible()
    window.preferences.change(models=ModelChoice(small="a.gguf", large="b.gguf"))
    assert not demo.isVisible()


def test_the_slider_sets_the_pace_and_says_it(window: MainWindow) -> None:
    demo = window.chat.welcome.demo
    demo.pace.setValue(1)
    assert window.preferences.value.appearance.demo_pace == PACES[1]
    assert demo.pace.toolTip() == "20 tokens a second"
    demo.pace.setValue(len(PACES) - 1)
    assert window.preferences.value.appearance.demo_pace == 0
    assert demo.pace.toolTip() == "as fast as it goes"


def test_another_problem_is_put_into_the_composer(window: MainWindow) -> None:
    window.chat.welcome.demo.another_wanted.emit()
    first = window.chat.composer.edit.toPlainText()
    window.chat.welcome.demo.another_wanted.emit()
    assert "What is term" in first
    assert window.chat.composer.edit.toPlainText() != first
