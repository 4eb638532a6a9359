"""How long the models think before the next answer: as long as they like, not at all, or so many tokens."""

from __future__ import annotations

from PySide6.QtCore import QSize
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QMenu, QWidget

from baton_reasoning.app.session.chat_session import ChatSession
from baton_reasoning.app.session.preferences import Preferences
from baton_reasoning.app.toolkit.controls import ElidedButton, plain_tip
from baton_reasoning.app.toolkit.theme import Role, set_role
from baton_reasoning.core.words.labels import thinking_text
from baton_reasoning.core.words.numbers import count

BUDGETS = (500, 2_000, 8_000)
"""Tokens. The settings take any number."""


class ThinkingButton(ElidedButton):
    """Says what holds for the next answer; its menu changes it."""

    def __init__(self, session: ChatSession, preferences: Preferences, parent: QWidget | None = None) -> None:
        super().__init__(parent=parent)
        self._session = session
        self._preferences = preferences
        set_role(self, Role.FLAT)
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        menu.aboutToShow.connect(self._fill)
        self.setMenu(menu)
        preferences.changed.connect(self._show)
        session.models.changed.connect(self._show)
        self._show()

    def minimumSizeHint(self) -> QSize:
        """Leave the room to the problem where the window is narrow and the text large."""
        return QSize(3 * self.fontMetrics().averageCharWidth(), self.sizeHint().height())

    def _fill(self) -> None:
        menu, settings = self.menu(), self._session.settings
        menu.clear()
        group = QActionGroup(menu)
        budget = settings.limits.max_thinking_tokens if settings.thinking else 0
        self._add(group, "On", settings.thinking and not budget, thinking=True)
        off = self._add(group, "Off", not settings.thinking, thinking=False)
        if error := self._session.thinks_always:
            off.setEnabled(False)
            off.setText(f"Off   ✗ {error.message}")
            off.setToolTip(str(error))
        for tokens in sorted({*BUDGETS, *([budget] if budget else [])}):
            self._add(group, f"At most {count(tokens, 'token')}", tokens == budget, thinking=True, budget=tokens)

    def _add(self, group: QActionGroup, title: str, is_chosen: bool, *, thinking: bool, budget: int = 0) -> QAction:
        action = self.menu().addAction(title, lambda: self._choose(thinking, budget))
        action.setCheckable(True)
        action.setChecked(is_chosen)
        group.addAction(action)
        return action

    def _choose(self, thinking: bool, budget: int) -> None:
        limits = self._preferences.value.run.limits.model_copy(update={"max_thinking_tokens": budget})
        self._preferences.change_run(thinking=thinking, limits=limits)

    def _show(self) -> None:
        text = thinking_text(self._session.settings)
        self.setText(f"Thinking: {text}  ")
        self.setAccessibleName(f"Thinking: {text}")
        self.setToolTip(plain_tip("Let the models think, or not, or for so many tokens (Ctrl+Shift+H)"))
