"""The first minute with the demo pair: one button solves a problem."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QPushButton
from pytestqt.qtbot import QtBot

from baton_reasoning.app.chat.welcome import demo_examples
from baton_reasoning.app.shared.pair_loader import PairLoader
from baton_reasoning.app.window.main_window import MainWindow
from baton_reasoning.app.window.pair_dialog import PairDialog
from baton_reasoning.core.demo_pair import DemoProblem
from baton_reasoning.core.models.source import DemoModel
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.settings import ModelChoice
from baton_reasoning.core.thinking.events import Finish
from baton_reasoning.core.thinking.policies.always import Always
from baton_reasoning.core.thinking.policies.never import Never
from baton_reasoning.core.thinking.policy import PolicySettings
from tests.app.conftest import ScriptedLoader, last_answer, last_exchange
from tests.fakes.scripted import ScriptedEngine


def test_nothing_is_written_until_enter_presses_the_button_of_the_start_page(
    make_window: Callable[..., MainWindow], qtbot: QtBot
) -> None:
    window = make_window()
    qtbot.waitUntil(lambda: window.session.ready and window.isActiveWindow())
    assert window.chat.welcome.isVisible()
    assert window.session.conversation.leaf is None
    assert QApplication.focusWidget() is window.chat.welcome.solve
    qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: window.session.ready and window.session.conversation.leaf is not None)
    assert last_exchange(window).problem == demo_examples()[0]
    assert not last_answer(window).folded  # who wrote what is what there is to see
    assert QApplication.focusWidget() is window.chat.composer.edit


def test_the_other_examples_go_into_the_composer(window: MainWindow, qtbot: QtBot) -> None:
    for example in demo_examples()[1:]:
        (choose,) = (
            press for press in window.chat.welcome.findChildren(QPushButton) if press.accessibleName().endswith(example)
        )
        problem = DemoProblem.of(example)
        assert problem
        assert choose.text() == f"The same, starting from {problem.start}"
        qtbot.mouseClick(choose, Qt.MouseButton.LeftButton)
        assert window.chat.composer.edit.toPlainText() == example
    assert window.session.conversation.leaf is None


def test_a_window_that_was_left_with_a_conversation_lets_one_write_at_once(
    ask: Callable[[str], MainWindow], make_window: Callable[..., MainWindow], qtbot: QtBot
) -> None:
    ask(demo_examples()[0]).close()
    window = make_window()
    qtbot.waitUntil(lambda: window.session.conversation.leaf is not None and window.isActiveWindow())
    assert QApplication.focusWidget() is window.chat.composer.edit


def test_the_demo_is_offered_with_its_pair_only(window: MainWindow) -> None:
    welcome = window.chat.welcome
    assert welcome.demo.isVisible()
    assert welcome.solve.isVisible()
    window.preferences.change(models=ModelChoice(small="a.gguf", large="b.gguf"))
    assert not welcome.demo.isVisible()
    assert not welcome.solve.isVisible()


def test_another_problem_is_put_into_the_composer(window: MainWindow) -> None:
    window.chat.welcome.demo.another_wanted.emit()
    first = window.chat.composer.edit.toPlainText()
    window.chat.welcome.demo.another_wanted.emit()
    assert DemoProblem.of(first)
    assert window.chat.composer.edit.toPlainText() != first


def test_below_the_first_answer_stands_what_the_small_model_alone_says(
    make_window: Callable[..., MainWindow], qtbot: QtBot, tmp_path: Path
) -> None:
    """With the real demo pair: two GGUF files, decoded by llama.cpp."""
    window = make_window(PairLoader(Paths.under(tmp_path)))
    window.chat.welcome.solve.click()  # while the models are loaded: the answer waits for them
    answer = last_answer(window)
    qtbot.waitUntil(answer.verdict.isVisible)
    line = answer.verdict.text.text()
    assert re.match(r"Small alone: .+\s✗\. With \d+% from the large model: .+\s✓\.", line), (
        "the demo argues for the pair"
    )
    conversation = window.session.conversation.id
    window.session.new()
    window.session.open(conversation)
    qtbot.waitUntil(lambda: window.session.conversation.leaf is not None)
    qtbot.waitUntil(last_answer(window).verdict.isVisible)
    assert last_answer(window).verdict.text.text() == line


def test_a_verdict_is_of_the_demo_pair_alone_and_leads_to_the_choice_of_models(
    ask: Callable[[str], MainWindow],
) -> None:
    window = ask(demo_examples()[0])
    answer = last_answer(window)
    assert not answer.verdict.isVisible()
    window.chat.conversation.show_verdict(last_exchange(window), "Small alone: 301 ✗.")
    last_answer(window).verdict.choose.click()
    dialog = window.findChild(PairDialog)
    assert dialog
    assert dialog.isVisible()
    dialog.reject()


def demo_cards() -> ScriptedLoader:
    """Both models of the demo pair, which answer 1 at once."""
    loader = ScriptedLoader()
    loader.small = ScriptedEngine("Done.</think>\n\n\\boxed{1}").with_card(source=DemoModel.SMALL)
    loader.large = ScriptedEngine("Done.</think>\n\n\\boxed{1}", name="large").with_card(source=DemoModel.LARGE)
    return loader


def test_an_answer_that_a_person_edited_has_no_verdict_on_the_models(
    make_window: Callable[..., MainWindow], qtbot: QtBot
) -> None:
    window = make_window(demo_cards())
    window.preferences.change_run(policy=Never.Settings())
    window.chat.welcome.solve.click()
    qtbot.waitUntil(lambda: last_answer(window).verdict.isVisible() and window.session.ready)
    first = last_exchange(window)
    assert window.session.edit(first, 0, "It is 99.")
    qtbot.waitUntil(lambda: window.session.ready)
    assert last_exchange(window) is not first
    assert last_exchange(window).trace.finish is Finish.END_OF_TEXT
    assert not last_answer(window).verdict.isVisible()


@pytest.mark.parametrize(
    ("policy", "line"),
    [
        (Never.Settings(), r"Small alone: 1\s✗\. The answer is .+\."),
        (Always.Settings(), r"Small alone: .+\s[✓✗]\. Large alone: 1\s✗\..*"),
    ],
)
def test_an_answer_by_one_model_is_not_called_the_pairs(
    make_window: Callable[..., MainWindow], qtbot: QtBot, policy: PolicySettings, line: str
) -> None:
    window = make_window(demo_cards())
    window.preferences.change_run(policy=policy)
    window.chat.welcome.solve.click()
    verdict = last_answer(window).verdict
    qtbot.waitUntil(verdict.isVisible)
    assert re.fullmatch(line, verdict.text.text())
