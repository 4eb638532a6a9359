"""Which policy and preset the next answer uses, as a button of the top bar."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QMenu, QWidget

from app.shared.loaded_models import LoadedModels, LoadState
from app.shared.preferences import Preferences
from app.shared.widgets.controls import ElidedButton, plain_tip
from core.run import unmet_need
from core.thinking.registry import POLICIES, matching_preset, settings_for

WHY_NOT = "   ✗ "
"""Separates a policy from why it cannot be chosen."""


class PolicyButton(ElidedButton):
    parameters_wanted = Signal()

    def __init__(self, models: LoadedModels, preferences: Preferences, parent: QWidget | None = None) -> None:
        super().__init__(parent=parent)
        self._models = models
        self._preferences = preferences
        self._menu = QMenu(self)
        self._menu.setToolTipsVisible(True)
        self.setMenu(self._menu)
        self._choices: dict[tuple[str, str], QAction] = {}
        group = QActionGroup(self)
        controls = False
        for name, kind in POLICIES.items():
            if kind.needs.expected_answer:  # which no question in a chat has
                continue
            if kind.is_control and not controls:
                controls = True
                self._menu.addSeparator()
            for preset in kind.presets:
                self._add(group, name, preset, f"{kind.title}: {preset} preset")
            if not kind.presets:
                self._add(group, name, "", kind.title)
        self._menu.addSeparator()
        self._menu.addAction("Parameters…", self.parameters_wanted.emit)
        preferences.changed.connect(self._show)
        models.changed.connect(self._allow)
        self._show()

    def choose(self, policy: str, preset: str = "") -> None:
        chosen = settings_for(policy, self._preferences.value.run.policy)
        self._preferences.change_run(policy=POLICIES[policy].presets[preset] if preset else chosen)

    def _add(self, group: QActionGroup, policy: str, preset: str, title: str) -> None:
        action = self._menu.addAction(title, lambda: self.choose(policy, preset))
        action.setCheckable(True)
        action.setToolTip(POLICIES[policy].summary)
        group.addAction(action)
        self._choices[policy, preset] = action

    def _allow(self) -> None:
        """Disable policies that these models cannot run, with the reason."""
        pair, ready = self._models.pair, self._models.state is LoadState.READY
        for (policy, _), action in self._choices.items():
            why_not = unmet_need(POLICIES[policy], pair.cards) if ready else None
            title, _, _ = action.text().partition(WHY_NOT)
            action.setEnabled(why_not is None)
            action.setText(f"{title}{WHY_NOT}{why_not.message}" if why_not else title)
            action.setToolTip(str(why_not) if why_not else POLICIES[policy].summary)

    def _show(self) -> None:
        chosen = self._preferences.value.run.policy
        kind, preset = POLICIES.of(chosen), matching_preset(chosen)
        for choice, action in self._choices.items():
            action.setChecked(choice == (chosen.policy, preset))
        text = f"{kind.title} ({preset or 'own values'})" if kind.presets else kind.title
        self.setText(f"{text}  ")
        self.setAccessibleName(f"Policy: {text}")
        self.setToolTip(plain_tip(f"Policy: {text}. {kind.summary}\nWhen the large model takes over (Ctrl+P)"))
