"""Addresses, connections that are cut, retries, the status that is shown of a server, and what is kept of it."""

import threading
from contextlib import closing
from pathlib import Path
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton_reasoning.core.engines.base import ModelCard
from baton_reasoning.core.engines.remote.answers import Fields, NotReady
from baton_reasoning.core.engines.remote.billing import Cap, Prices
from baton_reasoning.core.engines.remote.connection import (
    HttpConnection,
    HttpRequest,
    RetryPolicy,
    RetryState,
    ServerAccess,
    ServerAddress,
    Signal,
    without_model,
)
from baton_reasoning.core.engines.remote.known_servers import KnownServer, KnownServers
from baton_reasoning.core.engines.remote.llama_server import LlamaServerAnswer
from baton_reasoning.core.engines.remote.status import ServerState, ServerStatus, StatusTracker
from baton_reasoning.core.engines.remote.stream import StreamedAnswer
from baton_reasoning.core.errors import Cancelled, EngineLost, SettingsError
from baton_reasoning.core.models.load_options import Switch
from baton_reasoning.core.models.overrides import ModelOverrides, TagSource
from baton_reasoning.core.secrets import Secrets
from tests.fakes.faulty_server import FaultyServer, error, hold
from tests.fakes.keyrings import MemoryKeyring
from tests.patience import PATIENCE

# Addresses


@pytest.mark.parametrize("typed", ["http://office:8080{}", "http://office:8080/{}", " http://office:8080/v1/{} "])
def test_an_address_is_understood_in_its_usual_forms(typed):
    for model, named in (("", ""), ("ours/4B:Q4", "#ours/4B:Q4")):
        address = ServerAddress(typed.format(named))
        assert (address.url, without_model(address.url)) == (f"http://office:8080{named}", "http://office:8080")
        assert (address.host, address.model) == ("office:8080", model)


def test_what_is_no_address_no_key_or_no_certificate_is_refused(tmp_path):
    for typed in "office:8080 ftp://office http:// http://office:port http://office:0 http://key@office".split():
        with pytest.raises(SettingsError):
            ServerAddress(typed)
    with pytest.raises(SettingsError, match="characters that no key has"):
        ServerAddress("http://office", "abc\n")
    assert "secret" not in repr(ServerAddress("http://office", "secret"))
    file = tmp_path / "ca.pem"
    file.write_text("nothing")
    with pytest.raises(SettingsError, match=r"ca\.pem cannot be used"):
        ServerAddress("https://office", access=ServerAccess(authority=file)).tls()


@pytest.mark.parametrize(
    ("url", "is_this_machine"),
    [("http://localhost:1", True), ("http://127.0.0.5", True), ("http://[::1]:80", True), ("http://10.0.0.1", False)],
)
def test_the_way_to_another_machine_is_named_as_a_risk_unless_it_is_encrypted(url, is_this_machine):
    address = ServerAddress(url, "key")
    assert address.is_this_machine is is_this_machine
    unencrypted = () if is_this_machine else (f"Texts and the key go to {address.host} unencrypted.",)
    assert address.risks == unencrypted
    assert ServerAddress(url.replace("http:", "https:"), "key").risks == ()
    (risk, *_) = ServerAddress(url, access=ServerAccess(any_certificate=True)).risks
    assert f"can pose as {address.host}" in risk


# Connections


@pytest.fixture
def server():
    with FaultyServer(hold) as server:
        yield server


@pytest.fixture
def connection(server):
    address = ServerAddress(server.url)
    with closing(HttpConnection(address, RetryPolicy(), address.tls())) as connection:
        yield connection


def test_a_cut_ends_one_request_and_a_halt_all(connection):
    connection.cut()
    with pytest.raises(EngineLost), connection.request("/v1/models", None):
        pass
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


