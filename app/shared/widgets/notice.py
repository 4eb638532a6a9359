"""The notice bar: errors and messages, with actions. It never interrupts."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QWidget

from app.shared.theme import Role, current_theme, icon, set_role
from app.shared.widgets.controls import IconButton, button, label

Way = tuple[str, Callable[[], object]]
"""A way on: what its button says, and what it does."""


class NoticeBar(QWidget):
    """Hidden while there is nothing to say."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        set_role(self, Role.BAR)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setAccessibleName("Notice")
        self._warns = True
        self._picture = QLabel()
        self._text = label()
        self._text.setWordWrap(True)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._ways: list[QPushButton] = []
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(16, 6, 10, 6)
        self._row.setSpacing(10)
        self._row.addWidget(self._picture)
        self._row.addWidget(self._text, 1)
        self._row.addWidget(IconButton("close", "Dismiss", self.clear))
        current_theme().changed.connect(self._draw)
        self.hide()

    @property
    def text(self) -> str:
        return self._text.text()

    def show_message(self, text: str, *ways: Way, warns: bool = True) -> None:
        """Replace the message; `warns`: something went wrong."""
        self._drop_ways()
        self._text.setText(text)
        self._text.setAccessibleName(text)
        self._warns = warns
        for words, act in ways:
            way = button(words, lambda act=act: self._take(act))  # type: ignore[misc]
            self._ways.append(way)
            self._row.insertWidget(self._row.count() - 1, way)
        self._draw()
        self.show()

    def clear(self) -> None:
        self._drop_ways()
        self._text.clear()
        self.hide()

    def _take(self, act: Callable[[], object]) -> None:
        self.clear()
        act()

    def _drop_ways(self) -> None:
        for way in self._ways:
            self._row.removeWidget(way)
            way.hide()
            way.deleteLater()
        self._ways.clear()

    def _draw(self) -> None:
        colours = current_theme().colours
        ink = colours.danger if self._warns else colours.muted
        self._picture.setPixmap(icon("warning" if self._warns else "check", ink).pixmap(QSize(18, 18)))
