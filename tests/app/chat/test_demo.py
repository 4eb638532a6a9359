"""The first minute with the demo pair: a problem is solved at once, at a pace that one can follow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app.chat.demo_verdict import DemoVerdict
from app.chat.welcome import PACES, demo_examples
from app.shared.pair_loader import PairLoader
from app.window.main_window import MainWindow
from app.window.pair_dialog import PairDialog
from core.paths import Paths
from core.settings import ModelChoice
from tests.app.conftest import last_answer, last_exchange


def test_the_very_first_start_solves_a_problem_by_itself_and_later_ones_do_not(
    make_window: Callable[..., MainWindow], qtbot: QtBot
) -> None:
    window = make_window()
    window.chat.greet()
    qtbot.waitUntil(lambda: window.session.ready and window.session.conversation.leaf is not None)
    assert last_exchange(window).problem == demo_examples()[0]
    assert not last_answer(window).folded  # who wrote what is what there is to see
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


def test_below_the_first_answer_stands_what_the_small_model_alone_says(
    make_window: Callable[..., MainWindow], qtbot: QtBot, tmp_path: Path
) -> None:
    """With the real demo pair: two GGUF files, decoded by llama.cpp."""
    window = make_window(PairLoader(Paths.under(tmp_path)))
    window.chat.greet()
    answer = last_answer(window)
    qtbot.waitUntil(answer.verdict.isVisible)
    assert answer.verdict.text.text() == "✓ 129. The small model alone says 929 ✗"
    conversation = window.session.conversation.id
    window.session.new()
    window.session.open(conversation)
    again = window.session.conversation.leaf
    assert again
    qtbot.waitUntil(lambda: bool((shown := window.chat.conversation.answer_of(again)) and shown.verdict.isVisible()))


def test_the_button_below_the_verdict_opens_the_choice_of_models(ask: Callable[[str], MainWindow]) -> None:
    window = ask(demo_examples()[0])
    window.chat.conversation.show_verdict(last_exchange(window), DemoVerdict("701", "701", "301"))
    last_answer(window).verdict.choose.click()
    dialog = window.findChild(PairDialog)
    assert dialog
    assert dialog.isVisible()
    dialog.reject()


def test_models_that_are_not_the_demo_pair_get_no_verdict(ask: Callable[[str], MainWindow]) -> None:
    window = ask(demo_examples()[0])
    answer = last_answer(window)
    assert not answer.verdict.isVisible()


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (DemoVerdict("701", "701", "701"), "✓ 701. The small model alone says 701 ✓"),
        (DemoVerdict("701", "300", None), "✗ 300 (correct: 701). The small model alone finds no answer ✗"),
        (DemoVerdict("701", None, "301"), "✗ No answer (correct: 701). The small model alone says 301 ✗"),
    ],
)
def test_the_verdict_says_who_is_right(verdict: DemoVerdict, words: str) -> None:
    assert str(verdict) == words
