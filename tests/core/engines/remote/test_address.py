"""Addresses as people type them."""

from pathlib import Path

import pytest

from baton_reasoning.core.engines.remote.address import ServerAddress
from baton_reasoning.core.errors import SettingsError


@pytest.mark.parametrize("typed", ["http://office:8080", "http://office:8080/", " http://office:8080/v1 "])
def test_an_address_is_understood_in_its_usual_forms(typed: str) -> None:
    assert ServerAddress(typed).url == "http://office:8080"
    assert ServerAddress(typed).host == "office:8080"


@pytest.mark.parametrize("typed", ["http://office:9931#ours/4B:Q4", " http://office:9931/v1/#ours/4B:Q4"])
def test_an_address_may_name_a_model(typed: str) -> None:
    address = ServerAddress(typed)
    assert (address.url, address.base_url) == ("http://office:9931#ours/4B:Q4", "http://office:9931")
    assert (address.model, address.host) == ("ours/4B:Q4", "office:9931")


@pytest.mark.parametrize("typed", ["office:8080", "ftp://office", "http://", "http://office:port", "http://key@office"])
def test_what_is_no_address_is_refused(typed: str) -> None:
    with pytest.raises(SettingsError):
        ServerAddress(typed)


def test_a_key_is_not_shown_and_one_with_a_line_break_is_refused() -> None:
    assert "secret" not in repr(ServerAddress("http://office", "secret"))
    with pytest.raises(SettingsError, match="characters that no key has"):
        ServerAddress("http://office", "abc\n")


@pytest.mark.parametrize(
    ("url", "is_this_machine"),
    [("http://localhost:1", True), ("http://127.0.0.5", True), ("http://[::1]:80", True), ("http://10.0.0.1", False)],
)
def test_this_machine_is_known(url: str, is_this_machine: bool) -> None:
    assert ServerAddress(url).is_this_machine is is_this_machine


def test_risks_are_named() -> None:
    assert ServerAddress("http://localhost:1", "key").risks == ()
    assert ServerAddress("https://office", "key").risks == ()
    assert ServerAddress("http://office", "key").risks == ("Texts and the key go to office unencrypted.",)
    assert "can pose as office" in ServerAddress("https://office", any_certificate=True).risks[0]


def test_a_certificate_file_that_is_none_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("nothing")
    with pytest.raises(SettingsError, match=r"ca\.pem cannot be used"):
        ServerAddress("https://office", authority=file).tls()
