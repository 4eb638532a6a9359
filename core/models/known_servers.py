"""What is known of servers, by address: in a file beside the settings, `servers.json`, and keys in the keyring."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.engines.opening import Server
from core.engines.remote.address import canonical
from core.errors import SettingsError
from core.json_file import write_json
from core.models.servers import KnownServer
from core.secrets import Keeping, Secrets


class _ServersFile(BaseModel):
    model_config = ConfigDict(frozen=True)

    servers: Mapping[str, KnownServer] = Field(default_factory=dict)


class KnownServers:
    """The file and the keyring, asked at each use: several threads may, and none has an old copy."""

    def __init__(self, path: Path, secrets: Callable[[], Secrets] = Secrets) -> None:
        """`secrets` is called when the first key is needed."""
        self._path = path
        self._make_secrets = secrets
        self._made_secrets: Secrets | None = None
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._unsaved: _ServersFile | None = None
        """What could not be written: it holds until the program ends."""

    @property
    def _secrets(self) -> Secrets:
        """One for all threads: where there is no keyring, the keys are in it."""
        with self._lock:
            if self._made_secrets is None:
                self._made_secrets = self._make_secrets()
            return self._made_secrets

    @property
    def keeping(self) -> Keeping:
        """Where a key would be kept. The first call looks for the keyring, which takes a moment."""
        return self._secrets.keeping

    def find(self, url: str) -> KnownServer:
        """What is known of an address; the defaults if nothing. Raises SettingsError if the file is damaged: a cap
        in it must not be lost unseen."""
        return self._read().servers.get(canonical(url), KnownServer())

    def server(self, url: str) -> Server:
        """The address with its key and all that is known. Raises SettingsError."""
        return self.find(url).at(url, self.key(url))

    def key(self, url: str) -> str | None:
        """The keyring is left alone for an address of which no key was kept. Raises SettingsError."""
        return self._secrets.find(canonical(url)) if self.find(url).has_key else None

    def keep(self, url: str, known: KnownServer, key: str = "") -> Keeping | None:
        """Remember it from now on; a new key too, if one is given: says for how long. Raises SettingsError."""
        keeping = self._secrets.keep(canonical(url), key) if key else None
        self._write(url, known, bool(key) or None)
        return keeping

    def forget_key(self, url: str) -> None:
        """Raises SettingsError if the keyring is locked, or the file cannot be written."""
        self._secrets.forget(canonical(url))
        self._write(url, self.find(url), has_key=False)

    def _write(self, url: str, known: KnownServer, has_key: bool | None) -> None:
        """`has_key` None: as before."""
        name = canonical(url)
        with self._writing:
            before = self._before()
            if has_key is None:
                has_key = name in before and before[name].has_key
            known = known.model_copy(update={"has_key": has_key})
            self._unsaved = _ServersFile(servers={**before, name: known})
            write_json(self._unsaved, self._path, "The choices about servers")
            self._unsaved = None

    def _before(self) -> Mapping[str, KnownServer]:
        """What the file says; nothing if it is damaged: the person was told so, and writes it anew. It is put aside."""
        try:
            return self._read().servers
        except SettingsError:
            with suppress(OSError):
                self._path.replace(self._path.with_suffix(".damaged"))
            return {}

    def _read(self) -> _ServersFile:
        if self._unsaved:
            return self._unsaved
        try:
            return _ServersFile.model_validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return _ServersFile()
        except (OSError, ValidationError) as error:
            raise SettingsError(
                f"{self._path} cannot be read: {_reason(error)}.",
                "Correct it, or save the server's settings again in the window.",
            ) from error


def _reason(error: OSError | ValidationError) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc'])) or 'its text'}: {first['msg']}"
