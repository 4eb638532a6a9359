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

URL = "https://office:8080"
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


def test_an_unknown_server_is_used_as_it_is_by_default(servers):
    assert servers.find(URL) == KnownServer()
    address, options = servers.server(URL)
    assert (address.url, address.key) == (URL, None)
    assert (options.cap.tokens, options.cap.money) == (0, 0)


def test_what_is_kept_is_there_at_the_next_start(servers, file, ring):
    known = KnownServer(
        supports_prefetch=Switch.ON,
        access=ServerAccess(authority=Path("ca.pem"), proxy="http://proxy:3128"),
        prices=Prices(read=0.5, reused=0.1, written=2.0, currency="EUR"),
        cap=Cap(money=1.5, tokens=900),
        overrides=ModelOverrides(temperature=0.8, tags=TagSource.NONE),
    )
    assert servers.keeping is Keeping.KEYRING
    servers.keep({URL: known}, "secret")
    address, options = KnownServers(file, lambda: Secrets(ring)).server(URL)
    assert address.key == "secret"
    assert address.access == ServerAccess(authority=Path("ca.pem"), proxy="http://proxy:3128")
    assert options.supports_prefetch
    assert (options.prices.reused, options.prices.currency) == (0.1, "EUR")
    assert (options.cap.money, options.cap.tokens) == (1.5, 900)
    assert options.overrides == ModelOverrides(temperature=0.8, tags=TagSource.NONE)
    with pytest.raises(SettingsError, match="needs prices"):
        KnownServer(cap=Cap(money=1)).at(URL, None)


def test_without_a_keyring_the_key_holds_for_the_session(file):
    servers = KnownServers(file, lambda: Secrets(NO_KEYRING))
    assert servers.keeping is Keeping.SESSION
    servers.keep({URL: KnownServer()}, "secret")
    assert servers.server(URL).address.key == "secret"
    assert KnownServers(file, lambda: Secrets(NO_KEYRING)).server(URL).address.key is None


def test_a_key_is_never_in_the_file_and_one_that_is_forgotten_is_sent_no_more(servers, file):
    servers.keep({f" {URL}/v1/ ": KnownServer()}, "secret")
    assert URL in file.read_text(), "in one form, however the address is written"
    assert "secret" not in file.read_text()
    servers.forget_key(URL)
    assert servers.server(URL).address.key is None
    assert not servers.find(URL).has_key


def test_the_keyring_is_not_asked_for_a_server_without_a_key(file):
    def asked() -> Secrets:
        raise AssertionError("the keyring was asked")

    servers = KnownServers(file, asked)
    servers.keep({URL: BIG})
    assert servers.server(URL).options.cap.tokens == 9


def test_the_models_of_one_server_share_its_key_and_its_settings(servers):
    servers.keep({f"{URL}#one": BIG}, "secret")
    assert servers.find(f"{URL}/v1#one").cap.tokens == 9
    other, _ = servers.server(f"{URL}#other")
    assert (other.model, other.key) == ("other", "secret")
    servers.keep({URL: KnownServer(cap=Cap(tokens=5))})
    assert servers.find(f"{URL}#other").cap.tokens == 5
    servers.forget_key(f"{URL}#other")
    assert not any(servers.find(url).has_key for url in (URL, f"{URL}#one", f"{URL}#other"))


def test_a_damaged_file_is_said_since_it_may_hold_a_cap(servers, file):
    file.parent.mkdir()
    file.write_text('{"servers": {"http://a": {"cap": {"tokens": "many"}}}}')
    with pytest.raises(SettingsError, match=r"servers\.json cannot be read: .*cap\.tokens"):
        servers.server("http://a")
    servers.keep({"http://a": KnownServer(cap=Cap(tokens=5))})
    assert servers.server("http://a").options.cap.tokens == 5
    assert "many" in file.with_suffix(".damaged").read_text(), "what the person may want to look at again is gone"


def test_what_cannot_be_written_holds_until_the_end(tmp_path):
    (tmp_path / "config").write_text("a file where the folder should be")
    servers = KnownServers(tmp_path / "config" / "servers.json", lambda: Secrets(MemoryKeyring()))
    with pytest.raises(SettingsError, match="could not be saved"):
        servers.keep({URL: BIG}, "secret")
    address, options = servers.server(URL)
    assert (address.key, options.cap.tokens) == ("secret", 9)


def test_what_one_server_has_is_not_taken_for_anothers(servers):
    servers.keep({URL: KnownServer()}, "secret")
    servers.keep({"http://other:1": servers.find(URL)})
    assert not servers.find("http://other:1").has_key
    servers.keep({URL: BIG})
    assert servers.server(URL).address.key == "secret"


def test_a_template_is_read_from_its_file(servers, tmp_path):
    template = tmp_path / "chat.jinja"
    servers.keep({URL: KnownServer(template=template)})
    with pytest.raises(SettingsError, match=r"chat\.jinja cannot be read"):
        servers.server(URL)
    template.write_text("{{ messages[0].content }}")
    assert servers.server(URL).options.template == "{{ messages[0].content }}"


@pytest.mark.parametrize(
    "content", ["[" * 100_000, '{"servers": ' * 100_000, '{"servers": {"http://a": {"cap": "\\ud800"}}}']
)
def test_a_file_of_any_content_is_read_or_said_to_be_damaged(servers, file, content):
    file.parent.mkdir()
    file.write_text(content)
    with pytest.raises(SettingsError, match="cannot be read") as raised:
        servers.find(URL)
    assert len(str(raised.value)) < 1000


def test_a_name_is_that_of_one_address_and_its_other_models_have_none(servers):
    servers.keep({URL: KnownServer(name="office")})
    assert servers.address_of("office") == URL
    assert servers.find(f"{URL}#other").name == ""
    with pytest.raises(SettingsError, match="“office” already names https://office:8080"):
        servers.keep({"http://other:1": KnownServer(name="office")})
    servers.keep(dict.fromkeys((URL, "http://other:1"), KnownServer(name="office")))
    assert servers.address_of("office") == f"{URL},http://other:1"


def test_the_variable_of_a_key_is_asked_before_the_keyring(servers, monkeypatch):
    servers.keep({URL: KnownServer(key_variable="A_KEY_OF_THE_OFFICE")})
    with pytest.raises(SettingsError, match="A_KEY_OF_THE_OFFICE is not set"):
        servers.key(URL)
    servers.keep({URL: servers.find(URL)}, "in the keyring")
    assert servers.key(URL) == "in the keyring"
    monkeypatch.setenv("A_KEY_OF_THE_OFFICE", "secret")
    assert servers.key(URL) == "secret"


def test_a_server_is_forgotten_with_its_key_once_no_address_needs_it(servers, ring):
    servers.keep(dict.fromkeys((f"{URL}#one", f"{URL}#other"), KnownServer()), "secret")
    servers.forget(f"{URL}#one")
    assert servers.key(f"{URL}#other") == "secret"
    servers.forget(f"{URL}#other")
    assert not servers.all()
    assert Secrets(ring).find(URL) is None
