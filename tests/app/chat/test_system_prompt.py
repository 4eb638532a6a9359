"""The system prompt of a conversation: edited, given to the models, kept, and shown."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from baton_reasoning.app.chat.system_prompt import SystemPromptDialog
from baton_reasoning.app.window.main_window import MainWindow
from baton_reasoning.core.engines.base import Message

Ask = Callable[[str], MainWindow]
Make = Callable[..., MainWindow]
CONTROL_SHIFT = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
WORDS = "Answer in one sentence."


def edit_prompt(window: MainWindow, qtbot: QtBot, words: str, for_new: bool = False) -> None:
    window.chat.edit_system()
    dialog = window.chat.findChildren(SystemPromptDialog)[-1]
    dialog.edit.setPlainText(words)
    dialog.for_new.setChecked(for_new)
    qtbot.mouseClick(dialog.save, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not dialog.isVisible())


def test_its_key_opens_the_dialog(window: MainWindow, qtbot: QtBot) -> None:
    qtbot.waitUntil(window.isActiveWindow)
    qtbot.keyClick(window.chat.composer.edit, Qt.Key.Key_Y, CONTROL_SHIFT)
    (dialog,) = window.chat.findChildren(SystemPromptDialog)
    assert dialog.isVisible()
    dialog.reject()


def test_both_models_get_it_from_the_next_answer_on(ask: Ask, window: MainWindow, qtbot: QtBot) -> None:
    ask("2 + 2?")
    edit_prompt(window, qtbot, WORDS)
    assert window.chat.system.isVisible()
    assert window.chat.system.text.text() == WORDS
    ask("And 3 + 3?")
    first, second = window.session.conversation.path
    assert first.trace.started
    assert second.trace.started
    assert "system" not in [message.role for message in first.trace.started.conversation]
    assert second.trace.started.conversation[0] == Message("system", WORDS)
    assert [message.role for message in second.trace.started.conversation] == ["system", "user", "assistant", "user"]
    assert second.trace.started.settings["system"] == WORDS


def test_it_is_kept_with_its_conversation_and_no_other_has_it(
    ask: Ask, make_window: Make, window: MainWindow, qtbot: QtBot
) -> None:
    edit_prompt(window, qtbot, WORDS)
    ask("2 + 2?")
    kept = window.session.conversation.id
    window.session.new()
    assert not window.chat.system.isVisible()
    ask("And 3 + 3?")
    assert window.session.conversation.leaf
    assert window.session.conversation.leaf.settings.system == ""
    window.close()
    again = make_window()
    qtbot.waitUntil(lambda: again.session.ready)
    assert not again.chat.system.isVisible()
    again.session.open(kept)
    assert again.session.system == WORDS
    assert again.chat.system.isVisible()


def test_new_conversations_begin_with_it_if_that_was_chosen(ask: Ask, window: MainWindow, qtbot: QtBot) -> None:
    edit_prompt(window, qtbot, WORDS, for_new=True)
    ask("2 + 2?")
    window.session.new()
    assert window.session.system == WORDS
    edit_prompt(window, qtbot, "")
    assert not window.chat.system.isVisible()
    assert window.preferences.value.run.system == WORDS
