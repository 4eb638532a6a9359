"""Servers in the terminal: what the window keeps of them, and the options that stand in its place."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from baton_reasoning.app.cli import main
from baton_reasoning.app.terminal import connect
from baton_reasoning.app.terminal.command_line import command
from baton_reasoning.app.terminal.servers import ServerOptions, known_server, server_options
from baton_reasoning.core.engines.factory import Server
from baton_reasoning.core.engines.remote.servers import KnownServer, KnownServers
from baton_reasoning.core.engines.usage import Cap, Prices
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.models.loading import Switch
from baton_reasoning.core.paths import Paths
from tests.fakes.faulty_router import FaultyRouter
from tests.fakes.faulty_server import FaultyServer, stream

URL = "https://office:8080"


@pytest.fixture(autouse=True)
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    paths = Paths.under(tmp_path)
    monkeypatch.setattr(Paths, "of_user", lambda: paths)
    return paths


def server(*options: str) -> Server:
    @command("probe")
    @server_options
    def probe(servers: ServerOptions) -> Server:
        return known_server(servers, URL)

    found = probe.main(list(options), standalone_mode=False)
    assert isinstance(found, Server)
    return found


def test_every_option_of_a_server_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OFFICE_KEY", "secret")
    template = tmp_path / "chat.jinja"
    template.write_text("a template")
    address, options = server(
        *("--api-key-env", "OFFICE_KEY", "--ca", "ca.pem", "--proxy", "http://proxy:1", "--any-certificate"),
        *("--template", str(template), "--prefetch", "off"),
        *("--prices", "0.5,0.1,2,EUR", "--cap-tokens", "9000", "--cap-money", "0.25"),
    )
    assert (address.url, address.key, address.authority) == (URL, "secret", Path("ca.pem"))
    assert (address.proxy, address.any_certificate) == ("http://proxy:1", True)
    assert (options.template, options.supports_prefetch) == ("a template", False)
    assert (options.prices.written, options.prices.currency) == (2.0, "EUR")
    assert (options.cap.tokens, options.cap.money) == (9000, 0.25)


def test_what_the_window_keeps_holds_unless_an_option_stands_in_its_place(paths: Paths) -> None:
    known = KnownServer(supports_prefetch=Switch.ON, prices=Prices(written=2), cap=Cap(tokens=100, money=3))
    KnownServers(paths.servers).keep(URL, known)
    assert server().options.supports_prefetch
    _, options = server("--prefetch", "off", "--cap-tokens", "0")
    assert (options.supports_prefetch, options.cap.tokens, options.cap.money) == (False, 0, 3)


@pytest.mark.parametrize("prices", ["1", "1,2", "1,2,cheap", "1,2,3,EUR,4", "1,2,-3"])
def test_prices_that_cannot_be_read_are_refused(prices: str) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        server("--prices", prices)


@pytest.mark.parametrize("option", ["--cap-tokens", "--cap-money"])
def test_a_cap_below_nothing_is_wrong_usage(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["connect", URL, option, "-1"]) == 2
    assert "is not in the range" in capsys.readouterr().err


def test_connect_lists_the_models_of_a_router(capsys: pytest.CaptureFixture[str]) -> None:
    models = {"one": ["unloaded", "unloaded", "unloaded", "loading", "loaded"], "other": ["loaded"]}
    with FaultyRouter(stream(), models=models) as server:
        assert main(["connect", f"{server.url}#one"]) == 0
        said = capsys.readouterr()
        assert "is loading one" in said.err
        assert "has other (loaded)" in said.out
        assert main(["connect", server.url, "--json"]) == 1
        found = json.loads(capsys.readouterr().out)
        assert "Write its name after the address" in found["problem"]
        assert found["models"] == [{"name": "one", "status": "loaded"}, {"name": "other", "status": "loaded"}]


def test_connect_without_an_address_finds_a_server_on_a_default_port(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultyServer(stream()) as gone:
        pass
    with FaultyServer(stream()) as good:
        ports = tuple(urlsplit(server.url).port for server in (gone, good))
        monkeypatch.setattr(connect, "LLAMA_SERVER_PORTS", ports)
        assert main(["connect"]) == 0
        assert main(["connect", "--prefetch", "on"]) == 0
    assert "not reachable" not in capsys.readouterr().out
    assert main(["connect"]) == 1
    assert capsys.readouterr().out.count("not reachable") == 2


def test_connect_says_what_it_found_of_each_server(capsys: pytest.CaptureFixture[str]) -> None:
    with FaultyServer(stream()) as gone:
        pass
    with FaultyServer(stream()) as good:
        assert main(["connect", f"{good.url}, {gone.url}"]) == 1
    said = capsys.readouterr()
    assert "✓ reachable" in said.out
    assert "✓ no key needed" in said.out
    assert "✓ serves bytes" in said.out
    assert "✗ not reachable" in said.out
    assert "Nothing answers" in said.err
