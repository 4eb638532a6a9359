"""Keyrings: one that works, and none."""

import keyring.backends.fail
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, PasswordDeleteError

NO_KEYRING = keyring.backends.fail.Keyring()


class MemoryKeyring(KeyringBackend):
    """A keyring that works, of its own."""

    priority = 1

    def __init__(self, locked: bool = False) -> None:
        self.held: dict[tuple[str, str], str] = {}
        self.locked = locked

    def get_password(self, service: str, username: str) -> str | None:
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.locked:
            raise KeyringLocked
        self.held[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.locked:
            raise KeyringLocked
        if (service, username) not in self.held:
            raise PasswordDeleteError
        del self.held[service, username]
