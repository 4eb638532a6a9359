"""Options for servers. What is not given is taken from the window's settings for that address."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from baton_reasoning.app.terminal.command_line import SERVERS, gathered, option
from baton_reasoning.core.engines.factory import Server
from baton_reasoning.core.engines.remote.servers import KnownServers
from baton_reasoning.core.engines.usage import Prices
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.models.loading import Switch
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.secrets import take_key

_PREFETCH = {"auto": Switch.AUTOMATIC, "on": Switch.ON, "off": Switch.OFF}
_FILE = click.Path(path_type=Path)
_AMOUNT = click.FloatRange(min=0)


@dataclass(frozen=True)
class ServerOptions:
    """Options for servers; None if not given."""

    api_key_env: str | None
    template: Path | None
    ca: Path | None
    any_certificate: bool
    proxy: str | None
    prefetch: str | None
    prices: str | None
    cap_tokens: int | None
    cap_money: float | None


server_options = gathered(
    ServerOptions,
    "servers",
    option("--api-key-env", metavar="NAME", group=SERVERS, help="Environment variable that holds the key."),
    option(
        "--template", type=_FILE, metavar="FILE", group=SERVERS, help="Chat template (Jinja), if a server sends none."
    ),
    option("--ca", type=_FILE, metavar="FILE", group=SERVERS, help="A private CA or the server's certificate, as PEM."),
    option("--any-certificate", is_flag=True, group=SERVERS, help="Accept any certificate: a risk."),
    option("--proxy", metavar="URL", group=SERVERS, help="Use this proxy instead of the one in HTTPS_PROXY."),
    option(
        "--prefetch",
        type=click.Choice(list(_PREFETCH)),
        group=SERVERS,
        help="Let a server read a text while the other model writes it.",
    ),
    option(
        "--prices",
        metavar="READ,REUSED,WRITTEN[,CURRENCY]",
        group=SERVERS,
        help="Money for a million tokens of each kind.",
    ),
    option(
        "--cap-tokens",
        type=click.IntRange(min=0),
        metavar="N",
        group=SERVERS,
        help="Most tokens to read and write, for each server; 0 is no cap.",
    ),
    option("--cap-money", type=_AMOUNT, metavar="SUM", group=SERVERS, help="Most money to spend, for each server."),
)


def known_server(options: ServerOptions, url: str) -> Server:
    """Return the window's settings for the address, changed by the options.

    Raises SettingsError, also if the variable for the key is not set.
    """
    servers = KnownServers(Paths.of_user().servers)
    known = servers.find(url)
    access = _given(authority=options.ca, proxy=options.proxy, any_certificate=options.any_certificate or None)
    given = _given(
        template=options.template,
        supports_prefetch=_PREFETCH.get(options.prefetch or ""),
        prices=_prices(options.prices) if options.prices else None,
        cap=known.cap.model_copy(update=_given(tokens=options.cap_tokens, money=options.cap_money)),
        access=known.access.model_copy(update=access),
    )
    known = known.model_copy(update=given)
    return known.at(url, _key(options, url, servers))


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _prices(text: str) -> Prices:
    """Parse READ,REUSED,WRITTEN[,CURRENCY]."""
    read, reused, written, currency = [*text.split(","), ""][:4] if text.count(",") in (2, 3) else [""] * 4
    try:
        return Prices(read=float(read), reused=float(reused), written=float(written), currency=currency.strip())
    except ValueError as error:
        raise SettingsError(f"--prices {text} cannot be read.", "Write them as 0.5,0.1,2 or 0.5,0.1,2,EUR.") from error


def _key(options: ServerOptions, url: str, servers: KnownServers) -> str | None:
    return take_key(options.api_key_env) if options.api_key_env else servers.key(url)
