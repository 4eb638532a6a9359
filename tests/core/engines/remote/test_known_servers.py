"""What is known of servers: in a file, but for the keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from baton_reasoning.core.engines.remote.connection import ServerAccess
from baton_reasoning.core.engines.remote.known_servers import KnownServer, KnownServers
from baton_reasoning.core.engines.usage import Cap, Prices
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.models.options import ModelOverrides, Switch, TagSource
from baton_reasoning.core.secrets import Keeping, Secrets
from tests.fakes.keyrings import NO_KEYRING, MemoryKeyring

URL, OTHER = "https://office:8080", "http://other:1"
BIG = KnownServer(cap=Cap(tokens=9))


@pytest.fixture
def file(tmp_path):
    return tmp_path / "config" / "servers.json"


@pytest.fixture
def ring():
    return MemoryKeyring()


@pytest.fixture
def servers(file, ring):
    return KnownServers(file, lambda: Secrets(ring))


def test_what_is_kept_is_there_at_the_next_start_and_the_key_is_not_in_the_file(servers, file, ring):
    address, options = servers.server(URL)
    assert (address.url, address.key, options.cap, servers.find(URL)) == (URL, None, Cap(), KnownServer())
    known = KnownServer(
        supports_prefetch=Switch.ON,
        access=ServerAccess(authority=Path("ca.pem"), proxy="http://proxy:3128"),
        prices=Prices(read=0.5, reused=0.1, written=2.0, currency="EUR"),
        cap=Cap(money=1.5, tokens=900),
        overrides=ModelOverrides(temperature=0.8, tags=TagSource.NONE),
    )
    assert servers.keeping is Keeping.KEYRING
    servers.keep({f" {URL}/v1/ ": known}, "secret")
    assert URL in file.read_text(), "in one form, however the address is written"
    assert "secret" not in file.read_text()
    address, options = KnownServers(file, lambda: Secrets(ring)).server(URL)
    assert (address.key, address.access) == ("secret", known.access)
    assert (options.prices, options.cap, options.overrides) == (known.prices, known.cap, known.overrides)
    assert options.supports_prefetch
    servers.forget_key(URL)
    assert servers.server(URL).address.key is None
    assert servers.find(URL) == known


def test_without_a_keyring_the_key_holds_for_the_session(file):
    servers = KnownServers(file, lambda: Secrets(NO_KEYRING))
    assert servers.keeping is Keeping.SESSION
    servers.keep({URL: KnownServer()}, "secret")
    assert servers.key(URL) == "secret"
    assert KnownServers(file, lambda: Secrets(NO_KEYRING)).key(URL) is None


def test_the_keyring_is_not_asked_for_a_server_without_a_key(file):
    def asked() -> Secrets:
        raise AssertionError("the keyring was asked")

    servers = KnownServers(file, asked)
    servers.keep({URL: BIG})
    assert servers.server(URL).options.cap == BIG.cap
    servers.forget(URL)


def test_the_models_of_one_server_share_its_key_and_its_settings_and_others_do_not(servers):
    servers.keep({f"{URL}#one": BIG}, "secret")
    assert servers.find(f"{URL}/v1#one").cap.tokens == 9
    other, _ = servers.server(f"{URL}#other")
    assert (other.model, other.key) == ("other", "secret")
    servers.keep({URL: KnownServer(cap=Cap(tokens=5)), OTHER: servers.find(f"{URL}#one")})
    assert servers.find(f"{URL}#other").cap.tokens == 5
    assert servers.key(URL) == "secret", "no new one was given"
    assert not servers.find(OTHER).has_key, "what one server has is not taken for another's"
    servers.forget_key(f"{URL}#other")
    assert not any(known.has_key for known in servers.all().values())


def test_a_server_is_forgotten_with_its_key_once_no_address_needs_it(servers, ring):
    servers.keep(dict.fromkeys((f"{URL}#one", f"{URL}#other"), KnownServer()), "secret")
    servers.forget(f"{URL}#one")
    assert servers.key(f"{URL}#other") == "secret"
    servers.forget(f"{URL}#other")
    assert not servers.all()
    assert Secrets(ring).find(URL) is None


def test_the_variable_of_a_key_is_asked_before_the_keyring(servers, monkeypatch):
    servers.keep({URL: KnownServer(key_variable="A_KEY_OF_THE_OFFICE")})
    with pytest.raises(SettingsError, match="A_KEY_OF_THE_OFFICE is not set"):
        servers.key(URL)
    servers.keep({URL: servers.find(URL)}, "in the keyring")
    assert servers.key(URL) == "in the keyring"
    monkeypatch.setenv("A_KEY_OF_THE_OFFICE", "secret")
    assert servers.key(URL) == "secret"


def test_what_cannot_be_used_is_said(servers, tmp_path):
    with pytest.raises(SettingsError, match="needs prices"):
        KnownServer(cap=Cap(money=1)).at(URL, None)
    template = tmp_path / "chat.jinja"
    servers.keep({URL: KnownServer(template=template)})
    with pytest.raises(SettingsError, match=r"chat\.jinja cannot be read"):
        servers.server(URL)
    template.write_text("{{ messages[0].content }}")
    assert servers.server(URL).options.template == "{{ messages[0].content }}"


@pytest.mark.parametrize(
    "content",
    [
        '{"servers": {"http://a": {"cap": {"tokens": "many"}}}}',
        "[" * 100_000,
        '{"servers": ' * 100_000,
        '{"servers": {"http://a": {"cap": "\\ud800"}}}',
    ],
)
def test_a_damaged_file_is_said_since_it_may_hold_a_cap_and_kept_beside_the_next(servers, file, content):
    file.parent.mkdir()
    file.write_text(content)
    with pytest.raises(SettingsError, match=r"servers\.json cannot be read: .") as raised:
        servers.server("http://a")
    assert len(str(raised.value)) < 1000
    assert ("cap.tokens" in str(raised.value)) is ("many" in content)
    servers.keep({"http://a": BIG})
    assert servers.find("http://a") == BIG
    assert file.with_suffix(".damaged").read_text() == content, "the person may want to look at it again"


def test_what_cannot_be_written_holds_until_the_end(tmp_path):
    (tmp_path / "config").write_text("a file where the folder should be")
    servers = KnownServers(tmp_path / "config" / "servers.json", lambda: Secrets(MemoryKeyring()))
    with pytest.raises(SettingsError, match="could not be saved"):
        servers.keep({URL: BIG}, "secret")
    address, options = servers.server(URL)
    assert (address.key, options.cap) == ("secret", BIG.cap)


def test_a_name_is_that_of_one_address_and_its_other_models_have_none(servers):
    servers.keep({URL: KnownServer(name="office")})
    assert servers.address_of("office") == URL
    assert servers.address_of("") == servers.address_of("another") == ""
    assert servers.find(f"{URL}#other").name == ""
    for name, reason in (
        ("office", "“office” already names https://office:8080"),
        ("demo", "“demo” already names a model"),
        ("model.gguf", "“model.gguf” cannot name a server"),
    ):
        with pytest.raises(SettingsError, match=reason):
            servers.keep({OTHER: KnownServer(name=name)})
    assert OTHER not in servers.all()
    servers.keep(dict.fromkeys((URL, OTHER), KnownServer(name="office")))
    assert servers.address_of("office") == f"{URL},{OTHER}"
    assert servers.names() == {f"{URL},{OTHER}": "office"}
