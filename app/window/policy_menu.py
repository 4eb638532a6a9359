"""Which policy and preset the next answer uses, as a button of the top bar."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QMenu, QWidget

from baton_reasoning.app.session.loaded_models import LoadedModels, LoadState
from baton_reasoning.app.session.preferences import Preferences
from baton_reasoning.app.toolkit.controls import ElidedButton, plain_tip
from baton_reasoning.core.demo_pair.settings import DEMO_SETTINGS
from baton_reasoning.core.run import unmet_need
from baton_reasoning.core.thinking.registry import (
    POLICIES,
    matching_preset,
    policy_summary,
    policy_title,
    preset_title,
    settings_for,
)


class PolicyButton(ElidedButton):
    parameters_wanted = Signal()

    def __init__(self, models: LoadedModels, preferences: Preferences, parent: QWidget | None = None) -> None:
        super().__init__(parent=parent)
        self._models = models
        self._preferences = preferences
        self._menu = QMenu(self)
        self.setMenu(self._menu)
        self._choices: dict[tuple[str, str], QAction] = {}
        group = QActionGroup(self)
        controls = False
        for name, kind in POLICIES.items():
            if kind.is_control and not controls:
                controls = True
                self._menu.addSeparator()
            for preset in kind.presets or [""]:
                self._add(group, name, preset)
        self._menu.addSeparator()
        self._menu.addAction("Parameters…", self.parameters_wanted.emit)
        preferences.changed.connect(self._show)
        models.changed.connect(self._allow)
        self._show()

    def choose(self, policy: str, preset: str = "") -> None:
        chosen = settings_for(policy, self._preferences.value.run.policy)
        self._preferences.change_run(policy=POLICIES[policy].presets[preset] if preset else chosen)

    def _add(self, group: QActionGroup, policy: str, preset: str) -> None:
        action = self._menu.addAction("", lambda: self.choose(policy, preset))
        action.setCheckable(True)
        group.addAction(action)
        self._choices[policy, preset] = action
        self._describe(policy, preset, policy_summary(POLICIES[policy], preset))

    def _describe(self, policy: str, preset: str, line: str) -> None:
        """Show a line beside a policy, in the column where other menus have their keys."""
        self._choices[policy, preset].setText(f"{preset_title(POLICIES[policy], preset)}\t{line}")

    def _allow(self) -> None:
        """Disable policies that these models cannot run, with the reason in place of the summary.

        What would help would make the menu wider than the window; it is in the tip, which screen readers read.
        """
        pair, ready = self._models.pair, self._models.state is LoadState.READY
        for (policy, preset), action in self._choices.items():
            why_not = unmet_need(POLICIES[policy], pair.cards) if ready else None
            action.setEnabled(why_not is None)
            line = f"✗ {why_not.message}" if why_not else policy_summary(POLICIES[policy], preset)
            self._describe(policy, preset, line)
            action.setToolTip(plain_tip(str(why_not)) if why_not else "")

    def _show(self) -> None:
        chosen = self._preferences.value.run.policy
        kind, preset = POLICIES.of(chosen), matching_preset(chosen)
        for choice, action in self._choices.items():
            action.setChecked(choice == (chosen.policy, preset))
        text = policy_title(chosen, DEMO_SETTINGS.policy)
        self.setText(f"{text}  ")
        self.setAccessibleName(f"Policy: {text}")
        self.setToolTip(
            plain_tip(f"Policy: {text}. {policy_summary(kind, preset)}\nWhen the large model writes (Ctrl+P)")
        )