def test_an_error_of_a_socket_that_a_cut_has_closed_is_the_cut_and_any_other_is_not(connection):
    """On Windows httpcore may look at the socket between its closing and its end."""
    for end, raised in ((lambda: None, OSError), (connection.cut, EngineLost)):
        connection.forget_cut()
        with pytest.raises(raised), connection.request("/v1/models", None):  # noqa: PT012  as a thread reads
            end()
            raise OSError(10038, "not a socket")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_answer_that_could_not_be_read_for_any_reason_is_not_taken_for_a_complete_one(connection):
    def read(_):
        yield 1
        raise RuntimeError

    with HttpRequest(connection, "/v1/models", None, read) as request:
        assert request.next(PATIENCE) == 1
        with pytest.raises(EngineLost, match="not an answer"):
            request.next(PATIENCE)


def test_a_signal_may_cancel_while_its_thread_connects(connection):
    signalled = Mock(get_extra_info=lambda _: connection.halt())
    connecting = ("connection.connect_tcp.complete", {"return_value": signalled})
    thread = threading.Thread(target=connection._on_trace, args=connecting, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_a_server_that_is_silent_to_a_short_question_and_then_to_the_long_one_is_lost(server, connection):
    server.routes["/v1/models"] = error(500, "stuck")
    token = Fields({"content": "a", "tokens": [1], "tokens_predicted": 1})
    end = Fields({"stop": True, "stop_type": "limit", "tokens_predicted": 1})

    def events_of(*messages: object) -> list[str]:
        answer = StreamedAnswer(connection, RetryPolicy(notice_every=0), lambda _: None, lambda *_: None, (1,))
        request = Mock(next=Mock(side_effect=messages))
        events = answer._events(request, LlamaServerAnswer(ModelCard("any", "", 100), connection.ask))
        kinds: list[str] = []
        while "StreamEnd" not in kinds:
            kinds.append(type(next(events)).__name__)
        return kinds

    arrived_meanwhile = (Signal.SILENCE, token, Signal.SILENCE, end)
    assert events_of(*arrived_meanwhile) == ["Notice", "Token", "Notice", "StreamEnd"]
    with pytest.raises(EngineLost, match="not even a short question"):
        events_of(Signal.SILENCE, Signal.SILENCE)
    server.routes["/v1/models"] = error(400, "no such page")
    assert events_of(Signal.SILENCE, Signal.SILENCE, end) == ["Notice", "Notice", "StreamEnd"], "it answers"


# Retries


def test_a_server_that_comes_back_is_asked_soon_and_one_that_stays_away_is_given_up():
    """Each pause is one that a person may wait for after the server is there again."""
    policy = RetryPolicy()
    retries, refused = RetryState(policy), EngineLost("Connection refused.", "Start the server.")
    pauses = []
    for _ in range(policy.tries - 1):
        retries.count(refused)
        pauses.append(retries.pause)
    with pytest.raises(EngineLost, match="refused"):
        retries.count(refused)
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[1], max(pauses)) == (0.5, 1.0, 3)
    assert 15 <= sum(pauses) <= 30


def test_a_server_that_loads_its_model_uses_up_seconds_and_no_tries():
    policy = RetryPolicy(tries=2)
    retries = RetryState(policy)
    for _ in range(20):
        retries.count(NotReady("It is not ready."))
    assert (retries.failures, retries.pause) == (0, policy.longest_pause)
    retries.count(EngineLost("The connection broke."))
    with pytest.raises(EngineLost, match="broke"):
        retries.count(EngineLost("The connection broke."))
    retries.progressed()
    waited = 0.0
    while waited + policy.longest_pause <= policy.loading:
        retries.count(NotReady("It is not ready."))
        waited += retries.pause
    with pytest.raises(NotReady):
        retries.count(NotReady("It is not ready."))


# Status


SESSIONS = st.dictionaries(st.integers(0, 4), st.sampled_from(ServerState), max_size=5)


@given(SESSIONS, st.booleans())
def test_the_most_important_session_is_shown_and_a_ping_only_if_there_is_none(states, is_there):
    tracker = StatusTracker()
    for session, state in states.items():
        tracker.set(session, ServerStatus(state))
    tracker.record_ping(ServerStatus(ServerState.CONNECTED if is_there else ServerState.LOST))
    most_important = max(states.values(), key=list(ServerState).index, default=ServerState.CONNECTED)
    if most_important is ServerState.CONNECTED and not is_there:
        most_important = ServerState.LOST
    assert tracker.status == ServerStatus(most_important)


