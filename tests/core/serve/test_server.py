"""The socket of the endpoint, its addresses, and clients that keep it waiting; asked through real sockets."""

import socket
import threading
from contextlib import ExitStack, closing
from types import SimpleNamespace

import httpx2
import psutil
import pytest

from baton_reasoning.core.errors import BatonError
from baton_reasoning.core.run import Pair
from baton_reasoning.core.serve.access import AccessRules
from baton_reasoning.core.serve.server import EndpointServer
from tests.core.serve.serving import ENDLESS, LOCAL_ONLY, SMALL_TEXT, ask, client_of, connection, long_winded, serving
from tests.fakes.scripted import ScriptedEngine
from tests.patience import PATIENCE

pytestmark = pytest.mark.slow

ENGINES = Pair(ScriptedEngine(SMALL_TEXT))

# Addresses


def test_an_address_that_is_taken_is_an_error_at_once():
    with closing(EndpointServer("127.0.0.1", 0)) as server:
        assert server.urls == [f"http://127.0.0.1:{server.port}/v1"]
        with pytest.raises(BatonError, match=f"127.0.0.1:{server.port} cannot be used"):
            EndpointServer("127.0.0.1", server.port)


def test_no_other_program_can_share_its_address_on_windows(monkeypatch):
    exclusive = socket.SO_KEEPALIVE  # an option that this system has
    monkeypatch.setattr(socket, "SO_EXCLUSIVEADDRUSE", exclusive, raising=False)
    asked = []

    class Asked(socket.socket):
        def setsockopt(self, *arguments):
            asked.append(arguments[1])
            super().setsockopt(*arguments)

    monkeypatch.setattr(socket, "socket", Asked)
    with closing(EndpointServer("127.0.0.1", 0)):
        assert asked == [exclusive]


def test_a_server_on_all_addresses_names_those_at_which_this_machine_can_be_reached(monkeypatch):
    found = {
        "lo": [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")],
        "eth0": [(socket.AF_INET, "192.168.1.4"), (socket.AF_INET6, "fe80::1%eth0"), (psutil.AF_LINK, "02:fc:00:01")],
        "unplugged": [(socket.AF_INET, "10.0.0.4")],
    }
    addresses = {
        name: [SimpleNamespace(family=family, address=address) for family, address in each]
        for name, each in found.items()
    }
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: addresses)
    monkeypatch.setattr(psutil, "net_if_stats", lambda: {name: SimpleNamespace(isup=len(name) < 5) for name in found})
    for host, names in {"0.0.0.0": ["127.0.0.1", "192.168.1.4"], "::": ["[::1]"], "127.0.0.1": ["127.0.0.1"]}.items():
        with closing(EndpointServer(host, 0)) as server:
            assert server.urls == [f"http://{name}:{server.port}/v1" for name in names]


def test_with_a_key_the_endpoint_may_be_called_by_any_name():
    """Nobody can list the names and addresses under which other machines reach this one."""
    by_another_name = {"Host": "gpu.lan:8000"}
    with serving(ENGINES, rules=AccessRules(key="secret")) as server:
        for path in ("/v1/models", "/health"):
            url = server.urls[0].replace("/v1", path)
            answered = httpx2.get(url, headers=by_another_name | {"Authorization": "Bearer secret"})
            assert (answered.status_code, httpx2.get(url, headers=by_another_name).status_code) == (200, 401)
    with serving(ENGINES, rules=LOCAL_ONLY) as server:
        assert httpx2.get(f"{server.urls[0]}/models", headers=by_another_name).status_code == 403


# Clients that keep it waiting

LIMITS = "baton_reasoning.core.serve.server"
HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
HALF_A_HEADER = b"GET /health HTTP/1.1\r\nHost: local"
HALF_A_BODY = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"
WHEN_READ = b"Expect: 100-continue\r\n"
FOR_EVER = b'{"model": "small", "stream": true, "messages": [{"role": "user", "content": "long"}]}'
STREAM = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s"


def is_closed(client):
    """Wait until the server closes the connection, and return whether it did so without a response."""
    try:
        return client.recv(1) == b""
    except ConnectionError:
        return True


def status_of(client):
    return int(client.recv(12).removeprefix(b"HTTP/1.1 "))


def test_connections_without_a_whole_request_keep_nobody_out(monkeypatch):
    monkeypatch.setattr(f"{LIMITS}.MAX_CONNECTIONS", 4)
    with serving(ENGINES) as server, ExitStack() as opened:
        kinds = (b"", HALF_A_HEADER, HALF_A_BODY)
        silent = [opened.enter_context(connection(server, kinds[number % 3])) for number in range(40)]
        with connection(server, HEALTH) as client:
            assert status_of(client) == 200
        assert all(map(is_closed, silent[:-4])), "the others stay open as long as there is room"


def test_a_request_beyond_as_many_that_are_being_answered_is_refused_and_they_go_on(monkeypatch):
    monkeypatch.setattr(f"{LIMITS}.MAX_CONNECTIONS", 1)
    small = long_winded(begun := threading.Event())
    with serving(Pair(small), ENDLESS) as server, connection(server, STREAM % (len(FOR_EVER), FOR_EVER)) as first:
        begun.wait()
        for _ in range(2):
            with connection(server, HEALTH) as client:
                assert status_of(client) == 503
        assert status_of(first) == 200


@pytest.mark.parametrize("before", [b"", HEALTH], ids=["at first", "after another request"])
@pytest.mark.parametrize("sent", [HALF_A_HEADER[:1], HALF_A_HEADER])
def test_a_connection_on_which_the_header_is_not_completed_is_closed(monkeypatch, before, sent):
    monkeypatch.setattr(f"{LIMITS}.CLIENT_SECONDS", 0.1)
    with serving(ENGINES) as server, connection(server, before) as client:
        answer = b""
        while before and b"ok" not in answer:
            answer += client.recv(1 << 12)
        client.sendall(sent)
        assert is_closed(client)


def test_a_client_that_does_not_read_its_answer_frees_its_place(monkeypatch):
    monkeypatch.setattr(f"{LIMITS}.CLIENT_SECONDS", 0.1)
    small = long_winded(begun := threading.Event())
    with (
        serving(Pair(small), ENDLESS) as server,
        connection(server, STREAM % (len(FOR_EVER), FOR_EVER), buffer=1 << 12),
        client_of(server) as client,
    ):
        begun.wait()
        assert ask(client, timeout=PATIENCE).choices[0].finish_reason == "stop"


def test_a_server_that_stops_does_not_wait_for_the_rest_of_a_request(capfd):
    with serving(ENGINES) as server, connection(server, HALF_A_BODY.replace(b"Host", WHEN_READ + b"Host")) as client:
        assert client.recv(1 << 12).startswith(b"HTTP/1.1 100")
        server.stop()
        assert is_closed(client)
    assert capfd.readouterr().err == ""
