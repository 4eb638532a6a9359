"""Addresses as people type them, and connections that are cut."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from baton_reasoning.core.engines.remote.connection import (
    HttpConnection,
    HttpRequest,
    RetryPolicy,
    ServerAccess,
    ServerAddress,
    without_model,
)
from baton_reasoning.core.errors import Cancelled, EngineLost, SettingsError
from tests.fakes.faulty_server import FaultyServer, hold
from tests.patience import PATIENCE


@pytest.mark.parametrize("typed", ["http://office:8080", "http://office:8080/", " http://office:8080/v1 "])
def test_an_address_is_understood_in_its_usual_forms(typed):
    assert ServerAddress(typed).url == "http://office:8080"
    assert ServerAddress(typed).host == "office:8080"


@pytest.mark.parametrize("typed", ["http://office:9931#ours/4B:Q4", " http://office:9931/v1/#ours/4B:Q4"])
def test_an_address_may_name_a_model(typed):
    address = ServerAddress(typed)
    assert (address.url, without_model(address.url)) == ("http://office:9931#ours/4B:Q4", "http://office:9931")
    assert (address.model, address.host) == ("ours/4B:Q4", "office:9931")


@pytest.mark.parametrize("typed", ["office:8080", "ftp://office", "http://", "http://office:port", "http://key@office"])
def test_what_is_no_address_is_refused(typed):
    with pytest.raises(SettingsError):
        ServerAddress(typed)


def test_a_key_is_not_shown_and_one_with_a_line_break_is_refused():
    assert "secret" not in repr(ServerAddress("http://office", "secret"))
    with pytest.raises(SettingsError, match="characters that no key has"):
        ServerAddress("http://office", "abc\n")


@pytest.mark.parametrize(
    ("url", "is_this_machine"),
    [("http://localhost:1", True), ("http://127.0.0.5", True), ("http://[::1]:80", True), ("http://10.0.0.1", False)],
)
def test_this_machine_is_known(url, is_this_machine):
    assert ServerAddress(url).is_this_machine is is_this_machine


def test_risks_are_named():
    assert ServerAddress("http://localhost:1", "key").risks == ()
    assert ServerAddress("https://office", "key").risks == ()
    assert ServerAddress("http://office", "key").risks == ("Texts and the key go to office unencrypted.",)
    assert "can pose as office" in ServerAddress("https://office", access=ServerAccess(any_certificate=True)).risks[0]


def test_a_certificate_file_that_is_none_is_refused(tmp_path):
    file = tmp_path / "ca.pem"
    file.write_text("nothing")
    with pytest.raises(SettingsError, match=r"ca\.pem cannot be used"):
        ServerAddress("https://office", access=ServerAccess(authority=file)).tls()


@pytest.fixture
def connection():
    with FaultyServer(hold) as server:
        address = ServerAddress(server.url)
        with closing(HttpConnection(address, RetryPolicy(), address.tls())) as connection:
            yield connection


def test_a_request_that_is_cut_before_it_begins_does_not_begin(connection):
    connection.cut()
    with pytest.raises(EngineLost), connection.request("/v1/models", None):
        pass


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_answer_that_could_not_be_read_for_any_reason_is_not_taken_for_a_complete_one(connection):
    def read(_: object) -> Iterator[object]:
        yield 1
        raise RuntimeError

    with HttpRequest(connection, "/v1/models", None, read) as request:
        assert request.next(PATIENCE) == 1
        with pytest.raises(EngineLost, match="not an answer"):
            request.next(PATIENCE)


def test_a_cut_ends_one_request_and_a_halt_all(connection):
    connection.cut()
    assert "data" in connection.ask("/v1/models")
    connection.halt()
    with connection.sibling() as sibling:
        for each in (connection, sibling):
            with pytest.raises(Cancelled):
                each.ask("/v1/models")
            with pytest.raises(Cancelled):
                each.pause(600)
    connection.resume()
    assert "data" in connection.ask("/v1/models")


def test_a_signal_may_cancel_while_its_thread_connects(connection):
    class Signalled:
        def get_extra_info(self, _: str) -> None:
            connection.halt()

    connecting = ("connection.connect_tcp.complete", {"return_value": Signalled()})
    thread = threading.Thread(target=connection._on_trace, args=connecting, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()
