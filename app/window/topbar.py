"""The header: the pages, the two models, the policy, and a menu with the rest."""

from __future__ import annotations

from itertools import pairwise

from PySide6.QtCore import QPoint, Signal
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QMenu, QWidget

from baton_reasoning.app.session.loaded_models import LoadedModels, LoadState
from baton_reasoning.app.session.preferences import Preferences
from baton_reasoning.app.toolkit.controls import ElidedButton, IconButton, SwitchButton, literal, plain_tip, with_key
from baton_reasoning.app.toolkit.layout import STRETCH, hbox
from baton_reasoning.app.toolkit.theme import Role, set_role
from baton_reasoning.app.window.model_button import ModelButton
from baton_reasoning.app.window.page_actions import PageActions
from baton_reasoning.core.demo_pair import DEMO_SETTINGS
from baton_reasoning.core.thinking.registry import (
    AUTOMATIC_POLICY,
    COMMON_POLICIES,
    POLICIES,
    matching_preset,
    policy_summary,
    policy_title,
    preset_title,
    settings_for,
)
from baton_reasoning.core.thinking.requirements import unmet_need


class TopBar(QWidget):
    page_wanted = Signal(str)

    def __init__(self, models: LoadedModels, preferences: Preferences, actions: PageActions) -> None:
        super().__init__()
        set_role(self, Role.BAR)
        self.pair = ModelButton(models, preferences, actions)
        self._tabs: dict[str, SwitchButton] = {}
        self._tab_row = hbox(margins=0, spacing=18)
        self.policy = PolicyButton(models, preferences, actions)
        self.menu = QMenu(self)
        """What the header has no room for."""
        self.more = IconButton("more", "More: all commands, settings, shortcuts", self._show_menu)
        parts = (self._tab_row, STRETCH, self.pair, self.policy, self.more)
        self.setLayout(hbox(*parts, margins=(16, 6, 12, 6), spacing=16))

    def add_page(self, name: str, title: str) -> None:
        """Add a page to the tabs."""
        page = SwitchButton(title)
        page.setAutoExclusive(True)
        set_role(page, Role.TAB)
        page.clicked.connect(lambda: self.page_wanted.emit(name))
        earlier = list(self._tabs.values())
        self._tabs[name] = page
        self._tab_row.addWidget(page)
        order = (earlier[-1], page) if earlier else (page, self.pair, self.policy, self.more)
        for before, after in pairwise(order):
            QWidget.setTabOrder(before, after)

    def show_badge(self, name: str, sign: str, text: str) -> None:
        """Put a sign beside the title of a page, and its meaning into its tool tip and accessible name; "" takes it."""
        page = self._tabs[name]
        title = page.text().split(" ")[0]
        page.setText(f"{title} {sign}".strip())
        page.setToolTip(text)
        page.setAccessibleName(f"{title}, {text}" if text else title)
        page.updateGeometry()

    def show_page(self, name: str) -> None:
        for each, page in self._tabs.items():
            page.setChecked(each == name)

    def _show_menu(self) -> None:
        below = self.more.mapToGlobal(QPoint(self.more.width(), self.more.height()))
        self.menu.popup(below - QPoint(self.menu.sizeHint().width(), 0))


class PolicyButton(ElidedButton):
    """Which policy and preset the next answer uses.

    Its menu has the common policies; the others, and further presets, are in the menu “More…”.
    """

    LEAST = 12  # a short title, so that a narrow window leaves it and the tabs whole

    def __init__(self, models: LoadedModels, preferences: Preferences, actions: PageActions) -> None:
        super().__init__()
        self._models = models
        self._preferences = preferences
        menu = QMenu(self)
        self.setMenu(menu)
        more = QMenu("More…", menu)
        group = QActionGroup(self)
        self._choices: dict[tuple[str, str], QAction] = {}
        every = [(name, preset) for name, kind in POLICIES.items() for preset in kind.presets or [""]]
        common = [(name, next(iter(POLICIES[name].presets), "")) for name in (AUTOMATIC_POLICY, *COMMON_POLICIES)]
        for choice in (*common, *(each for each in every if each not in common)):
            action = QAction(group, checkable=True)
            action.triggered.connect(lambda _checked, choice=choice: self.choose(*choice))
            (menu if choice in common else more).addAction(action)
            self._choices[choice] = action
        menu.addSeparator()
        menu.addMenu(more)
        menu.addAction("Parameters…", lambda: actions.show_settings("policy"))
        preferences.changed.connect(self._show)
        for refresh in (self._allow, self._show):
            models.changed.connect(refresh)
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
            action.setText(literal(f"{preset_title(policy, preset)}\t{line}"))
            action.setToolTip(plain_tip(str(why_not)) if why_not else "")

    def _show(self) -> None:
        settings = self._preferences.value
        chosen, used = settings.run.policy, settings.effective_run(self._models.cards_of(settings.models)).policy
        for choice, action in self._choices.items():
            action.setChecked(choice == (chosen.policy, matching_preset(chosen)))
        kind, preset, text = POLICIES.of(used), matching_preset(used), policy_title(used, DEMO_SETTINGS.policy)
        self.setText(f"{text}  ")
        if used.policy != chosen.policy:
            text += ", chosen automatically"
        self.setAccessibleName(f"Policy: {text}")
        when = with_key("When the large model writes", "Ctrl+P")
        self.setToolTip(plain_tip(f"Policy: {text}. {policy_summary(kind, preset)}\n{when}"))
