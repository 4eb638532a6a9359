"""The settings: every change holds at once, and can be reset by itself."""

from __future__ import annotations

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QDialog, QHBoxLayout, QLineEdit, QScrollArea, QVBoxLayout, QWidget

from app.shared.forms.form import SettingsForm
from app.shared.preferences import Preferences
from app.shared.theme import Role
from app.shared.widgets.controls import button
from core.settings import Settings


class SettingsDialog(QDialog):
    def __init__(self, preferences: Preferences, parent: QWidget, section: str = "") -> None:
        super().__init__(parent)
        self.setWindowTitle("Settings")
        self._preferences = preferences
        self.form = SettingsForm(preferences.value, Settings())
        self.form.changed.connect(preferences.replace)
        preferences.changed.connect(self._show)
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search settings")
        self.search.setAccessibleName("Search settings")
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self.form.search)
        self._scroll = QScrollArea()
        self._scroll.setWidgetResizable(True)
        self._scroll.setWidget(self.form)
        self.form.setContentsMargins(4, 4, 12, 12)
        row = QHBoxLayout()
        row.addStretch()
        row.addWidget(button("Close", self.accept, Role.PRIMARY))
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 14, 16, 12)
        column.setSpacing(10)
        column.addWidget(self.search)
        column.addWidget(self._scroll, 1)
        column.addLayout(row)
        self.resize(620, 640)
        if head := self.form.head(section) if section else None:
            QTimer.singleShot(0, self, lambda: self._scroll.verticalScrollBar().setValue(head.y() - 4))

    def _show(self) -> None:
        self.form.show_value(self._preferences.value)
