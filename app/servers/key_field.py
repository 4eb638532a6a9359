"""The key of a server: written once, kept in the system's keyring, never shown again."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from app.shared.background import LatestTask
from app.shared.theme import Role, set_role
from app.shared.widgets.controls import button, label
from core.engines.servers import KnownServer, KnownServers
from core.errors import BatonError


class KeyField(QWidget):
    forgotten = Signal()
    """The key that was kept is gone."""

    def __init__(self, servers: KnownServers, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._servers = servers
        self._urls: Sequence[str] = ()
        self._question = LatestTask(self, self._say_error)
        self.edit = QLineEdit()
        self.edit.setEchoMode(QLineEdit.EchoMode.Password)
        self.edit.setAccessibleName("Key of the server")
        self.forget = button("Forget", self._forget, tip="Delete the key that is kept for this address")
        self.forget.setAccessibleName("Forget the key")
        self.message = label("", Role.MUTED)
        self.message.setWordWrap(True)
        row = QHBoxLayout()
        row.addWidget(self.edit, 1)
        row.addWidget(self.forget)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        column.addLayout(row)
        column.addWidget(self.message)
        self.show_for((), KnownServer())
        # Looking for a keyring takes a moment, and one that is locked may ask the person.
        self._question.ask(lambda: servers.keeping.value, lambda words: self._say(f"A key is {words}."))

    @property
    def typed(self) -> str:
        return self.edit.text()

    def show_for(self, urls: Sequence[str], known: KnownServer) -> None:
        self._urls = urls
        self.forget.setVisible(known.has_key)
        self.edit.setPlaceholderText("kept; another one replaces it" if known.has_key else "if the server wants one")

    def cancel(self) -> None:
        """The dialog is closed: a silent keyring is not waited for."""
        self._question.cancel()

    def _forget(self) -> None:
        urls = self._urls

        def forget() -> None:
            for url in urls:
                self._servers.forget_key(url)

        self._question.ask(forget, self._forgot)

    def _forgot(self, _: object) -> None:
        self._say("The key is forgotten.")
        self.forgotten.emit()

    def _say(self, words: str) -> None:
        self.message.setText(words)
        set_role(self.message, Role.MUTED)

    def _say_error(self, error: BatonError) -> None:
        self.message.setText(f"✗ {error}")
        set_role(self.message, Role.DANGER)
