"""Everything the window can do, as one list: the keys, the command palette and the list of shortcuts are made of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QWidget


@dataclass(frozen=True)
class Command:
    title: str
    act: Callable[[], object]
    key: str = ""
    """As Qt writes it in English; "" if it has none."""
    group: str = "Window"

    @property
    def key_name(self) -> str:
        """The key as this system writes it."""
        return QKeySequence(self.key).toString(QKeySequence.SequenceFormat.NativeText)


def install(window: QWidget, commands: Sequence[Command]) -> None:
    """Give the window the keys."""
    for command in commands:
        if command.key:
            action = QAction(command.title, window)
            action.setShortcut(QKeySequence(command.key))
            action.triggered.connect(lambda _checked=False, act=command.act: act())
            window.addAction(action)
