"""The servers that a person uses: how each is reached, what it may be asked for, what it costs.

Kept by address in one file, `servers.json`, beside the settings. A key is never in it, but in the keyring.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.config import JsonDict

from core.engines.opening import Server
from core.engines.remote.address import ServerAddress, canonical
from core.engines.remote.engine import RemoteOptions
from core.engines.remote.meter import Cap, Prices
from core.errors import SettingsError
from core.json_file import write_json
from core.models.preferences import Choice, WritingChoice
from core.secrets import Keeping, Secrets

_MONEY: JsonDict = {"decimals": 4}
"""For the form: cheap models cost fractions of a cent."""


class PriceList(BaseModel):
    """Money for a million tokens."""

    model_config = ConfigDict(frozen=True)

    read: float = Field(0.0, ge=0, title="Read", description="Prompt tokens.", json_schema_extra=_MONEY)
    reused: float = Field(
        0.0, ge=0, title="Reused", description="Prompt tokens that it had read before.", json_schema_extra=_MONEY
    )
    written: float = Field(0.0, ge=0, title="Written", description="Tokens of the answer.", json_schema_extra=_MONEY)
    currency: str = Field("", max_length=8, title="Currency")

    @property
    def are_free(self) -> bool:
        return not (self.read or self.reused or self.written)


class Limit(BaseModel):
    """Where Baton stops asking the server; the small model then goes on alone."""

    model_config = ConfigDict(frozen=True)

    tokens: int = Field(0, ge=0, title="Tokens", description="Read and written together; 0 is no cap.")
    money: float = Field(
        0.0, ge=0, title="Money", description="By the prices above; 0 is no cap.", json_schema_extra=_MONEY
    )

    @property
    def cap(self) -> Cap:
        return Cap(self.tokens or None, self.money or None)


class Way(BaseModel):
    """How the server is reached, and how it is known to be the right one."""

    model_config = ConfigDict(frozen=True)

    authority: Path | None = Field(
        None, title="Certificate file", description="A private CA, or the server's own certificate, as PEM."
    )
    any_certificate: bool = Field(
        False,
        title="Accept any certificate",
        description="A risk: anybody on the way can pose as the server, and read texts and key.",
    )
    proxy: str = Field("", title="Proxy", description="In place of the one in HTTPS_PROXY: http://host:port.")


class KnownServer(BaseModel):
    """What a person chose for one address."""

    model_config = ConfigDict(frozen=True)

    model: str = Field("", title="Model", description="Where the server has several; empty: the first it names.")
    reads_along: Choice = Field(
        Choice.AUTOMATIC,
        title="Read along",
        description="It reads while the other model writes. Automatic: if it is another machine.",
    )
    template: Path | None = Field(
        None, title="Chat template", description="A Jinja file, for servers that do not tell the model's own."
    )
    way: Way = Field(default_factory=Way, title="The way there")
    prices: PriceList = Field(default_factory=PriceList, title="Prices of a million tokens")
    cap: Limit = Field(default_factory=Limit, title="Cap in all, until the models are loaded anew")
    answer_cap: Limit = Field(default_factory=Limit, title="Cap for each answer")
    writing: WritingChoice = Field(default_factory=WritingChoice, title="How its model writes")
    has_key: bool = False
    """There is one to look for in the keyring."""

    def at(self, url: str, key: str | None) -> Server:
        """Raises SettingsError for an address that is none, a template that cannot be read, a cap without prices."""
        address = ServerAddress(url, key, self.way.authority, self.way.any_certificate, self.way.proxy or None)
        if (self.cap.money or self.answer_cap.money) and self.prices.are_free:
            raise SettingsError("A cap on money needs prices.", "Set the prices of the server, or cap its tokens.")
        prices = self.prices
        options = RemoteOptions(
            prices=Prices(prices.read, prices.reused, prices.written, prices.currency),
            cap=self.cap.cap,
            answer_cap=self.answer_cap.cap,
            model=self.model,
            template=read_template(self.template) if self.template else None,
            own=self.writing.own,
            reads_along={Choice.AUTOMATIC: None, Choice.ON: True, Choice.OFF: False}[self.reads_along],
        )
        return Server(address, options)


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
        known = self.find(url)
        return known.at(url, self.key(url) if known.has_key else None)

    def key(self, url: str) -> str | None:
        return self._secrets.find(canonical(url))

    def keep(self, url: str, known: KnownServer, key: str = "") -> Keeping | None:
        """Remember it from now on; a new key too, if one is given: says for how long. Raises SettingsError."""
        keeping = self._secrets.keep(canonical(url), key) if key else None
        self._write(url, known.model_copy(update={"has_key": known.has_key or bool(key)}))
        return keeping

    def forget_key(self, url: str) -> None:
        """Raises SettingsError if the keyring is locked, or the file cannot be written."""
        self._secrets.forget(canonical(url))
        self._write(url, self.find(url).model_copy(update={"has_key": False}))

    def _write(self, url: str, known: KnownServer) -> None:
        with self._writing:
            try:
                before = self._read().servers
            except SettingsError:
                before = {}  # the person was told when it was opened, and now writes it anew
            self._unsaved = _ServersFile(servers={**before, canonical(url): known})
            write_json(self._unsaved, self._path, "The choices about servers")
            self._unsaved = None

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


def read_template(file: Path) -> str:
    """Raises SettingsError."""
    try:
        return file.expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"The chat template {file} cannot be read: {error}.", "Choose a text file in Jinja, in UTF-8."
        ) from error


def _reason(error: OSError | ValidationError) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc'])) or 'its text'}: {first['msg']}"
