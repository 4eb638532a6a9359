"""Choose the two models: files on this machine, or the built-in pair."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QDialog, QFileDialog, QGridLayout, QHBoxLayout, QLineEdit, QSpinBox, QVBoxLayout, QWidget

from app.theme import SIGN, Role, set_role
from app.widgets.controls import button, label
from core.engines.body import Author
from core.errors import ModelFileError
from core.models.gguf import read_header
from core.settings import ModelChoice


class PairDialog(QDialog):
    chosen = Signal(object)  # a ModelChoice

    def __init__(self, choice: ModelChoice, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Choose two models")
        self._choice = choice
        self._edits = {Author.SMALL: QLineEdit(), Author.LARGE: QLineEdit()}
        self._told = {author: label("", Role.MUTED) for author in self._edits}
        self._context = QSpinBox()
        self._context.setRange(256, 1 << 20)
        self._context.setSingleStep(1024)
        self._context.setValue(choice.context)
        self._context.setAccessibleName("Context in tokens")
        grid = QGridLayout()
        grid.setVerticalSpacing(6)
        for row, (author, edit) in enumerate(self._edits.items()):
            chosen = choice.small if author is Author.SMALL else choice.large
            edit.setText(str(chosen) if chosen else "")
            edit.setPlaceholderText("the built-in model")
            edit.setAccessibleName(f"File of the {author.value} model")
            edit.setMinimumWidth(360)
            edit.textChanged.connect(self._look)
            browse = button("Choose …", lambda author=author: self._browse(author))  # type: ignore[misc]
            browse.setAccessibleName(f"Choose the file of the {author.value} model")
            sign = label(f"{SIGN[author]} {author.value.capitalize()} model")
            set_role(sign, Role.SMALL if author is Author.SMALL else Role.LARGE)
            self._told[author].setWordWrap(True)
            grid.addWidget(sign, 2 * row, 0)
            grid.addWidget(edit, 2 * row, 1)
            grid.addWidget(browse, 2 * row, 2)
            grid.addWidget(self._told[author], 2 * row + 1, 1, 1, 2)
        grid.addWidget(label("Context"), 4, 0)
        grid.addWidget(self._context, 4, 1)
        self._load = button("Load", self._take, Role.PRIMARY)
        self._load.setDefault(True)
        buttons = QHBoxLayout()
        buttons.addWidget(button("Exchange", self._exchange, tip="The small one becomes the large one"))
        buttons.addWidget(button("Built-in pair", self._clear))
        buttons.addStretch()
        buttons.addWidget(button("Cancel", self.reject))
        buttons.addWidget(self._load)
        column = QVBoxLayout(self)
        column.setContentsMargins(18, 16, 18, 14)
        column.setSpacing(14)
        column.addLayout(grid)
        column.addLayout(buttons)
        self._look()

    def _browse(self, author: Author) -> None:
        start = self._edits[author].text() or str(Path.home())
        file, _ = QFileDialog.getOpenFileName(self, f"The {author.value} model", start, "Models (*.gguf);;All files (*)")
        if file:
            self._edits[author].setText(file)

    def _exchange(self) -> None:
        small, large = self._edits.values()
        one, other = small.text(), large.text()
        small.setText(other)
        large.setText(one)

    def _clear(self) -> None:
        for edit in self._edits.values():
            edit.clear()

    def _look(self) -> None:
        """Say what the files are before anything is loaded: reading a header takes milliseconds."""
        usable = True
        for author, edit in self._edits.items():
            words, role = "", Role.MUTED
            if path := edit.text().strip():
                try:
                    header = read_header(Path(path))
                    words = f"{header.name or Path(path).stem} · {header.architecture} · {header.quantisation}"
                except ModelFileError as error:
                    words, role, usable = str(error), Role.DANGER, False
            self._told[author].setText(words)
            set_role(self._told[author], role)
        self._load.setEnabled(usable)

    def _take(self) -> None:
        small, large = (Path(text) if (text := edit.text().strip()) else None for edit in self._edits.values())
        self.chosen.emit(self._choice.model_copy(update={"small": small, "large": large, "context": self._context.value()}))
        self.accept()
