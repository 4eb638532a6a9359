"""A step and an answer are copied as they were written; a selection may run across steps."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtGui import QGuiApplication, QTextCursor
from pytestqt.qtbot import QtBot

from baton_reasoning.app.window.main_window import MainWindow
from tests.app.conftest import ScriptedLoader, answer_to


def clipboard() -> str:
    return QGuiApplication.clipboard().text()


def test_a_selection_across_steps_is_copied_with_its_formulas(
    make_window: Callable[..., MainWindow], qtbot: QtBot
) -> None:
    loader = ScriptedLoader()
    loader.small.texts = ("First $a^2$ is so.\n\nThen **this** follows.\n\nDone.</think>\n\n4",)
    window = make_window(loader)
    answer_to(window, qtbot, "2 + 2?")
    answer = window.chat.conversation.answers()[0]
    answer.keep_open()
    qtbot.waitUntil(lambda: answer.steps.complete and "\ufffc" in answer.steps.toPlainText())
    cursor = answer.steps.textCursor()
    cursor.setPosition(0)
    cursor.movePosition(QTextCursor.MoveOperation.End, QTextCursor.MoveMode.KeepAnchor)
    answer.steps.setTextCursor(cursor)
    answer.steps.copy()
    assert clipboard() == "First $a^2$ is so.\n\nThen this follows.\n\nDone."


def test_answer_and_step_are_copied_by_command(ask: Callable[[str], MainWindow]) -> None:
    window = ask("2 + 2?")
    commands = {command.title: command for command in window.commands}
    commands["Copy the answer"].act()
    assert clipboard() == "The answer is \\boxed{4}."
    window.chat.step_through(1)
    commands["Copy the step"].act()
    assert clipboard() == "First step."
