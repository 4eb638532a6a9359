"""Servers in the terminal: named, listed, tested and removed, in the list that the window has, too."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest

from baton_reasoning.app.terminal import servers
from baton_reasoning.app.terminal.models import source_of
from baton_reasoning.app.terminal.servers import known_server
from baton_reasoning.core import secrets
from baton_reasoning.core.demo_pair import READY_PROBLEMS, SMALL_MODEL
from baton_reasoning.core.engines.remote.known_servers import KnownServer, KnownServers
from baton_reasoning.core.engines.usage import Cap, Prices
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.models.options import ServerUrls, Switch
from baton_reasoning.core.paths import Paths
from tests.fakes.faulty_router import FaultyRouter
from tests.fakes.faulty_server import FaultyServer, stream
from tests.servers.llama_server import KEY, LlamaServer, ServerOptions

URL = "https://office:8080"
PROBLEM = json.loads(READY_PROBLEMS.read_text(encoding="utf-8").splitlines()[0])["problem"]


@pytest.fixture(autouse=True)
def paths(tmp_path, monkeypatch):
    paths = Paths.under(tmp_path)
    monkeypatch.setattr(Paths, "of_user", lambda: paths)
    return paths


def test_every_option_of_a_server_is_kept(baton, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "chat.jinja").write_text("a template")
    (tmp_path / "ca.pem").write_text("a certificate")
    added = baton(
        *("servers", "add", "office", URL),
        *("--api-key-env", "OFFICE_KEY", "--ca", "ca.pem", "--proxy", "http://proxy:1", "--any-certificate"),
        *("--template", "chat.jinja", "--prefetch", "off"),
        *("--prices", "0.5,0.1,2,EUR", "--cap-tokens", "9000", "--cap-money", "0.25"),
    )
    assert added.returncode == 0, added.stderr
    monkeypatch.chdir("/")
    monkeypatch.setenv("OFFICE_KEY", "secret")
    address, options = known_server(URL)
    assert (address.url, address.key, address.access.authority) == (URL, "secret", tmp_path / "ca.pem")
    assert (address.access.proxy, address.access.any_certificate) == ("http://proxy:1", True)
    assert (options.template, options.supports_prefetch) == ("a template", False)
    assert (options.prices.written, options.prices.currency) == (2.0, "EUR")
    assert (options.cap.tokens, options.cap.money) == (9000, 0.25)


def test_what_the_window_keeps_stays_unless_an_option_changes_it(baton, paths):
    known = KnownServer(supports_prefetch=Switch.ON, prices=Prices(written=2), cap=Cap(tokens=100, money=3))
    KnownServers(paths.servers).keep({URL: known})
    assert known_server(URL).options.supports_prefetch
    assert baton("servers", "add", "office", URL, "--prefetch", "off", "--cap-tokens", "0").returncode == 0
    _, options = known_server(URL)
    assert (options.supports_prefetch, options.cap.tokens, options.cap.money) == (False, 0, 3)


def test_a_name_stands_for_the_address_until_the_server_is_removed(baton):
    baton("servers", "add", "office", f"{URL}#one, http://home:1")
    assert source_of("office") == ServerUrls((f"{URL}#one", "http://home:1"))
    listed = [json.loads(line) for line in baton("servers", "list", "--json").stdout.splitlines()]
    assert [(each["name"], each["url"]) for each in listed] == [("office", f"{URL}#one"), ("office", "http://home:1")]
    assert baton("servers", "rm", "http://home:1").returncode == 0
    assert source_of("office") == ServerUrls((f"{URL}#one",))
    assert baton("servers", "rm", "office").returncode == 0
    with pytest.raises(SettingsError, match="no file, model or server called office"):
        source_of("office")
    assert "To add one: baton servers add NAME URL" in baton("servers", "list").stderr


def test_a_name_stands_for_more_addresses_of_which_each_keeps_what_is_not_given(baton):
    baton("servers", "add", "office", "http://two:2", "--prices", "1,1,1", "--cap-money", "2")
    added = baton("servers", "add", "office", "http://one:1,http://two:2", "--prefetch", "off")
    assert "office stands for http://two:2, http://one:1." in added.stderr
    one, two = known_server("http://one:1").options, known_server("http://two:2").options
    assert (one.cap.money, two.cap.money, two.prices.written) == (0, 2, 1)
    assert (one.supports_prefetch, two.supports_prefetch) == (False, False)


def test_the_list_says_where_each_key_is(baton, paths):
    KnownServers(paths.servers).keep({"http://home:1": KnownServer(has_key=True)}, "secret")
    baton("servers", "add", "office", URL, "--api-key-env", "OFFICE_KEY")
    header, home, office = (line.split() for line in baton("servers", "list").stdout.splitlines())
    assert header == ["name", "address", "key"]
    assert home == ["http://home:1", "keyring"]
    assert office == ["office", URL, "$OFFICE_KEY"]


def test_a_server_without_a_key_of_its_own_gets_that_of_the_environment(monkeypatch):
    monkeypatch.setattr(secrets, "_taken", {})
    assert known_server("http://home:1").address.key is None
    monkeypatch.setenv(servers.KEY_VARIABLE, "secret")
    assert known_server("http://home:1").address.key == "secret"


@pytest.mark.slow
def test_the_check_lists_the_models_of_a_router(baton):
    models = {"one": ["unloaded", "unloaded", "unloaded", "loading", "loaded"], "other": ["loaded"]}
    with FaultyRouter(stream(), models=models) as server:
        said = baton("servers", "check", f"{server.url}#one")
        assert said.returncode == 0
        assert "is loading one" in said.stderr
        assert "has other (loaded)" in said.stdout
        said = baton("servers", "check", server.url, "--json")
        assert said.returncode == 1
        found = json.loads(said.stdout)
        assert "Write its name after the address" in found["problem"]
        assert found["models"] == [{"name": "one", "status": "loaded"}, {"name": "other", "status": "loaded"}]


def test_the_check_without_an_argument_tests_the_list_else_the_default_ports(baton, monkeypatch):
    with FaultyServer(stream()) as gone:
        pass
    with FaultyServer(stream()) as good:
        ports = tuple(urlsplit(server.url).port for server in (gone, good))
        monkeypatch.setattr(servers, "LLAMA_SERVER_PORTS", ports)
        said = baton("servers", "check")
        assert (said.returncode, "not reachable" in said.stdout) == (0, False)
        baton("servers", "add", "gone", gone.url)
        said = baton("servers", "check")
        assert (said.returncode, said.stdout.count("not reachable")) == (1, 1)
        baton("servers", "rm", "gone")
    said = baton("servers", "check")
    assert (said.returncode, said.stdout.count("not reachable")) == (1, 2)


def test_wrong_settings_of_one_server_do_not_keep_the_others_from_being_tested(baton):
    with FaultyServer(stream()) as good:
        baton("servers", "add", "locked", "http://home:1", "--api-key-env", "UNSET_KEY")
        baton("servers", "add", "good", good.url)
        said = baton("servers", "check")
    assert said.returncode == 1
    assert said.stderr.count("The environment variable UNSET_KEY is not set.") == 1
    assert said.stdout.splitlines()[0] == "home:1"
    assert said.stdout.count("reachable") == 1
    assert "✓ serves bytes" in said.stdout


def test_the_check_says_what_it_found_of_each_server(baton):
    with FaultyServer(stream()) as gone:
        pass
    with FaultyServer(stream()) as good:
        said = baton("servers", "check", f"{good.url}, {gone.url}")
        assert said.returncode == 1
    assert "✓ reachable" in said.stdout
    assert "✓ no key needed" in said.stdout
    assert "✓ serves bytes" in said.stdout
    assert "✗ not reachable" in said.stdout
    assert "Nothing answers" in said.stderr


@pytest.mark.slow
def test_a_llama_server_with_a_key_is_used_by_its_name(baton, monkeypatch):
    monkeypatch.setenv("OFFICE_KEY", KEY)
    with LlamaServer(ServerOptions(str(SMALL_MODEL))) as server:
        baton("servers", "add", "office", server.url, "--api-key-env", "OFFICE_KEY")
        checked = baton("servers", "check", "office", "--beside", str(SMALL_MODEL))
        assert checked.returncode == 0, checked.stdout
        assert "✓ key accepted" in checked.stdout
        solved = baton("solve", PROBLEM, "--policy", "always", "--large", "office", "-n", "5")
        assert solved.returncode == 3, solved.stderr
        assert urlsplit(server.url).netloc in solved.stderr
