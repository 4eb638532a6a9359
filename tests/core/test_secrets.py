"""Keys in the keyring, or in memory and told so."""

import subprocess
import sys

import pytest

from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.secrets import SERVICE, Keeping, Secrets, take_key
from tests.fakes.keyrings import NO_KEYRING, MemoryKeyring


def test_a_key_is_kept_in_the_keyring():
    ring = MemoryKeyring()
    secrets = Secrets(ring)
    assert secrets.keep("office:8080", "abc") is Keeping.KEYRING
    assert ring.held == {(SERVICE, "office:8080"): "abc"}
    assert Secrets(ring).find("office:8080") == "abc"


@pytest.mark.parametrize("ring", [NO_KEYRING, MemoryKeyring(locked=True)])
def test_where_there_is_no_keyring_it_is_kept_for_the_session_and_said_so(ring):
    secrets = Secrets(ring)
    assert secrets.keep("office:8080", "abc") is Keeping.SESSION
    assert "until Baton is closed" in Keeping.SESSION.value
    assert secrets.find("office:8080") == "abc"
    assert Secrets(ring).find("office:8080") is None


def test_a_keyring_that_writes_plain_text_is_none():
    """As those of keyrings.alt, which are used wherever nothing better is installed."""
    kind = type("PlaintextKeyring", (MemoryKeyring,), {"__module__": "keyrings.alt.file"})
    ring = kind()
    assert Secrets(ring).keep("office:8080", "abc") is Keeping.SESSION
    assert not ring.held


def test_a_forgotten_key_is_gone_and_a_locked_keyring_that_keeps_it_is_told():
    with pytest.raises(SettingsError, match="did not forget"):
        Secrets(MemoryKeyring(locked=True)).forget("office:8080")
    ring = MemoryKeyring()
    secrets = Secrets(ring)
    secrets.keep("office:8080", "abc")
    secrets.forget("office:8080")
    secrets.forget("office:8080")
    assert secrets.find("office:8080") is None
    assert not ring.held


def test_a_key_from_the_environment_is_not_inherited_by_child_processes(monkeypatch):
    monkeypatch.setenv("BATON_TEST_KEY", "secret-of-a-test")
    assert take_key("BATON_TEST_KEY") == "secret-of-a-test"
    printed = subprocess.run(
        [sys.executable, "-c", "import os; print(dict(os.environ))"], capture_output=True, check=True
    )
    assert b"secret-of-a-test" not in printed.stdout
    assert take_key("BATON_TEST_KEY") == "secret-of-a-test", "it is asked for once for each server"
    with pytest.raises(SettingsError, match="BATON_NO_KEY is not set"):
        take_key("BATON_NO_KEY")
