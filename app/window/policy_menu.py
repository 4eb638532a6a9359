"""Which policy and preset the next answer uses, as a button of the top bar."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QMenu, QPushButton, QWidget

from app.shared.labels import PRESET_POLICY
from app.shared.loaded_models import LoadedModels, LoadState
from app.shared.preferences import Preferences
from core.run import obstacle
from core.settings import matching_preset
from core.thinking.policies import POLICIES
from core.thinking.presets import PRESETS

WHY_NOT = "   ✗ "
"""Between a policy and why it cannot be chosen."""


class PolicyButton(QPushButton):
    parameters_wanted = Signal()

    def __init__(self, models: LoadedModels, preferences: Preferences, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._models = models
        self._preferences = preferences
        self.setAccessibleName("Policy")
        self.setToolTip("When the large model takes over (Ctrl+P)")
        self._menu = QMenu(self)
        self._menu.setToolTipsVisible(True)
        self.setMenu(self._menu)
        self._choices: dict[tuple[str, str], QAction] = {}
        group = QActionGroup(self)
        for preset in PRESETS:
            self._add(group, PRESET_POLICY, preset, f"{POLICIES[PRESET_POLICY].title}: {preset} preset")
        self._menu.addSeparator()
        for name, kind in POLICIES.items():
            if name != PRESET_POLICY:
                self._add(group, name, "", kind.title)
        self._menu.addSeparator()
        self._menu.addAction("Parameters …", self.parameters_wanted.emit)
        preferences.changed.connect(self._show)
        models.changed.connect(self._allow)
        self._show()

    def choose(self, policy: str, preset: str = "") -> None:
        run = self._preferences.value.run.model_copy(update={"policy": policy})
        if preset:
            parameters = run.parameters.model_copy(update=PRESETS[preset].model_dump())
            run = run.model_copy(update={"parameters": parameters})
        self._preferences.change(run=run)

    def _add(self, group: QActionGroup, policy: str, preset: str, title: str) -> None:
        action = self._menu.addAction(title, lambda: self.choose(policy, preset))
        action.setCheckable(True)
        group.addAction(action)
        self._choices[policy, preset] = action

    def _allow(self) -> None:
        """What the two models cannot do is not to be chosen, and says why."""
        pair, ready = self._models.pair, self._models.state is LoadState.READY
        for (policy, _), action in self._choices.items():
            why_not = obstacle(policy, pair) if ready else None
            title, _, _ = action.text().partition(WHY_NOT)
            action.setEnabled(why_not is None)
            action.setText(f"{title}{WHY_NOT}{why_not.message}" if why_not else title)
            action.setToolTip(str(why_not) if why_not else "")

    def _show(self) -> None:
        settings = self._preferences.value
        policy = settings.run.policy
        preset = matching_preset(settings.run.parameters) if policy == PRESET_POLICY else ""
        for choice, action in self._choices.items():
            action.setChecked(choice == (policy, preset))
        kind = POLICIES.get(policy)
        title = kind.title if kind else policy
        self.setText(f"{title} ({preset or 'own values'})  " if policy == PRESET_POLICY else f"{title}  ")
