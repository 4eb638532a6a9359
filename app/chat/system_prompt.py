"""The system prompt of a conversation: shown above it, and edited in a dialog."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QDialog, QPlainTextEdit, QWidget

from baton_reasoning.app.toolkit.controls import ElidedLabel, button, label
from baton_reasoning.app.toolkit.layout import STRETCH, hbox, vbox
from baton_reasoning.app.toolkit.theme import Role

EXPLANATION = (
    "Both models read it before the first problem. It holds for this conversation from the next answer on; "
    "a model whose chat template has no system prompt gets it at the head of the first problem."
)


class SystemPromptRow(QWidget):
    """The system prompt in a line; hidden if there is none."""

    edit_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.text = ElidedLabel("", Role.MUTED)
        edit = button(
            "Edit…",
            self.edit_wanted.emit,
            Role.FLAT,
            "Edit the system prompt (Ctrl+Shift+Y)",
            name="Edit the system prompt",
        )
        self.setLayout(hbox(label("System prompt", Role.HEADING), (self.text, 1), edit, margins=(26, 4, 20, 4)))
        self.hide()

    def show_prompt(self, prompt: str) -> None:
        self.text.setText(" ".join(prompt.split()))
        self.text.setAccessibleName(f"System prompt: {prompt}")
        self.setVisible(bool(prompt.strip()))


class SystemPromptDialog(QDialog):
    saved = Signal(str, bool)
    """The text, and whether new conversations begin with it as well."""

    def __init__(self, prompt: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("System prompt")
        self.edit = QPlainTextEdit(prompt)
        self.edit.setAccessibleName("System prompt")
        self.edit.setPlaceholderText("For example: Answer in one sentence.")
        self.edit.setTabChangesFocus(True)
        self.for_new = QCheckBox("Also for new conversations and batches")
        text = label(EXPLANATION, Role.MUTED, wrap=True)
        self.save = button("Save", self._save, Role.PRIMARY)
        buttons = hbox(
            button("Clear", self.edit.clear, tip="No system prompt"), STRETCH, button("Cancel", self.reject), self.save
        )
        self.setLayout(vbox(text, (self.edit, 1), self.for_new, buttons, margins=(20, 18, 20, 18), spacing=12))
        self.resize(560, 340)
        self.edit.setFocus()

    def _save(self) -> None:
        self.saved.emit(self.edit.toPlainText().strip(), self.for_new.isChecked())
        self.accept()
