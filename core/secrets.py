"""Keeps keys of servers in the system's keyring, or, if there is none, in memory until the program ends.

They are never written to a file. Many Linux machines have no keyring: the window says so, and asks again next time.
"""

from __future__ import annotations

import os
from contextlib import suppress
from enum import Enum
from functools import cached_property

import keyring
from keyring.backend import KeyringBackend
from keyring.errors import KeyringError, PasswordDeleteError

from baton_reasoning.core.child_process import environment_lock
from baton_reasoning.core.errors import SettingsError

SERVICE = "Baton"
_PLAIN_TEXT_PACKAGE = "keyrings.alt"  # its backends write files that anybody can read


class Keeping(Enum):
    """How long a key is kept, for a person to read."""

    KEYRING = "kept in the system's keyring"
    SESSION = "kept until Baton is closed: this system has no keyring that can be used"


def find_key(variable: str) -> str:
    """Take the key out of an environment variable, which is removed so that child processes do not inherit it.

    Returns "" if it is not set.
    """
    with environment_lock:
        key = os.environ.pop(variable, "") or _taken.get(variable, "")
        if key:
            _taken[variable] = key
        return key


def take_key(variable: str) -> str:
    """Like `find_key`, but raises SettingsError if the variable is not set."""
    if key := find_key(variable):
        return key
    raise SettingsError(f"The environment variable {variable} is not set.", "Put the server's key into it.")


_taken: dict[str, str] = {}


class Secrets:
    """Keys by name, such as a server's address. `backend` None is the system's own keyring."""

    def __init__(self, backend: KeyringBackend | None = None) -> None:
        self._given = backend
        self._in_memory: dict[str, str] = {}

    @cached_property
    def _backend(self) -> KeyringBackend:
        """Look for the system's keyring when it is first needed, since that takes a moment."""
        return self._given or keyring.get_keyring()

    @property
    def keeping(self) -> Keeping:
        """How long the next key would be kept, judged without opening the keyring."""
        backend = self._backend
        plain = type(backend).__module__.startswith(_PLAIN_TEXT_PACKAGE)
        # Backends of priority 0 and below are keyring's own way to say “none” and “all fail”.
        return Keeping.SESSION if plain or backend.priority <= 0 else Keeping.KEYRING

    def keep(self, name: str, secret: str) -> Keeping:
        """Keep a key; return for how long."""
        if self.keeping is Keeping.KEYRING:
            with suppress(KeyringError):  # locked, say, and the person would not open it: memory is left
                self._backend.set_password(SERVICE, name, secret)
                self._in_memory.pop(name, None)
                return Keeping.KEYRING
        self._in_memory[name] = secret
        return Keeping.SESSION

    def find(self, name: str) -> str | None:
        if name in self._in_memory or self.keeping is Keeping.SESSION:
            return self._in_memory.get(name)
        with suppress(KeyringError):  # as if there were none: the person is asked for the key
            return self._backend.get_password(SERVICE, name)
        return None

    def forget(self, name: str) -> None:
        """Delete a key. Raises SettingsError if the keyring is locked."""
        self._in_memory.pop(name, None)
        if self.keeping is Keeping.SESSION:
            return
        try:
            self._backend.delete_password(SERVICE, name)
        except PasswordDeleteError:
            return  # it was not there
        except KeyringError as error:
            raise SettingsError("The system's keyring did not forget the key.", "Unlock it and try again.") from error