def test_each_percent_is_reported_once_and_a_failure_stays_visible_until_the_next_success():
    seen: list[ServerState] = []
    tracker = StatusTracker(seen.append)
    for done in (100, 101, 200):
        tracker.set("session", ServerStatus(ServerState.READING, done / 10_000))
    assert seen == [ServerState.READING, ServerState.READING]
    assert tracker.status == ServerStatus(ServerState.READING, 0.02)
    tracker.set("session", ServerStatus(ServerState.RECONNECTING, reason="It broke."))
    tracker.close("session")
    assert tracker.status == ServerStatus(ServerState.LOST, reason="It broke."), "it was given up"
    refused = ServerStatus(ServerState.REFUSED, reason="No key.")
    tracker.set("refused", refused)
    tracker.close("refused")
    assert tracker.status == refused
    tracker.record_ping(ServerStatus())
    assert tracker.status == refused, "no ping hides a refusal"
    tracker.set("next", ServerStatus(ServerState.READING, 0.5))
    tracker.close("next")
    assert tracker.status == ServerStatus()


# What is known of servers: in a file, but for the keys

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
    return KnownServers(file, Secrets(ring))


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
    servers.keep({f" {URL}/v1/ ": known}, "secret")
    assert URL in file.read_text(), "in one form, however the address is written"
    assert "secret" not in file.read_text()
    address, options = KnownServers(file, Secrets(ring)).server(URL)
    assert (address.key, address.access) == ("secret", known.access)
    assert (options.prices, options.cap, options.overrides) == (known.prices, known.cap, known.overrides)
    assert options.supports_prefetch
    servers.forget_key(URL)
    assert servers.server(URL).address.key is None
    assert servers.find(URL) == known


def test_the_keyring_is_not_asked_for_a_server_without_a_key(file):
    asked = Mock(side_effect=AssertionError("the keyring was asked"))
    servers = KnownServers(file, Mock(find=asked, forget=asked))
    servers.keep({URL: BIG})
    assert servers.server(URL).options.cap == BIG.cap
    servers.forget(URL)


def test_the_models_of_one_server_share_its_settings_and_its_key_which_goes_with_the_last(servers, ring):
    servers.keep({f"{URL}#one": BIG}, "secret")
    assert servers.find(f"{URL}/v1#one").cap.tokens == 9
    other, _ = servers.server(f"{URL}#other")
    assert (other.model, other.key) == ("other", "secret")
    servers.keep({URL: KnownServer(cap=Cap(tokens=5)), OTHER: servers.find(f"{URL}#one")})
    assert servers.find(f"{URL}#other").cap.tokens == 5
    assert not servers.find(OTHER).has_key, "what one server has is not taken for another's"
    servers.forget(f"{URL}#one")
    assert servers.key(URL) == "secret", "no new one was given"
    servers.forget(f"{URL},{OTHER}")
    assert not servers.all()
    assert Secrets(ring).find(URL) is None
    servers.keep(dict.fromkeys((URL, f"{URL}#one"), KnownServer()), "secret")
    servers.forget_key(f"{URL}#other")
    assert not any(known.has_key for known in servers.all().values())


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


DAMAGED = ('{"servers": {"http://a": {"cap": {"tokens": "many"}}}}', '{"servers": {"http://a": {"cap": "\\ud800"}}}')


@pytest.mark.parametrize("content", [*DAMAGED, "[" * 100_000, '{"servers": ' * 100_000])
def test_a_damaged_file_is_said_since_it_may_hold_a_cap_and_not_written_over(servers, file, content):
    file.parent.mkdir()
    file.write_text(content)
    with pytest.raises(SettingsError, match=r"servers\.json cannot be read: .") as raised:
        servers.server("http://a")
    assert len(str(raised.value)) < 1000
    assert ("cap.tokens" in str(raised.value)) is ("many" in content)
    with pytest.raises(SettingsError, match="cannot be read"):
        servers.keep({"http://a": BIG})
    assert file.read_text() == content


def test_what_cannot_be_written_holds_until_the_end(tmp_path):
    (tmp_path / "config").write_text("a file where the folder should be")
    servers = KnownServers(tmp_path / "config" / "servers.json", Secrets(MemoryKeyring()))
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
