"""Which policy and preset the next answer uses, as a button of the header."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QMenu

from baton_reasoning.app.session.loaded_models import LoadedModels, LoadState
from baton_reasoning.app.session.preferences import Preferences
from baton_reasoning.app.toolkit.controls import ElidedButton, plain_tip
from baton_reasoning.core.demo_pair import DEMO_SETTINGS
from baton_reasoning.core.run import unmet_need
from baton_reasoning.core.thinking.registry import (
    COMMON_POLICIES,
    POLICIES,
    matching_preset,
    policy_summary,
    policy_title,
    preset_title,
    settings_for,
)


class PolicyButton(ElidedButton):
    """Its menu has the common policies; the others, and further presets, are in the menu “More…”."""

    parameters_wanted = Signal()
    LEAST = 17  # a short title, which a narrow window leaves whole

    def __init__(self, models: LoadedModels, preferences: Preferences) -> None:
        super().__init__()
        self._models = models
        self._preferences = preferences
        menu = QMenu(self)
        self.setMenu(menu)
        more = QMenu("More…", menu)
        group = QActionGroup(self)
        self._choices: dict[tuple[str, str], QAction] = {}
        every = [(name, preset) for name, kind in POLICIES.items() for preset in kind.presets or [""]]
        common = [(name, next(iter(POLICIES[name].presets), "")) for name in COMMON_POLICIES]
        for choice in (*common, *(each for each in every if each not in common)):
            action = QAction(group, checkable=True)
            action.triggered.connect(lambda _checked, choice=choice: self.choose(*choice))
            (menu if choice in common else more).addAction(action)
            self._choices[choice] = action
        menu.addSeparator()
        menu.addMenu(more)
        menu.addAction("Parameters…", self.parameters_wanted.emit)
        preferences.changed.connect(self._show)
        models.changed.connect(self._allow)
        self._allow()
        self._show()

    def choose(self, policy: str, preset: str = "") -> None:
        chosen = settings_for(policy, self._preferences.value.run.policy)
        self._preferences.change_run(policy=POLICIES[policy].presets[preset] if preset else chosen)

    def _allow(self) -> None:
        """Disable policies that these models cannot run, with the reason in place of the summary, in the column where
        other menus have their keys.

        What would help would make the menu wider than the window; it is in the tip, which screen readers read.
        """
        pair, ready = self._models.pair, self._models.state is LoadState.READY
        for (name, preset), action in self._choices.items():
            policy = POLICIES[name]
            why_not = unmet_need(policy, pair.cards) if ready else None
            action.setEnabled(why_not is None)
            line = f"✗ {why_not.message}" if why_not else policy_summary(policy, preset)
            action.setText(f"{preset_title(policy, preset)}\t{line}")
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
