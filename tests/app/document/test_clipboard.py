"""A step and an answer are copied as they were written; a selection as text that can be pasted."""

from __future__ import annotations

import subprocess
import sys

from PySide6.QtGui import QGuiApplication, QTextCursor, QTextDocument

from baton_reasoning.app.document import render_into
from baton_reasoning.app.document.clipboard import selected_text
from tests.app.conftest import ScriptedLoader, answer_to


def clipboard() -> str:
    return QGuiApplication.clipboard().text()


def selected(document: QTextDocument, start: int = 0, end: int | None = None) -> str:
    cursor = QTextCursor(document)
    cursor.setPosition(start)
    cursor.setPosition(document.characterCount() - 1 if end is None else end, QTextCursor.MoveMode.KeepAnchor)
    return selected_text(cursor)


def test_a_selection_across_steps_is_copied_with_its_formulas(make_window, qtbot):
    loader = ScriptedLoader()
    loader.small.texts = ("First $a^2$ is so.\n\nThen **this** follows.\n\nDone.</think>\n\n4",)
    window = make_window(loader)
    answer_to(window, qtbot, "2 + 2?")
    answer = window.chat.conversation.answers()[0]
    answer.keep_open()
    qtbot.waitUntil(lambda: answer.steps.complete and "\ufffc" in answer.steps.toPlainText())
    answer.steps.selectAll()
    answer.steps.copy()
    assert clipboard() == "First $a^2$ is so.\nThen this follows.\nDone."


def test_answer_and_step_are_copied_by_command(ask):
    window = ask("2 + 2?")
    commands = {command.title: command for command in window.commands}
    commands["Copy the answer"].act()
    assert clipboard() == "The answer is \\boxed{4}."
    window.chat.step_through(1)
    commands["Copy the step"].act()
    assert clipboard() == "First step."


def test_a_text_is_copied_with_the_sources_of_its_formulas(document, style):
    text = (
        "**so** 😀 $x^2$ or $x^2$$x^2$ and $\\nosuchcommand{x}{$\n\n- a\n- b\n\n"
        "| a | b |\n|---|---|\n| | $2$ |\n\n```python\nx = 2\n\ny = 3\n```\n\nend"
    )
    render_into(document, text, style)
    assert selected(document) == (
        "so 😀 $x^2$ or $x^2$$x^2$ and $\\nosuchcommand{x}{$\na\nb\na\tb\n\t$2$\n\n\nx = 2\n\ny = 3\n\nend"
    )


def test_a_selection_copies_only_what_it_holds(document, style):
    render_into(document, "# one 😀 $x$ two", style)
    assert selected(document, 1, 8) == "ne 😀 $x$"
    assert selected(document, 7, 8) == "$x$"
    assert selected(document, 0, 4) == "one"


def test_a_selection_that_was_copied_does_not_crash_the_program_at_its_end():
    code = """if True:
        from PySide6.QtGui import QGuiApplication
        from PySide6.QtWidgets import QApplication
        from baton_reasoning.app.document import RichText
        from baton_reasoning.app.document.clipboard import release_clipboard
        application = QApplication([])
        text = RichText()
        text.set_markdown("One **two**")
        text.selectAll()
        text.copy()
        release_clipboard()
        print(QGuiApplication.clipboard().text())
    """
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.returncode) == ("One two\n", 0)
