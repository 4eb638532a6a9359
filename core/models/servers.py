"""The servers that a person uses: how each is reached, what it may be asked for, what it costs.

`known_servers.py` keeps them.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from core.engines.opening import Server
from core.engines.remote.address import ServerAddress
from core.engines.remote.engine import RemoteOptions
from core.engines.remote.meter import Cap, Prices
from core.errors import SettingsError
from core.models.preferences import Choice, WritingChoice
from core.text_file import read_text

NO_TEMPLATE = "Choose the file of a chat template: text in Jinja, in UTF-8."
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
            template=read_text(self.template, NO_TEMPLATE) if self.template else None,
            own=self.writing.own,
            reads_along={Choice.AUTOMATIC: None, Choice.ON: True, Choice.OFF: False}[self.reads_along],
        )
        return Server(address, options)
