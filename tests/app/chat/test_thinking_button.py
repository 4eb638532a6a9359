"""How long the models think is chosen at the composer, and stored with the answer."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QAction
from pytestqt.qtbot import QtBot

from baton_reasoning.app.session.loaded_models import LoadState
from baton_reasoning.app.window.main_window import MainWindow
from baton_reasoning.core.thinking.policies.never import Never
from tests.app.conftest import ScriptedLoader, answer_to, last_answer, last_exchange
from tests.fakes.scripted import ScriptedEngine

Make = Callable[..., MainWindow]


def choose(window: MainWindow, qtbot: QtBot, title: str) -> None:
    """By keyboard, as far down as the choice stands."""
    menu = window.chat.composer.thinking.menu()
    menu.popup(window.pos())  # as the key does, which waits in a loop of its own until the menu is closed
    choice = action(window, title)
    for _ in range(1 + [each for each in menu.actions() if each.isEnabled()].index(choice)):
        qtbot.keyClick(menu, Qt.Key.Key_Down)
    qtbot.keyClick(menu, Qt.Key.Key_Return)


def action(window: MainWindow, title: str) -> QAction:
    return next(each for each in window.chat.composer.thinking.menu().actions() if each.text().startswith(title))


def with_switch() -> ScriptedLoader:
    loader = ScriptedLoader()
    loader.small = ScriptedEngine("It is \\boxed{4}.").with_card(switches_thinking=True)
    loader.large = ScriptedEngine("It is \\boxed{4}.", name="large").with_card(switches_thinking=True)
    return loader


def test_off_lets_the_models_answer_at_once(make_window: Make, qtbot: QtBot) -> None:
    window = make_window(loader := with_switch())
    qtbot.waitUntil(lambda: window.session.ready)
    assert window.chat.composer.thinking.accessibleName() == "Thinking: on"
    choose(window, qtbot, "Off")
    assert window.chat.composer.thinking.accessibleName() == "Thinking: off"
    exchange = answer_to(window, qtbot, "2 + 2?")
    assert exchange.settings.thinking is False
    assert exchange.trace.started
    assert exchange.trace.started.settings["thinking"] is False
    assert not exchange.trace.thinks
    assert last_answer(window).heading.text() == "Answer"
    assert not any(session.thinks for session in loader.small.sessions)


def test_off_is_disabled_with_the_reason_where_a_model_always_thinks(make_window: Make, qtbot: QtBot) -> None:
    window = make_window()
    qtbot.waitUntil(lambda: window.models.state is LoadState.READY)
    window.chat.composer.thinking.menu().aboutToShow.emit()
    off = action(window, "Off")
    assert not off.isEnabled()
    assert "small always thinks" in off.text()
    assert "Limit its thinking" in off.toolTip()
    window.preferences.change_run(thinking=False)
    qtbot.waitUntil(lambda: window.session.ready)
    qtbot.waitUntil(lambda: window.chat.composer.thinking.accessibleName() == "Thinking: on")
    answer_to(window, qtbot, "2 + 2?")
    assert last_exchange(window).trace.thinks
    assert window.preferences.value.run.thinking is False, "kept for models that can"


def test_a_budget_closes_the_thinking(make_window: Make, qtbot: QtBot) -> None:
    loader = ScriptedLoader()
    loader.small = ScriptedEngine("word " * 600, " Four.")
    window = make_window(loader)
    qtbot.waitUntil(lambda: window.session.ready)
    window.preferences.change_run(policy=Never.Settings(), max_tokens=700)
    choose(window, qtbot, "At most 500 tokens")
    assert window.chat.composer.thinking.accessibleName() == "Thinking: at most 500 tokens"
    answer_to(window, qtbot, "2 + 2?")
    trace = last_exchange(window).trace
    assert trace.closed
    assert sum(len(piece.tokens) for piece in trace.pieces if not piece.in_answer) == 500
    choose(window, qtbot, "On")
    assert window.session.settings.limits.max_thinking_tokens == 0


def test_a_budget_of_the_settings_stands_in_the_menu(make_window: Make, qtbot: QtBot) -> None:
    window = make_window()
    limits = window.preferences.value.run.limits.model_copy(update={"max_thinking_tokens": 1234})
    window.preferences.change_run(limits=limits)
    window.chat.composer.thinking.menu().aboutToShow.emit()
    assert action(window, "At most 1,234 tokens").isChecked()


def test_a_key_opens_the_menu(window: MainWindow, qtbot: QtBot) -> None:
    menu, opened = window.chat.composer.thinking.menu(), list[bool]()

    def close() -> None:
        opened.append(True)
        QTimer.singleShot(0, menu, menu.close)

    menu.aboutToShow.connect(close)
    qtbot.keyClick(window, Qt.Key.Key_H, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    assert opened
