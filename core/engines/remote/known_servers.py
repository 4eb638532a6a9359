"""The servers that a person uses (`servers.json`): how each is reached, what it costs, and its caps."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from baton_reasoning.core.engines.open import Server
from baton_reasoning.core.engines.remote.billing import Cap, Prices
from baton_reasoning.core.engines.remote.connection import ServerAccess, ServerAddress, canonical, without_model
from baton_reasoning.core.engines.remote.engine import RemoteOptions
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.files import read_text, write_json
from baton_reasoning.core.models.catalog import catalog_models
from baton_reasoning.core.models.load_options import Switch
from baton_reasoning.core.models.overrides import ModelOverrides
from baton_reasoning.core.models.source import server_urls
from baton_reasoning.core.secrets import Keeping, Secrets, find_key, take_key

NAME = re.compile(r"[A-Za-z0-9][\w-]*")
"""Of a server: it cannot be taken for a file with an ending, an address or a repository."""
NO_TEMPLATE = "Choose the file of a chat template: text in Jinja, in UTF-8."


class KnownServer(BaseModel):
    """The settings of one address, or of one model there (`http://host:port#model`)."""

    model_config = ConfigDict(frozen=True)

    name: str = Field("", title="Name", description="Stands for the address in the terminal: --large office.")
    supports_prefetch: Switch = Field(
        Switch.AUTOMATIC,
        title="Prefetch",
        description="It reads while the other model writes. Automatic: on another machine that has no prices and "
        "reports what it reuses.",
    )
    template: Path | None = Field(
        None, title="Chat template", description="A Jinja file, for servers that do not reveal the model's own."
    )
    access: ServerAccess = Field(default_factory=ServerAccess, title="Connection")
    prices: Prices = Field(default_factory=Prices, title="Price per million tokens")
    cap: Cap = Field(default_factory=Cap, title="Cap, until the models are loaded again")
    overrides: ModelOverrides = Field(default_factory=ModelOverrides, title="Sampling and thinking")
    key_variable: str = Field(
        "", title="Variable with the key", description="In the environment; if it is not set, the key above."
    )
    has_key: bool = False
    """Whether its key is in the keyring."""

    def at(self, url: str, key: str | None) -> Server:
        """Apply the settings to an address and its key.

        Raises SettingsError for an invalid address, an unreadable template, or a money cap without prices.
        """
        address = ServerAddress(url, key, self.access)
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

    def __init__(self, path: Path, secrets: Secrets | None = None) -> None:
        self._path = path
        self._secrets = secrets or Secrets()
        self._lock = threading.RLock()
        self._unsaved: Mapping[str, KnownServer] | None = None
        """Settings that could not be written; they are used until the program ends."""

    @property
    def keeping(self) -> Keeping:
        """How long a key would be kept. The first call looks for the keyring, which takes a moment."""
        return self._secrets.keeping

    def all(self) -> Mapping[str, KnownServer]:
        """Return the settings of every address. Raises SettingsError if the file is damaged."""
        if self._unsaved is not None:
            return self._unsaved
        try:
            return _ServersFile.model_validate_json(self._path.read_bytes()).servers
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (OSError, ValidationError) as error:
            raise SettingsError(
                f"{self._path} cannot be read: {_reason(error)}.",
                "Correct it, or delete it and name the servers again.",
            ) from error

    def address_of(self, name: str) -> str:
        """Return the address with this name, several with commas between; "" if there is none. Raises SettingsError."""
        if not NAME.fullmatch(name):
            return ""
        return ",".join(url for url, known in self.all().items() if known.name == name)

    def names(self) -> dict[str, str]:
        """Return the names of servers by address, several with commas between. Raises SettingsError."""
        named = dict.fromkeys(known.name for known in self.all().values() if known.name)
        return {self.address_of(name): name for name in named}

    def find(self, url: str) -> KnownServer:
        """Return the settings of an address, or the defaults. A model without its own has those of its server.

        Raises SettingsError if the file is damaged, so that a cap in it is not lost silently.
        """
        return _find(self.all(), url)

    def server(self, url: str) -> Server:
        """Return the address with its key and settings. Raises SettingsError."""
        return self.find(url).at(url, self.key(url))

    def key(self, url: str) -> str | None:
        """Return the key of an address; the keyring is only asked if there is one. Raises SettingsError."""
        known = self.find(url)
        if known.key_variable and (key := find_key(known.key_variable)):
            return key
        if known.has_key:
            return self._secrets.find(without_model(url))
        return take_key(known.key_variable) if known.key_variable else None

    def keep(self, servers: Mapping[str, KnownServer], key: str = "") -> None:
        """Save the settings of each address, and their new key if one is given.

        Raises SettingsError, also for a name that cannot be given and if the file is damaged.
        """
        for url, known in servers.items():
            self.check_name(known.name, ",".join(servers))
            if key:
                self._secrets.keep(without_model(url), key)
        with self._lock:
            kept = self.all()
            changed = {
                canonical(url): known.model_copy(update={"has_key": bool(key) or _find(kept, url).has_key})
                for url, known in servers.items()
            }
            self._save({**kept, **changed})

    def check_name(self, name: str, address: str) -> None:
        """Raise SettingsError if the servers at this address cannot have the name."""
        if not name:
            return
        if not NAME.fullmatch(name):
            raise SettingsError(f"“{name}” cannot name a server.", "Use letters, digits, - and _, as in “office”.")
        if name == "demo" or name.lower() in catalog_models():
            raise SettingsError(f"“{name}” already names a model.", "Choose another name for the server.")
        taken = server_urls(self.address_of(name))
        if taken and not {*taken} & {canonical(url) for url in server_urls(address)}:
            raise SettingsError(
                f"“{name}” already names {', '.join(taken)}.", "Choose another name, or remove that server first."
            )

    def forget(self, address: str) -> None:
        """Remove the settings of an address, or of several, and the keys that no other address needs.

        Raises SettingsError.
        """
        gone = [canonical(url) for url in server_urls(address)]
        with self._lock:
            before = self.all()
            left = {url: known for url, known in before.items() if url not in gone}
            self._save(left)
        still_used = {without_model(url) for url in left}
        for url in gone:
            if without_model(url) not in still_used and _find(before, url).has_key:
                self._secrets.forget(without_model(url))

    def forget_key(self, url: str) -> None:
        """Forget the key of an address. Raises SettingsError if the keyring is locked, or the file is not writable."""
        server = without_model(url)
        self._secrets.forget(server)
        with self._lock:
            kept = self.all()
            models = [name for name in kept if without_model(name) == server]
            self._save({**kept, **{name: kept[name].model_copy(update={"has_key": False}) for name in models}})

    def _save(self, servers: Mapping[str, KnownServer]) -> None:
        self._unsaved = servers
        write_json(_ServersFile(servers=servers), self._path, "The choices about servers")
        self._unsaved = None


def _find(servers: Mapping[str, KnownServer], url: str) -> KnownServer:
    server = without_model(url)
    known = servers.get(canonical(url)) or servers.get(server, KnownServer()).model_copy(update={"name": ""})
    has_key = any(each.has_key for name, each in servers.items() if without_model(name) == server)
    return known.model_copy(update={"has_key": has_key})


def _reason(error: OSError | ValidationError) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc'])) or 'its text'}: {first['msg']}"
