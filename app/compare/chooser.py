"""Choose what is compared: two or three columns, each an arm to be written or an answer that is there."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QComboBox, QDialog, QGridLayout, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from app.chat.welcome import in_brief
from app.compare.choices import Choice
from app.compare.column import MOST_COLUMNS
from app.theme import Role
from app.widgets.controls import button, label

NO_THIRD = "(none)"


class Chooser(QDialog):
    chosen = Signal(list, str, bool)
    """Choices, the expected answer, and whether all are written at once."""

    def __init__(
        self, problem: str, choices: Sequence[Choice], columns: Sequence[Choice], expected: str, parent: QWidget
    ) -> None:
        """`choices`: all that there are; `columns`: those that are proposed."""
        super().__init__(parent)
        self.setWindowTitle("Compare")
        self._choices = choices
        self.boxes = [self._box(number, columns) for number in range(MOST_COLUMNS)]
        self.expected = QLineEdit(expected)
        self.expected.setAccessibleName("Expected answer")
        self.expected.setPlaceholderText("if it is known; else the answers are compared with each other")
        self.at_once = QCheckBox("Write all at once")
        self._told = label("", Role.MUTED)
        self._told.setWordWrap(True)
        self.go = button("Compare", self._take, Role.PRIMARY)
        self.go.setDefault(True)
        self._lay_out(problem)
        self.at_once.toggled.connect(self._look)
        for box in self.boxes:
            box.currentIndexChanged.connect(self._look)
        self._room = 0
        self._look()

    def offer_at_once(self, room: int, wanted: bool) -> None:
        """`room`: how many texts the loaded models can write at once."""
        self._room = room
        self.at_once.setChecked(wanted and room > 1)
        self._look()

    def picked(self) -> list[Choice]:
        """What is chosen now, from left to right."""
        indexes = [box.currentData() for box in self.boxes]
        return [self._choices[index] for index in indexes if index is not None]

    def _look(self) -> None:
        picked = self.picked()
        to_write = [choice for choice in picked if choice.exchange is None]
        twice = len({id(choice.exchange or choice) for choice in picked}) < len(picked)
        has_room = self._room >= len(to_write)
        self.at_once.setVisible(len(to_write) > 1)
        self.at_once.setEnabled(has_room)
        self.go.setEnabled(not twice)
        self.go.setText("Compare" if to_write else "Show side by side")
        self._told.setText(_words(to_write, twice, has_room, self.at_once.isChecked()))

    def _take(self) -> None:
        at_once = self.at_once.isChecked() and self.at_once.isEnabled()
        self.chosen.emit(self.picked(), self.expected.text().strip(), at_once)
        self.accept()

    def _box(self, number: int, columns: Sequence[Choice]) -> QComboBox:
        box = QComboBox()
        box.setAccessibleName(f"Column {number + 1}")
        if number == MOST_COLUMNS - 1:
            box.addItem(NO_THIRD, None)
        for index, choice in enumerate(self._choices):
            if index and choice.exchange is None and self._choices[index - 1].exchange:
                box.insertSeparator(box.count())
            box.addItem(choice.title, index)
        if number < len(columns):
            box.setCurrentIndex(box.findData(self._choices.index(columns[number])))
        return box

    def _lay_out(self, problem: str) -> None:
        words = label(in_brief(problem))
        words.setToolTip(problem)
        words.setWordWrap(True)
        grid = QGridLayout()
        grid.setVerticalSpacing(8)
        grid.setHorizontalSpacing(12)
        grid.setColumnStretch(1, 1)
        for number, box in enumerate(self.boxes):
            name = label(f"Column &{number + 1}")
            name.setBuddy(box)
            box.setMinimumWidth(340)
            grid.addWidget(name, number, 0)
            grid.addWidget(box, number, 1)
        grid.addWidget(label("Expected"), len(self.boxes), 0)
        grid.addWidget(self.expected, len(self.boxes), 1)
        grid.addWidget(self.at_once, len(self.boxes) + 1, 1)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(button("Cancel", self.reject))
        buttons.addWidget(self.go)
        column = QVBoxLayout(self)
        column.setContentsMargins(18, 16, 18, 14)
        column.setSpacing(12)
        column.addWidget(words)
        column.addLayout(grid)
        column.addWidget(self._told)
        column.addLayout(buttons)
        self.setMinimumWidth(480)


def _words(to_write: Sequence[Choice], twice: bool, has_room: bool, at_once: bool) -> str:
    if twice:
        return "Two columns are the same. Choose another for one of them."
    if not to_write:
        return "These answers are there already: nothing is written."
    if len(to_write) == 1:
        return "The seed stays as it is chosen; the first column is what the others are compared with."
    if not has_room:
        return "One after the other: the models are loaded for fewer texts at once (Settings, Models)."
    if at_once:
        return "All at once they slow each other: do not go by their times."
    return "One after the other, with one seed, so that their times can be compared."
