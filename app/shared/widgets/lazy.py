"""A placeholder for a widget that is created when it is first shown or used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from PySide6.QtCore import QTimer
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

Part = TypeVar("Part", bound=QWidget)


class LazyWidget(QWidget, Generic[Part]):
    """Makes its part when it is first shown, or first used."""

    def __init__(self, make: Callable[[], Part], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._make = make
        self._part: Part | None = None
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)

    @property
    def is_made(self) -> bool:
        return self._part is not None

    @property
    def part(self) -> Part:
        if self._part is None:
            self._part = self._make()
            self._column.addWidget(self._part)
        return self._part

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if self._part is None:
            QTimer.singleShot(0, self, self._fill)  # what is around it is painted first

    def _fill(self) -> None:
        self.part.show()
