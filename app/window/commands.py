"""What the window makes of its commands: shortcuts, the menu of the header, and the list of shortcuts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import NamedTuple

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QDialog, QGridLayout, QMenu, QWidget

from baton_reasoning.app.toolkit.controls import delete_keys, key_text, label, scrolling
from baton_reasoning.app.toolkit.layout import vbox
from baton_reasoning.app.toolkit.theme import Role, current_theme

IN_MENU = (("Ctrl+B", "Ctrl+I"), ("Ctrl+S", "Ctrl+O"), ("Ctrl+Shift+L", "Ctrl+,"), ("F1",))
"""The keys of the commands in the menu of the header itself, section by section; a group has the others in its menu."""
ELSEWHERE = (
    ("In the composer", "Send the problem", "Return"),
    ("In the composer", "New line", "Shift+Return"),
    ("In the composer", "Earlier problems, where it is empty; Down goes back", "Up"),
    ("In ribbon, tokens and curve", "Along it", "Right"),
    ("In ribbon, tokens and curve", "Choose", "Space"),
    ("In ribbon, tokens and curve", "First or last", "Home"),
    ("In an answer that shows tokens", "Next token; Left is the one before", "Right"),
    ("In an answer that shows tokens", "What might have stood there", "Return"),
    ("In a step that is edited", "Go on from the edited step", "Ctrl+Return"),
    ("In a text", "Copy what is selected", "Ctrl+C"),
    ("In a chart", "Copy it as a picture", "Ctrl+C"),
    ("In a chart", "Save it as a picture", "Ctrl+Alt+S"),
    ("In the results of a batch", "Next answer that went wrong", "F8"),
    ("In the results of a batch", "Previous answer that went wrong", "Shift+F8"),
    ("In the results of a batch", "Further columns", "F7"),
    ("In the results of a batch", "The answer alone, or no longer", "F9"),
    ("In the results of a batch", "Continue the answer in the chat", "Ctrl+Return"),
    ("In the list of conversations", "Pin conversation, or no longer", "P"),
    ("In the list of conversations", "Rename conversation", "F2"),
    ("In the list of conversations", "Delete conversation (can be undone)", delete_keys()[0]),
)
"""Keys that a widget has while it has the focus: group, what it does, key."""


class Command(NamedTuple):
    group: str
    title: str
    key: str
    """As Qt writes it in English."""
    act: Callable[[], object]


def install(window: QWidget, commands: Sequence[Command], menu: QMenu) -> None:
    """Install the shortcuts in the window, and fill the menu of the header with all commands."""
    actions: dict[str, QAction] = {}
    for command in commands:
        actions[command.key] = action = QAction(command.title, window)
        action.setShortcut(QKeySequence(command.key))
        action.triggered.connect(lambda _checked=False, act=command.act: act())
        window.addAction(action)
    for section in IN_MENU:
        menu.addSeparator()
        menu.addActions([actions[key] for key in section])
    menu.addSeparator()
    shown = {key for section in IN_MENU for key in section}
    for group, members in groupby(commands, key=lambda command: command.group):
        menu.addMenu(group).addActions([actions[each.key] for each in members if each.key not in shown])


class ShortcutList(QDialog):
    def __init__(self, commands: Sequence[Command], parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Shortcuts")
        content = QWidget()
        grid = QGridLayout(content)
        grid.setHorizontalSpacing(26)
        grid.setColumnStretch(0, 1)
        known = [*(command[:3] for command in commands), *ELSEWHERE]
        for group, members in groupby(known, key=lambda command: command[0]):
            grid.addWidget(label(group, Role.HEADING), grid.rowCount(), 0, 1, 2)
            for _, title, key in members:
                row = grid.rowCount()
                grid.addWidget(label(title, wrap=True), row, 0)
                grid.addWidget(label(key_text(key), Role.MUTED), row, 1, Qt.AlignmentFlag.AlignRight)
        scroll = scrolling(content)
        scroll.setMinimumWidth(content.minimumSizeHint().width() + scroll.verticalScrollBar().sizeHint().width() + 2)
        self.setLayout(vbox(scroll))
        self.resize(min(current_theme().scaled(460), parent.width()), 560)
