"""The servers that a person uses (`servers.json`): how each is reached, what it costs, and its caps."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from baton_reasoning.core.engines.factory import Server
from baton_reasoning.core.engines.remote.address import ServerAddress, canonical, without_model
from baton_reasoning.core.engines.remote.engine import RemoteOptions
from baton_reasoning.core.engines.usage import Cap, Prices
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.files import read_text, write_json
from baton_reasoning.core.models.loading import Switch
from baton_reasoning.core.models.overrides import ModelOverrides
from baton_reasoning.core.secrets import Keeping, Secrets

NO_TEMPLATE = "Choose the file of a chat template: text in Jinja, in UTF-8."


class ServerAccess(BaseModel):
    """How the server is reached, and how its identity is checked."""

    model_config = ConfigDict(frozen=True)

    authority: Path | None = Field(
        None, title="Certificate file", description="A private CA, or the server's own certificate, as PEM."
    )
    any_certificate: bool = Field(
        False,
        title="Accept any certificate",
        description="A risk: anyone in between can pose as the server, and read texts and key.",
    )
    proxy: str = Field("", title="Proxy", description="Replaces HTTPS_PROXY: http://host:port.")


class KnownServer(BaseModel):
    """The settings of one address, or of one model there (`http://host:port#model`)."""

    model_config = ConfigDict(frozen=True)

    supports_prefetch: Switch = Field(
        Switch.AUTOMATIC,
        title="Prefetch",
        description="It reads while the other model writes. Automatic: if it is another machine.",
    )
    template: Path | None = Field(
        None, title="Chat template", description="A Jinja file, for servers that do not reveal the model's own."
    )
    access: ServerAccess = Field(default_factory=ServerAccess, title="Connection")
    prices: Prices = Field(default_factory=Prices, title="Price per million tokens")
    cap: Cap = Field(default_factory=Cap, title="Cap, until the models are loaded again")
    overrides: ModelOverrides = Field(default_factory=ModelOverrides, title="Sampling and thinking")
    has_key: bool = False
    """Whether its key is in the keyring."""

    def at(self, url: str, key: str | None) -> Server:
        """Apply the settings to an address and its key.

        Raises SettingsError for an invalid address, an unreadable template, or a money cap without prices.
        """
        address = ServerAddress(url, key, self.access.authority, self.access.any_certificate, self.access.proxy or None)
        if self.cap.money and self.prices.are_free:
            raise SettingsError("A cap on money needs prices.", "Set the prices of the server, or cap its tokens.")
        options = RemoteOptions(
            prices=self.prices,
            cap=self.cap,
            template=read_text(self.template, NO_TEMPLATE) if self.template else None,
            overrides=self.overrides,
            supports_prefetch=self.supports_prefetch.is_on,
        )
        return Server(address, options)


class _ServersFile(BaseModel):
    model_config = ConfigDict(frozen=True)

    servers: Mapping[str, KnownServer] = Field(default_factory=dict)


class KnownServers:
    """`servers.json` and the keyring, read at each use, so that no thread has an old copy. Thread-safe."""

    def __init__(self, path: Path, secrets: Callable[[], Secrets] = Secrets) -> None:
        """`secrets` is called when the first key is needed."""
        self._path = path
        self._make_secrets = secrets
        self._made_secrets: Secrets | None = None
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._unsaved: _ServersFile | None = None
        """Settings that could not be written; they are used until the program ends."""

    @property
    def _secrets(self) -> Secrets:
        """One for all threads: without a keyring, it holds the keys."""
        with self._lock:
            if self._made_secrets is None:
                self._made_secrets = self._make_secrets()
            return self._made_secrets

    @property
    def keeping(self) -> Keeping:
        """How long a key would be kept. The first call looks for the keyring, which takes a moment."""
        return self._secrets.keeping

    def find(self, url: str) -> KnownServer:
        """Return the settings of an address, or the defaults. A model without its own has those of its server.

        Raises SettingsError if the file is damaged, so that a cap in it is not lost silently.
        """
        return _find(self._read().servers, url)

    def server(self, url: str) -> Server:
        """Return the address with its key and settings. Raises SettingsError."""
        return self.find(url).at(url, self.key(url))

    def key(self, url: str) -> str | None:
        """Return the key of an address; the keyring is only asked if there is one. Raises SettingsError."""
        return self._secrets.find(without_model(url)) if self.find(url).has_key else None

    def keep(self, url: str, known: KnownServer, key: str = "") -> Keeping | None:
        """Save the settings, and a new key if one is given; return how long it is kept. Raises SettingsError."""
        keeping = self._secrets.keep(without_model(url), key) if key else None
        self._write(url, known, bool(key) or None)
        return keeping

    def forget_key(self, url: str) -> None:
        """Forget the key of an address. Raises SettingsError if the keyring is locked, or the file is not writable."""
        server = without_model(url)
        self._secrets.forget(server)
        for name in [url, *(each for each in self._read().servers if without_model(each) == server)]:
            self._write(name, self.find(name), has_key=False)

    def _write(self, url: str, known: KnownServer, has_key: bool | None) -> None:
        """Write the settings of an address; `has_key` None keeps what the file says."""
        name = canonical(url)
        with self._writing:
            before = self._before()
            if has_key is None:
                has_key = _find(before, url).has_key
            known = known.model_copy(update={"has_key": has_key})
            self._unsaved = _ServersFile(servers={**before, name: known})
            write_json(self._unsaved, self._path, "The choices about servers")
            self._unsaved = None

    def _before(self) -> Mapping[str, KnownServer]:
        """Read the file; a damaged one, which `find` has reported, is renamed to be replaced."""
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


def _find(servers: Mapping[str, KnownServer], url: str) -> KnownServer:
    server = without_model(url)
    known = servers.get(canonical(url)) or servers.get(server, KnownServer())
    has_key = any(each.has_key for name, each in servers.items() if without_model(name) == server)
    return known.model_copy(update={"has_key": has_key})


def _reason(error: OSError | ValidationError) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc'])) or 'its text'}: {first['msg']}"
