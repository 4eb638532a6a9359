"""The list of shortcuts, made from the commands."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QGridLayout, QScrollArea, QVBoxLayout, QWidget

from app.commands import Command
from app.theme import Role
from app.widgets.controls import label

ELSEWHERE = (
    Command("Send the problem", lambda: None, "Return", "In the composer"),
    Command("New line", lambda: None, "Shift+Return", "In the composer"),
    Command("Along ribbon, tokens or timeline", lambda: None, "Right", "In the ribbon, the tokens, the timeline"),
    Command("Choose", lambda: None, "Space", "In the ribbon, the tokens, the timeline"),
    Command("First or last", lambda: None, "Home", "In the ribbon, the tokens, the timeline"),
    Command("Zoom the timeline (− zooms out)", lambda: None, "+", "In the ribbon, the tokens, the timeline"),
    Command("The whole timeline", lambda: None, "0", "In the ribbon, the tokens, the timeline"),
    Command("Copy what is selected", lambda: None, "Ctrl+C", "In a text"),
    Command("Rename conversation", lambda: None, "F2", "In the list of conversations"),
    Command("Delete conversation (can be undone)", lambda: None, "Delete", "In the list of conversations"),
)
"""Keys that a widget has while it has the focus."""


class Shortcuts(QDialog):
    def __init__(self, commands: Sequence[Command], parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Shortcuts")
        content = QWidget()
        grid = QGridLayout(content)
        grid.setHorizontalSpacing(26)
        row = 0
        known = [command for command in (*commands, *ELSEWHERE) if command.key]
        for group, members in groupby(known, key=lambda command: command.group):
            grid.addWidget(label(group, Role.HEADING), row, 0, 1, 2)
            row += 1
            for command in members:
                grid.addWidget(label(command.title), row, 0)
                grid.addWidget(label(command.key_name, Role.MUTED), row, 1, Qt.AlignmentFlag.AlignRight)
                row += 1
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setWidget(content)
        column = QVBoxLayout(self)
        column.addWidget(scroll)
        self.resize(460, 560)
