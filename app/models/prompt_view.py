"""What a model is given, line by line, with what its family is known for; and the chat template that makes it."""

from __future__ import annotations

from PySide6.QtGui import QColor, QFontDatabase, QTextBlockFormat, QTextCursor
from PySide6.QtWidgets import QPlainTextEdit, QPushButton, QTextEdit, QWidget

from baton_reasoning.app.shared.background import LatestTask
from baton_reasoning.app.shared.theme import Role, current_theme, set_role
from baton_reasoning.app.shared.widgets.controls import button, label
from baton_reasoning.app.shared.widgets.layout import in_row, vbox
from baton_reasoning.core.engines.chat_template import PromptLine, PromptOrigin, compared, prompt_of
from baton_reasoning.core.errors import BatonError
from baton_reasoning.core.models.catalog import Family, family_of
from baton_reasoning.core.models.gguf import GgufHeader

HEIGHT = 150
GROUND = 0.14
"""How much of a difference's colour its ground has."""


class PromptView(QWidget):
    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rendering = LatestTask(self, "render the chat template", self._show_error)
        self._lines: tuple[PromptLine, ...] = ()
        self.sentence = label("", Role.MUTED, wrap=True)
        self.prompt = QTextEdit()
        self.prompt.setReadOnly(True)
        self.prompt.setAccessibleName("What the model is given")
        self.prompt.setFixedHeight(HEIGHT)
        self.template = QPlainTextEdit()
        self.template.setReadOnly(True)
        self.template.setAccessibleName("Chat template")
        self.template.setFixedHeight(HEIGHT)
        self.switch: QPushButton = button("Show the template itself", self._turn)
        for edit in (self.prompt, self.template):
            edit.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.setLayout(vbox(self.sentence, self.prompt, in_row(self.switch), self.template, margins=0))
        current_theme().changed.connect(self._draw)

    def show_header(self, header: GgufHeader) -> None:
        """Render the chat template of a model; in another process, since a template may never come to an end."""
        template, tags, family = header.chat_template, header.thinking_tags, family_of(header.name)
        self._show_lines(())
        self.template.setPlainText(template or "")
        self.template.hide()
        self.switch.setVisible(bool(template))
        self.switch.setText("Show the template itself")
        if not template:
            self._show_status("No chat template: plain text.")
            return
        self._show_status("Rendering a conversation with it…")
        self._rendering.run(lambda: prompt_of(template, tags), lambda prompt: self._compare(prompt, family))

    def _compare(self, prompt: str, family: Family | None) -> None:
        lines = compared(prompt, family.prompt if family else prompt)
        self._show_lines(lines)
        different = sum(line.origin is not PromptOrigin.BOTH for line in lines)
        if family is None:
            self._show_status("What it makes of a conversation. No reference template to compare with.")
        elif not different:
            self._show_status(f"✓ What it makes of a conversation is what {family.name} models are known to be given.")
        else:
            self._show_status(
                f"⚠ Other than what {family.name} models are known to be given: + is here, − is not here."
            )

    def _show_lines(self, lines: tuple[PromptLine, ...]) -> None:
        self._lines = lines
        self.prompt.setVisible(bool(lines))
        self._draw()

    def _draw(self) -> None:
        """Draw the prompt, with a sign and a coloured background for each line that differs."""
        colours = current_theme().colours
        grounds = {PromptOrigin.HERE: QColor(colours.success), PromptOrigin.KNOWN: QColor(colours.danger)}
        self.prompt.clear()
        cursor = QTextCursor(self.prompt.document())
        for number, line in enumerate(self._lines):
            form = QTextBlockFormat()
            if line.origin in grounds:
                ground = grounds[line.origin]
                ground.setAlphaF(GROUND)
                form.setBackground(ground)
            if number:
                cursor.insertBlock(form)
            else:
                cursor.setBlockFormat(form)
            cursor.insertText(f"{line.origin.value} {line.text}")

    def _turn(self) -> None:
        self.template.setVisible(not self.template.isVisible())
        self.switch.setText("Hide the template" if self.template.isVisible() else "Show the template itself")

    def _show_status(self, text: str) -> None:
        self.sentence.setText(text)
        set_role(self.sentence, Role.MUTED)

    def _show_error(self, error: BatonError) -> None:
        self.sentence.setText(f"✗ {error}")
        set_role(self.sentence, Role.DANGER)
