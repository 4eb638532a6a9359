"""The header: the pages, the two models, the policy, and a menu with the rest."""

from __future__ import annotations

from itertools import pairwise

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtWidgets import QButtonGroup, QMenu, QWidget

from baton_reasoning.app.session.loaded_models import LoadedModels
from baton_reasoning.app.session.preferences import Preferences
from baton_reasoning.app.toolkit.controls import IconButton, SwitchButton, label
from baton_reasoning.app.toolkit.layout import STRETCH, hbox
from baton_reasoning.app.toolkit.theme import Role, set_role
from baton_reasoning.app.window.model_button import ModelButton
from baton_reasoning.app.window.policy_menu import PolicyButton


class TopBar(QWidget):
    page_wanted = Signal(str)

    def __init__(self, models: LoadedModels, preferences: Preferences) -> None:
        super().__init__()
        set_role(self, Role.BAR)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._name = label("Baton", Role.HEADING)
        self.pair = ModelButton(models, preferences)
        self._pages = QButtonGroup(self)
        self._tab_row = hbox(margins=0, spacing=18)
        self.policy = PolicyButton(models, preferences)
        self.menu = QMenu(self)
        """What the header has no room for."""
        self.more = IconButton("more", "More: all commands, settings, shortcuts", self._show_menu)
        self.setLayout(
            hbox(
                self._name,
                self._tab_row,
                STRETCH,
                self.pair,
                self.policy,
                self.more,
                margins=(16, 6, 12, 6),
                spacing=16,
            )
        )

    def add_page(self, name: str, title: str) -> None:
        """Add a page to the tabs."""
        page = SwitchButton(title)
        page.setProperty("page", name)
        set_role(page, Role.TAB)
        page.clicked.connect(lambda: self.page_wanted.emit(name))
        earlier = self._pages.buttons()
        self._pages.addButton(page)
        self._tab_row.addWidget(page)
        order = (earlier[-1], page) if earlier else (page, self.pair, self.policy, self.more)
        for before, after in pairwise(order):
            QWidget.setTabOrder(before, after)

    def show_badge(self, name: str, sign: str, text: str) -> None:
        """Put a sign beside the title of a page, and its meaning into its tool tip and accessible name; "" takes it."""
        for page in self._pages.buttons():
            if page.property("page") == name:
                title = page.text().split(" ")[0]
                page.setText(f"{title} {sign}".strip())
                page.setToolTip(text)
                page.setAccessibleName(f"{title}, {text}" if text else title)
                page.updateGeometry()

    def show_narrow(self, narrow: bool) -> None:
        """Leave out what a narrow window has no room for."""
        self._name.setVisible(not narrow)
        self.pair.show_narrow(narrow)

    def show_page(self, name: str) -> None:
        for page in self._pages.buttons():
            page.setChecked(page.property("page") == name)

    def _show_menu(self) -> None:
        below = self.more.mapToGlobal(QPoint(self.more.width(), self.more.height()))
        self.menu.popup(below - QPoint(self.menu.sizeHint().width(), 0))
