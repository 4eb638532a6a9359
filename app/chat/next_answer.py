"""What holds for the next answer: its system prompt, how long the models think, its seed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtGui import QActionGroup
from PySide6.QtWidgets import QDialog, QInputDialog, QMenu, QPlainTextEdit, QWidget

from baton_reasoning.app.session.chat_session import ChatSession
from baton_reasoning.app.toolkit.controls import button, key_text, label, literal
from baton_reasoning.app.toolkit.layout import STRETCH, hbox, vbox
from baton_reasoning.app.toolkit.theme import Role
from baton_reasoning.core.text import counted
from baton_reasoning.core.words.labels import thinking_text

BUDGETS = (500, 2_000, 8_000)
"""Tokens. The settings take any number."""
LARGEST_SEED = 2**31 - 1
EXPLANATION = (
    "Both models read it before the first problem. It holds for this conversation from the next answer on; "
    "a model whose chat template has no system prompt gets it at the head of the first problem."
)


class NextAnswerMenu(QMenu):
    """The menu behind the + of the composer."""

    def __init__(self, session: ChatSession, parent: QWidget) -> None:
        super().__init__(parent)
        self._session, self._preferences = session, session.preferences
        self.setToolTipsVisible(True)

    def fill(self, edit_system: Callable[[], object], compare: Callable[[], object]) -> None:
        """Offer what can be chosen now, with what holds checked."""
        self.clear()
        settings = self._session.settings
        self.addAction(f"System prompt…\t{key_text('Ctrl+Shift+Y')}", edit_system)
        self.addAction(f"Seed: {settings.seed}…", self._choose_seed)
        self.addAction(f"Compare…\t{key_text('Ctrl+D')}", compare).setEnabled(self._session.ready)
        self.addSection("Thinking")
        group = QActionGroup(self)
        budget = settings.limits.max_thinking_tokens if settings.thinking else 0
        budgets = sorted({*BUDGETS, *([budget] if budget else [])})
        limits = [(f"At most {counted(tokens, 'token')}", tokens == budget, True, tokens) for tokens in budgets]
        choices = [
            ("Thinking on", settings.thinking and not budget, True, 0),
            ("Thinking off", not settings.thinking, False, 0),
            *limits,
        ]
        for title, is_chosen, thinking, tokens in choices:
            action = self.addAction(title, partial(self._choose_thinking, thinking, tokens))
            action.setCheckable(True)
            action.setChecked(is_chosen)
            group.addAction(action)
            if not thinking and (error := self._session.thinks_always):
                action.setEnabled(False)
                action.setText(literal(f"{title}   ✗ {error.message}"))
                action.setToolTip(str(error))

    def summary(self) -> str:
        """Return what holds for the next answer and is not usual, in a line."""
        settings = self._session.settings
        thinking = thinking_text(settings)
        parts = [] if thinking == "on" else [f"Thinking: {thinking}"]
        if system := " ".join(settings.system.split()):
            parts.append(f"System prompt: {system}")
        return " · ".join(parts)

    def _choose_thinking(self, thinking: bool, budget: int) -> None:
        limits = self._preferences.value.run.limits.model_copy(update={"max_thinking_tokens": budget})
        self._preferences.change_run(thinking=thinking, limits=limits)

    def _choose_seed(self) -> None:
        now = self._preferences.value.run.seed
        seed, agreed = QInputDialog.getInt(
            self.parentWidget(), "Seed", "The same seed writes the same answer again:", now, 0, LARGEST_SEED
        )
        if agreed:
            self._preferences.change_run(seed=seed)


class SystemPromptDialog(QDialog):
    """Edits the system prompt of this conversation; that of new ones is a setting."""

    def __init__(self, session: ChatSession, parent: QWidget) -> None:
        super().__init__(parent)
        self._session = session
        self.setWindowTitle("System prompt")
        self.edit = QPlainTextEdit(session.system)
        self.edit.setAccessibleName("System prompt")
        self.edit.setPlaceholderText("For example: Answer in one sentence.")
        self.edit.setTabChangesFocus(True)
        self.save = button("Save", self._save, Role.PRIMARY)
        clear = button("Clear", self.edit.clear, tip="No system prompt")
        buttons = hbox(clear, STRETCH, button("Cancel", self.reject), self.save)
        explanation = label(EXPLANATION, Role.MUTED, wrap=True)
        parts = (explanation, (self.edit, 1), buttons)
        self.setLayout(vbox(*parts, margins=(20, 18, 20, 18), spacing=12))
        self.resize(560, 340)
        self.edit.setFocus()

    def _save(self) -> None:
        self._session.change_system(self.edit.toPlainText().strip())
        self.accept()
