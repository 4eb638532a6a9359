"""Choose the two models: files on this machine, addresses of servers, or the demo pair."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QDialog, QFileDialog, QGridLayout, QHBoxLayout, QLineEdit, QSpinBox, QVBoxLayout, QWidget

from app.theme import SIGN, Role, set_role
from app.widgets.controls import button, label
from core.engines.body import Author
from core.errors import ModelFileError
from core.models.gguf import read_header
from core.models.servers import KnownServers
from core.settings import ModelChoice

ROLES = {Author.SMALL: Role.SMALL, Author.LARGE: Role.LARGE}
FIRST_SERVER = "http"


class PairDialog(QDialog):
    chosen = Signal(object)  # a ModelChoice

    def __init__(self, choice: ModelChoice, servers: KnownServers, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Choose two models")
        self._choice = choice
        self._known = servers
        self.edits = {Author.SMALL: QLineEdit(choice.small), Author.LARGE: QLineEdit(choice.large)}
        self.told = {author: label("", Role.MUTED) for author in self.edits}
        self.key = QLineEdit()
        self.key.setEchoMode(QLineEdit.EchoMode.Password)
        self.key.setPlaceholderText("only if a server asks for one; goes to the system's keyring")
        self.key.setAccessibleName("Key of the server")
        self.context = QSpinBox()
        self.context.setRange(256, 1 << 20)
        self.context.setSingleStep(1024)
        self.context.setValue(choice.context)
        self.context.setAccessibleName("Context in tokens")
        self.load = button("Load", self._take, Role.PRIMARY)
        self.load.setDefault(True)
        self._lay_out()
        self._look()

    def exchange(self) -> None:
        small, large = self.edits.values()
        one, other = small.text(), large.text()
        small.setText(other)
        large.setText(one)

    def clear(self) -> None:
        for edit in self.edits.values():
            edit.clear()

    def _lay_out(self) -> None:
        grid = QGridLayout()
        grid.setVerticalSpacing(6)
        grid.setHorizontalSpacing(10)
        for row, (author, edit) in enumerate(self.edits.items()):
            edit.setPlaceholderText("the demo pair's, or a file, or http://host:port")
            edit.setAccessibleName(f"File or address of the {author.value} model")
            edit.setMinimumWidth(380)
            edit.textChanged.connect(self._look)
            browse = button("Choose …", lambda author=author: self._browse(author))  # type: ignore[misc]
            browse.setAccessibleName(f"Choose the file of the {author.value} model")
            self.told[author].setWordWrap(True)
            grid.addWidget(label(f"{SIGN[author]} {author.value.capitalize()} model", ROLES[author]), 2 * row, 0)
            grid.addWidget(edit, 2 * row, 1)
            grid.addWidget(browse, 2 * row, 2)
            grid.addWidget(self.told[author], 2 * row + 1, 1, 1, 2)
        self._key_name = label("Key")
        for row, (name, widget) in enumerate(((self._key_name, self.key), (label("Context"), self.context)), 4):
            grid.addWidget(name, row, 0)
            grid.addWidget(widget, row, 1)
        buttons = QHBoxLayout()
        buttons.addWidget(button("Exchange", self.exchange, tip="The small one becomes the large one"))
        buttons.addWidget(button("Demo pair", self.clear, tip="The two tiny models that come with Baton"))
        buttons.addStretch()
        buttons.addWidget(button("Cancel", self.reject))
        buttons.addWidget(self.load)
        column = QVBoxLayout(self)
        column.setContentsMargins(18, 16, 18, 14)
        column.setSpacing(14)
        column.addLayout(grid)
        column.addLayout(buttons)

    def _browse(self, author: Author) -> None:
        start = self.edits[author].text() or str(Path.home())
        file, _ = QFileDialog.getOpenFileName(
            self, f"The {author.value} model", start, "Models (*.gguf);;All files (*)"
        )
        if file:
            self.edits[author].setText(file)

    def _look(self) -> None:
        """Say what the files are before anything is loaded: reading a header takes milliseconds."""
        usable = True
        for author, edit in self.edits.items():
            words, role = "", Role.MUTED
            name = edit.text().strip()
            if name.startswith(FIRST_SERVER):
                words = "A server: llama-server, or one that speaks OpenAI's completions."
            elif name:
                try:
                    header = read_header(Path(name).expanduser())
                    words = f"{header.name or Path(name).stem} · {header.architecture} · {header.quantisation}"
                except ModelFileError as error:
                    words, role, usable = str(error), Role.DANGER, False
            self.told[author].setText(words)
            self.told[author].setVisible(bool(words))
            set_role(self.told[author], role)
        for widget in (self._key_name, self.key):
            widget.setVisible(bool(self._servers()))
        self.load.setEnabled(usable)

    def _servers(self) -> list[str]:
        names = [edit.text().strip() for edit in self.edits.values()]
        return [url for name in names if name.startswith(FIRST_SERVER) for url in name.split(",")]

    def _take(self) -> None:
        if self.key.text():
            for url in self._servers():
                self._known.keep(url, self._known.find(url), self.key.text())
        small, large = (edit.text().strip() for edit in self.edits.values())
        fields = {"small": small, "large": large, "context": self.context.value()}
        self.chosen.emit(self._choice.model_copy(update=fields))
        self.accept()
