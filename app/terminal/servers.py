"""`baton servers`: name servers once, for all commands and the window."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from operator import itemgetter
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import click

from baton_reasoning.app.terminal.command_line import as_json, command_group, gathered, option
from baton_reasoning.app.terminal.options import FILE, SWITCH
from baton_reasoning.app.terminal.output import Field, listing, write
from baton_reasoning.app.terminal.streams import ExitCode, remark, report, write_json
from baton_reasoning.core.engines.open import Server
from baton_reasoning.core.engines.remote.billing import Cap, Prices
from baton_reasoning.core.engines.remote.connection import canonical
from baton_reasoning.core.engines.remote.known_servers import NAME, KnownServer, KnownServers
from baton_reasoning.core.engines.remote.servers import ConnectionReport, Severity, try_connection
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.files import expanded, read_text
from baton_reasoning.core.models.load_options import Switch
from baton_reasoning.core.models.source import server_urls
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.secrets import find_key

KEY_VARIABLE = "BATON_SERVER_KEY"
"""Holds the key of a server for which no other is known."""
SIGNS = {Severity.GOOD: "✓", Severity.BAD: "✗", Severity.WARNING: "!", Severity.PLAIN: " "}


def known_servers() -> KnownServers:
    """Return the servers that terminal and window share."""
    return KnownServers(Paths.of_user().servers)


def known_server(url: str) -> Server:
    """Return a server as it was set up here or in the window. Raises SettingsError."""
    servers = known_servers()
    return servers.find(url).at(url, servers.key(url) or find_key(KEY_VARIABLE) or None)


@command_group("servers")
def servers() -> None:
    """Name servers; list, test and remove them.

    A name stands for the address in all commands: --large office. The window has the same servers.
    """


@dataclass(frozen=True)
class ServerSettings:
    """Changes to the settings of a server; None changes nothing."""

    api_key_env: Annotated[str | None, option(metavar="VARIABLE", help="Environment variable that holds the key.")]
    template: Annotated[Path | None, option(type=FILE, help="Chat template (Jinja), if the server sends none.")]
    ca: Annotated[Path | None, option(type=FILE, help="A private CA or the server's certificate, as PEM.")]
    any_certificate: Annotated[bool, option(help="Accept any certificate (insecure).")]
    proxy: Annotated[str | None, option(metavar="URL", help="Use this proxy instead of the one in HTTPS_PROXY.")]
    prefetch: Annotated[
        Switch | None,
        option(
            type=SWITCH,
            help="Let the server prefill a text while the other model writes it [automatic: on another machine "
            "that has no prices and reports what it reuses].",
        ),
    ]
    prices: Annotated[str | None, option(metavar="READ,REUSED,WRITTEN[,CURRENCY]", help="Prices per million tokens.")]
    cap_tokens: Annotated[
        int | None, option(type=click.IntRange(min=0), help="Most tokens to read and write; 0 removes the cap.")
    ]
    cap_money: Annotated[
        float | None,
        option(type=click.FloatRange(min=0), metavar="SUM", help="Most money to spend; 0 removes the cap."),
    ]

    def applied_to(self, known: KnownServer) -> KnownServer:
        """Return a server with these changes. Raises SettingsError for unusable prices, caps and certificates."""
        if self.ca:
            read_text(self.ca, "Choose a PEM file (it begins with “-----BEGIN CERTIFICATE-----”).")
        access = _given(authority=_absolute(self.ca), proxy=self.proxy, any_certificate=self.any_certificate or None)
        changes = _given(
            key_variable=self.api_key_env,
            template=_absolute(self.template),
            supports_prefetch=self.prefetch,
            prices=_prices(self.prices) if self.prices else None,
            cap=_cap(known.cap.model_dump() | _given(tokens=self.cap_tokens, money=self.cap_money)),
            access=known.access.model_copy(update=access),
        )
        return known.model_copy(update=changes)


@servers.command("add")
@click.argument("name")
@click.argument("url")
@gathered(ServerSettings, "settings")
def add_server(name: str, url: str, settings: ServerSettings) -> None:
    """Name a server, and say how it is reached and what it costs.

    URL is http(s)://host:port[#MODEL]; several with the same model are separated by commas. Repeated for the same
    address, it changes only what is given.
    """
    kept, urls = known_servers(), server_urls(url)
    if not urls:
        raise SettingsError("The address is empty.", "Write it as http://host:port.")
    changed = {each: settings.applied_to(kept.find(each).model_copy(update={"name": name})) for each in urls}
    former = {kept.find(each).name for each in urls} - {"", name}
    for each, known in changed.items():
        known.at(each, None)  # raises SettingsError if that cannot be used
    kept.keep(changed)
    address = kept.address_of(name).replace(",", ", ")
    replaced = f" and replaces {', '.join(sorted(former))}" if former else ""
    remark(f"{name} stands for {address}{replaced}. To test it: baton servers check {name}")


def _key_place(row: dict[str, Any]) -> str:
    return f"${row['key_variable']}" if row["key_variable"] else "keyring" if row["has_key"] else "–"


LISTED: tuple[Field[dict[str, Any]], ...] = (
    Field("", itemgetter("name"), "name"),
    Field("url", itemgetter("url"), "address"),
    Field("", _key_place, "key"),
    *(Field[dict[str, Any]](name, itemgetter(name)) for name in KnownServer.model_fields),
)


@servers.command("list")
@as_json
def list_servers(json: bool) -> None:
    """List the servers that were added here or in the window. With --json, everything that is kept of each."""
    kept = [{"url": url, **known.model_dump(mode="json")} for url, known in known_servers().all().items()]
    listing(kept, LISTED, json, "There is no server yet. To add one: baton servers add NAME URL")


@servers.command("rm")
@click.argument("server", metavar="NAME|URL")
def remove_server(server: str) -> None:
    """Forget a server, its settings and its key."""
    kept = known_servers()
    address = kept.address_of(server) or server
    urls = {canonical(url) for url in server_urls(address)}
    if not urls or not urls <= kept.all().keys():
        raise _no_server(server)
    kept.forget(address)


@servers.command("check")
@click.argument("server", metavar="[NAME|URL]", required=False)
@as_json.but(help="Print one JSON object per server.")
def check_servers(server: str | None, json: bool) -> int:
    """Test a server as a run would use it, without generating text.

    URL is http(s)://host:port[#MODEL]; several are separated by commas. Without an argument, the servers of the list
    are tested. A router loads the named model if it has not yet.
    """
    kept = known_servers()
    if server and NAME.fullmatch(server) and not kept.address_of(server):
        raise _no_server(server)
    if server:
        named = server_urls(kept.address_of(server) or server)
        reports = [try_connection(*known_server(url), cache(remark)) for url in named]
    else:
        reports = [_tested(url) for url in kept.all()]
    if not reports:
        raise SettingsError("There is no server yet.", "Name its address, or add it: baton servers add NAME URL")
    for each in reports:
        _show(each, json)
    return ExitCode.FAILED if any(each.problem for each in reports) else ExitCode.ANSWERED


def _tested(url: str) -> ConnectionReport:
    """Test one server of several: wrong settings of one do not keep the others from being tested."""
    try:
        server = known_server(url)
    except SettingsError as error:
        return ConnectionReport(urlsplit(canonical(url)).netloc, problem=error)
    return try_connection(*server, cache(remark))


def _no_server(name: str) -> SettingsError:
    return SettingsError(f"There is no server {name or repr(name)}.", "See baton servers list.")


def _show(found: ConnectionReport, json: bool) -> None:
    if json:
        findings = [{"severity": each.severity.value, "text": each.text} for each in found.findings]
        models = [{"name": each.name, "status": each.status} for each in found.models]
        problem = str(found.problem) if found.problem else None
        write_json({"host": found.host, "models": models, "findings": findings, "problem": problem})
    else:
        write(found.host)
        for finding in found.findings:
            write(f"  {SIGNS[finding.severity]} {finding.text}")
    if found.problem:
        report(found.problem)


def _absolute(file: Path | None) -> Path | None:
    """Return the path of a file in whatever folder a later command runs."""
    return expanded(file).absolute() if file else None


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _prices(text: str) -> Prices:
    """Parse READ,REUSED,WRITTEN[,CURRENCY]."""
    read, reused, written, currency = [*text.split(","), ""][:4] if text.count(",") in (2, 3) else [""] * 4
    try:
        return Prices(read=float(read), reused=float(reused), written=float(written), currency=currency.strip())
    except ValueError as error:
        raise SettingsError(f"--prices {text} cannot be read.", "Write them as 0.5,0.1,2 or 0.5,0.1,2,EUR.") from error


def _cap(values: dict[str, Any]) -> Cap:
    try:
        return Cap(**values)
    except ValueError as error:
        raise SettingsError(f"--cap-money cannot be {values['money']}.", "Write a sum, or 0 for no cap.") from error
