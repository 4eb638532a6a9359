"""Text is copied as plain text or as Markdown; a selection may run across steps."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtGui import QGuiApplication, QTextCursor
from PySide6.QtWidgets import QMenu
from pytestqt.qtbot import QtBot

from baton_reasoning.app.shared.rendering import CopyFormat
from baton_reasoning.app.shared.steps.clipboard import add_copies, copy_selection, copy_text
from baton_reasoning.app.window.main_window import MainWindow
from tests.app.conftest import ScriptedLoader

pytestmark = pytest.mark.qt_log_ignore("This plugin does not support")
TEXT = "**So** \\boxed{4}, at 100%:\n\n$$x = 2$$\n\n- one"


def clipboard() -> str:
    return QGuiApplication.clipboard().text()


@pytest.mark.parametrize(
    ("form", "wanted"),
    [
        (CopyFormat.TEXT, "So \\boxed{4}, at 100%:\n\n$$x = 2$$\n\n• one"),
        (CopyFormat.MARKDOWN, TEXT),
    ],
)
def test_a_text_is_copied_in_both_formats(qapp: object, form: CopyFormat, wanted: str) -> None:
    copy_text(TEXT, form)
    assert clipboard() == wanted


def test_a_formula_that_cannot_be_set_is_copied_too(qapp: object) -> None:
    copy_text("Take $\\nosuchcommand{x}{$.", CopyFormat.TEXT)
    assert "nosuchcommand" in clipboard()


def test_the_menu_offers_both_formats(qtbot: QtBot) -> None:
    asked: list[CopyFormat] = []
    menu = QMenu()
    qtbot.addWidget(menu)
    add_copies(menu, "the step", asked.append)
    forms = menu.actions()[0].menu()
    assert isinstance(forms, QMenu)
    for action in forms.actions():
        action.trigger()
    assert asked == list(CopyFormat)
    assert [action.text() for action in forms.actions()] == ["Text", "Markdown"]


def test_a_selection_across_steps_is_copied_with_its_formulas(
    make_window: Callable[..., MainWindow], qtbot: QtBot
) -> None:
    loader = ScriptedLoader()
    loader.small.texts = ("First $a^2$ is so.\n\nThen **this** follows.\n\nDone.</think>\n\n4",)
    window = make_window(loader)
    qtbot.waitUntil(lambda: window.session.ready)
    window.session.ask("2 + 2?")
    qtbot.waitUntil(lambda: window.session.ready and bool(window.session.conversation.leaf))
    answer = window.chat.conversation.answers()[0]
    answer.keep_open()
    qtbot.waitUntil(lambda: answer.steps.complete and "\ufffc" in answer.steps.toPlainText())
    cursor = answer.steps.textCursor()
    cursor.setPosition(0)
    cursor.movePosition(QTextCursor.MoveOperation.End, QTextCursor.MoveMode.KeepAnchor)
    answer.steps.setTextCursor(cursor)
    answer.steps.copy()
    assert clipboard() == "First $a^2$ is so.\n\nThen this follows.\n\nDone."
    copy_selection(answer.steps, CopyFormat.MARKDOWN)
    assert clipboard() == "First $a^2$ is so.\n\nThen **this** follows.\n\nDone."


def test_answer_and_step_are_copied_by_command(ask: Callable[[str], MainWindow]) -> None:
    window = ask("2 + 2?")
    commands = {command.title: command for command in window.commands}
    commands["Copy the answer as Markdown"].act()
    assert clipboard() == "The answer is \\boxed{4}."
    window.chat.step_through(1)
    commands["Copy the step as text"].act()
    assert clipboard() == "First step."
