"""Options about servers: each stands in place of what the window keeps for that address."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from core.engines.factory import Server
from core.engines.servers import KnownServers
from core.engines.usage import Prices
from core.errors import SettingsError
from core.models.preferences import Switch
from core.paths import Paths

_READ_ALONG = {"auto": Switch.AUTOMATIC, "on": Switch.ON, "off": Switch.OFF}


def add_server_options(parser: argparse.ArgumentParser) -> None:
    """Whatever is not given is as the window keeps it for that address, if it knows it."""
    group = parser.add_argument_group("servers", "What is not given here is as the window keeps it for the address.")
    group.add_argument("--api-key-env", metavar="NAME", help="environment variable that holds the key")
    group.add_argument("--server-model", metavar="NAME", help="which one, where a server has several")
    group.add_argument("--template", type=Path, metavar="FILE", help="chat template (Jinja), where a server tells none")
    group.add_argument("--ca", type=Path, metavar="FILE", help="a private CA, or the server's own certificate, as PEM")
    group.add_argument("--any-certificate", action="store_true", help="accept any certificate: a risk")
    group.add_argument("--proxy", metavar="URL", help="instead of the one in HTTPS_PROXY")
    group.add_argument("--read-along", choices=_READ_ALONG, help="a server reads while the other model writes")
    group.add_argument("--prices", metavar="READ,REUSED,WRITTEN[,CURRENCY]", help="money for a million tokens each")
    for option, what in (("--cap", "in all, by each server"), ("--answer-cap", "for each answer")):
        group.add_argument(
            f"{option}-tokens", type=_amount(int), metavar="N", help=f"most tokens to read and write {what}"
        )
        group.add_argument(f"{option}-money", type=_amount(float), metavar="SUM", help=f"most money to spend {what}")


def _amount(kind: type[int] | type[float]) -> Callable[[str], float]:
    def read(text: str) -> float:
        with suppress(ValueError):
            if (amount := kind(text)) >= 0:
                return amount
        raise argparse.ArgumentTypeError(f"{text} is not an amount: 0 is no cap")

    return read


def known_server(arguments: argparse.Namespace, url: str) -> Server:
    """What is known of the server, with what was given in place of it. Raises SettingsError, also if the key's
    variable is not set."""
    servers = KnownServers(Paths.of_user().servers)
    known = servers.find(url)
    way = _given(authority=arguments.ca, proxy=arguments.proxy, any_certificate=arguments.any_certificate or None)
    given = _given(
        model=arguments.server_model,
        template=arguments.template,
        supports_prefetch=_READ_ALONG.get(arguments.read_along),
        prices=_prices(arguments.prices) if arguments.prices else None,
        cap=known.cap.model_copy(update=_given(tokens=arguments.cap_tokens, money=arguments.cap_money)),
        answer_cap=known.answer_cap.model_copy(
            update=_given(tokens=arguments.answer_cap_tokens, money=arguments.answer_cap_money)
        ),
        way=known.way.model_copy(update=way),
    )
    known = known.model_copy(update=given)
    return known.at(url, _key(arguments, url, servers))


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _prices(text: str) -> Prices:
    """READ,REUSED,WRITTEN and perhaps the currency."""
    read, reused, written, currency = [*text.split(","), ""][:4] if text.count(",") in (2, 3) else [""] * 4
    try:
        return Prices(read=float(read), reused=float(reused), written=float(written), currency=currency.strip())
    except ValueError as error:
        raise SettingsError(f"--prices {text} cannot be read.", "Write them as 0.5,0.1,2 or 0.5,0.1,2,EUR.") from error


def _key(arguments: argparse.Namespace, url: str, servers: KnownServers) -> str | None:
    if name := arguments.api_key_env:
        if key := os.environ.get(name):
            return key
        raise SettingsError(f"The environment variable {name} is not set.", "Put the server's key into it.")
    return servers.key(url)
