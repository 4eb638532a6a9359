"""Keys in the keyring, or in memory and told so."""

import pytest
from keyring.backend import KeyringBackend

from core.errors import SettingsError
from core.secrets import SERVICE, Keeping, Secrets
from tests.fakes.keyrings import NO_KEYRING, MemoryKeyring


def test_a_key_is_kept_in_the_keyring() -> None:
    ring = MemoryKeyring()
    secrets = Secrets(ring)
    assert secrets.keep("office:8080", "abc") is Keeping.KEYRING
    assert ring.held == {(SERVICE, "office:8080"): "abc"}
    assert Secrets(ring).find("office:8080") == "abc"


@pytest.mark.parametrize("ring", [NO_KEYRING, MemoryKeyring(locked=True)])
def test_where_there_is_no_keyring_it_is_kept_for_the_session_and_said_so(ring: KeyringBackend) -> None:
    secrets = Secrets(ring)
    assert secrets.keep("office:8080", "abc") is Keeping.SESSION
    assert "until Baton is closed" in Keeping.SESSION.value
    assert secrets.find("office:8080") == "abc"
    assert Secrets(ring).find("office:8080") is None


def test_a_locked_keyring_that_keeps_a_key_is_told() -> None:
    with pytest.raises(SettingsError, match="did not forget"):
        Secrets(MemoryKeyring(locked=True)).forget("office:8080")


def test_a_forgotten_key_is_gone() -> None:
    ring = MemoryKeyring()
    secrets = Secrets(ring)
    secrets.keep("office:8080", "abc")
    secrets.forget("office:8080")
    secrets.forget("office:8080")
    assert secrets.find("office:8080") is None
    assert not ring.held
