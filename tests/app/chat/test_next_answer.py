"""What holds for the next answer is chosen at the composer: its system prompt, thinking and seed."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QInputDialog
from pytestqt.qtbot import QtBot

from baton_reasoning.app.chat.next_answer import SystemPromptDialog
from baton_reasoning.app.session.loaded_models import LoadState
from baton_reasoning.app.window.main_window import MainWindow
from baton_reasoning.core.engines.base import Message
from baton_reasoning.core.thinking.policies.never import Never
from tests.app.conftest import ScriptedLoader, answer_to, last_answer, last_exchange
from tests.fakes.scripted import ScriptedEngine

Ask = Callable[[str], MainWindow]
Make = Callable[..., MainWindow]
CONTROL_SHIFT = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
WORDS = "Answer in one sentence."


def edit_prompt(window: MainWindow, qtbot: QtBot, words: str, for_new: bool = False) -> None:
    window.chat.composer.edit_system()
    dialog = window.findChildren(SystemPromptDialog)[-1]
    dialog.edit.setPlainText(words)
    dialog.for_new.setChecked(for_new)
    qtbot.mouseClick(dialog.save, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not dialog.isVisible())


def test_its_key_opens_the_dialog(window, qtbot):
    qtbot.waitUntil(window.isActiveWindow)
    qtbot.keyClick(window.chat.composer.edit, Qt.Key.Key_Y, CONTROL_SHIFT)
    (dialog,) = window.findChildren(SystemPromptDialog)
    assert dialog.isVisible()
    dialog.reject()


def test_both_models_get_it_from_the_next_answer_on(ask, window, qtbot):
    ask("2 + 2?")
    edit_prompt(window, qtbot, WORDS)
    assert window.chat.composer.unusual.text() == f"System prompt: {WORDS}"
    ask("And 3 + 3?")
    first, second = window.session.conversation.path
    assert first.trace.started
    assert second.trace.started
    assert "system" not in [message.role for message in first.trace.started.conversation]
    assert second.trace.started.conversation[0] == Message("system", WORDS)
    assert [message.role for message in second.trace.started.conversation] == ["system", "user", "assistant", "user"]
    assert second.trace.started.settings["system"] == WORDS


def test_it_is_kept_with_its_conversation_and_no_other_has_it(ask, make_window, window, qtbot):
    edit_prompt(window, qtbot, WORDS)
    ask("2 + 2?")
    kept = window.session.conversation.id
    window.session.new()
    assert not window.chat.composer.unusual.text()
    ask("And 3 + 3?")
    assert window.session.conversation.leaf
    assert window.session.conversation.leaf.settings.system == ""
    window.close()
    again = make_window()
    qtbot.waitUntil(lambda: again.session.ready)
    assert not again.chat.composer.unusual.text()
    again.session.open(kept)
    assert again.session.system == WORDS
    assert WORDS in again.chat.composer.unusual.text()


def test_new_conversations_begin_with_it_if_that_was_chosen(ask, window, qtbot):
    edit_prompt(window, qtbot, WORDS, for_new=True)
    ask("2 + 2?")
    window.session.new()
    assert window.session.system == WORDS
    edit_prompt(window, qtbot, "")
    assert not window.chat.composer.unusual.text()
    assert window.preferences.value.run.system == WORDS


def choose(window: MainWindow, qtbot: QtBot, title: str) -> None:
    """By keyboard, as far down as the choice stands."""
    menu = window.chat.composer.menu
    window.chat.composer.show_menu()
    choice = action(window, title)
    for _ in range(1 + [each for each in menu.actions() if each.isEnabled() and not each.isSeparator()].index(choice)):
        qtbot.keyClick(menu, Qt.Key.Key_Down)
    qtbot.keyClick(menu, Qt.Key.Key_Return)


def action(window: MainWindow, title: str) -> QAction:
    return next(each for each in window.chat.composer.menu.actions() if each.text().startswith(title))


def with_switch() -> ScriptedLoader:
    loader = ScriptedLoader()
    loader.small = ScriptedEngine("It is \\boxed{4}.").with_card(switches_thinking=True)
    loader.large = ScriptedEngine("It is \\boxed{4}.", name="large").with_card(switches_thinking=True)
    return loader


def test_off_lets_the_models_answer_at_once(make_window, qtbot):
    window = make_window(loader := with_switch())
    qtbot.waitUntil(lambda: window.session.ready)
    assert not window.chat.composer.unusual.text()
    choose(window, qtbot, "Thinking off")
    assert window.chat.composer.unusual.text() == "Thinking: off"
    exchange = answer_to(window, qtbot, "2 + 2?")
    assert exchange.settings.thinking is False
    assert exchange.trace.started
    assert exchange.trace.started.settings["thinking"] is False
    assert not exchange.trace.thinks
    assert last_answer(window).heading.text() == "Answer"
    assert not any(session.thinks for session in loader.small.sessions)


def test_off_is_disabled_with_the_reason_where_a_model_always_thinks(make_window, qtbot):
    window = make_window()
    qtbot.waitUntil(lambda: window.models.state is LoadState.READY)
    window.chat.composer.show_menu()
    off = action(window, "Thinking off")
    assert not off.isEnabled()
    assert "small always thinks" in off.text()
    assert "Limit its thinking" in off.toolTip()
    window.chat.composer.menu.close()
    window.preferences.change_run(thinking=False)
    qtbot.waitUntil(lambda: window.session.ready)
    qtbot.waitUntil(lambda: not window.chat.composer.unusual.text())
    answer_to(window, qtbot, "2 + 2?")
    assert last_exchange(window).trace.thinks
    assert window.preferences.value.run.thinking is False, "kept for models that can"


def test_a_budget_closes_the_thinking(make_window, qtbot):
    loader = ScriptedLoader()
    loader.small = ScriptedEngine("word " * 600, " Four.")
    window = make_window(loader)
    qtbot.waitUntil(lambda: window.session.ready)
    window.preferences.change_run(policy=Never.Settings(), max_tokens=700)
    choose(window, qtbot, "At most 500 tokens")
    assert window.chat.composer.unusual.text() == "Thinking: at most 500 tokens"
    answer_to(window, qtbot, "2 + 2?")
    trace = last_exchange(window).trace
    assert trace.closed
    assert sum(len(piece.tokens) for piece in trace.pieces if not piece.in_answer) == 500
    choose(window, qtbot, "Thinking on")
    assert window.session.settings.limits.max_thinking_tokens == 0


def test_a_budget_of_the_settings_stands_in_the_menu(make_window, qtbot):
    window = make_window()
    limits = window.preferences.value.run.limits.model_copy(update={"max_thinking_tokens": 1234})
    window.preferences.change_run(limits=limits)
    window.chat.composer.show_menu()
    assert action(window, "At most 1,234 tokens").isChecked()
    window.chat.composer.menu.close()


def test_a_key_opens_the_menu(window, qtbot):
    qtbot.waitUntil(window.isActiveWindow)
    qtbot.keyClick(window.chat.composer.edit, Qt.Key.Key_H, CONTROL_SHIFT)
    menu = window.chat.composer.menu
    qtbot.waitUntil(menu.isVisible)
    menu.close()


def test_the_seed_of_the_next_answer_is_chosen_in_the_menu(make_window, qtbot, monkeypatch):
    window = make_window()
    monkeypatch.setattr(QInputDialog, "getInt", lambda *_: (7, True))
    qtbot.waitUntil(lambda: window.session.ready)
    window.chat.composer.show_menu()
    action(window, "Seed: 0").trigger()
    window.chat.composer.menu.close()
    assert answer_to(window, qtbot, "2 + 2?").settings.seed == 7
