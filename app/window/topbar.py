"""The bar at the top: the pages, the two models, the policy, the look, the settings."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QButtonGroup, QFrame, QHBoxLayout, QWidget

from baton_reasoning.app.session.loaded_models import LoadedModels
from baton_reasoning.app.session.preferences import Preferences
from baton_reasoning.app.toolkit.controls import IconButton, SwitchButton, label
from baton_reasoning.app.toolkit.layout import STRETCH, hbox
from baton_reasoning.app.toolkit.theme import Role, current_theme, set_role
from baton_reasoning.app.window.model_button import ModelButton
from baton_reasoning.app.window.policy_menu import PolicyButton


class TopBar(QWidget):
    page_wanted = Signal(str)
    look_wanted = Signal()
    settings_wanted = Signal()
    sidebar_wanted = Signal()
    inspector_wanted = Signal()

    def __init__(self, models: LoadedModels, preferences: Preferences, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        set_role(self, Role.BAR)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._name = label("Baton", Role.HEADING)
        self.pair = ModelButton(models, preferences)
        self.policy = PolicyButton(models, preferences)
        self._look = IconButton("moon", "Light or dark (Ctrl+Shift+L)", self.look_wanted.emit)
        self._pages = QButtonGroup(self)
        self._pages.setExclusive(True)
        self._segments = QFrame()
        set_role(self._segments, Role.CARD)
        self._segment_row = QHBoxLayout(self._segments)
        self._segment_row.setContentsMargins(1, 1, 1, 1)
        self._segment_row.setSpacing(0)
        self._segments.hide()
        self.setLayout(
            hbox(
                IconButton("panel-left", "Conversations (Ctrl+B)", self.sidebar_wanted.emit),
                self._name,
                self._segments,
                STRETCH,
                self.pair,
                self.policy,
                self._look,
                IconButton("settings", "Settings (Ctrl+,)", self.settings_wanted.emit),
                IconButton("panel", "Inspector (Ctrl+I)", self.inspector_wanted.emit),
                margins=(8, 6, 12, 6),
                spacing=8,
            )
        )
        current_theme().changed.connect(self._draw)
        self._draw()

    def add_page(self, name: str, title: str) -> None:
        """Add a page to the page switch, which is visible once there are two."""
        page = SwitchButton(title)
        page.setProperty("page", name)
        set_role(page, Role.FLAT)
        page.clicked.connect(lambda: self.page_wanted.emit(name))
        self._pages.addButton(page)
        self._segment_row.addWidget(page)
        self._segments.setVisible(len(self._pages.buttons()) > 1)

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

    def _draw(self) -> None:
        colours = current_theme().colours
        is_dark = colours.background < colours.text
        self._look.show_picture("sun" if is_dark else "moon")
