"""The socket of the endpoint and its addresses."""

import socket
from contextlib import closing
from types import SimpleNamespace

import httpx2
import psutil
import pytest

from baton_reasoning.core.errors import BatonError
from baton_reasoning.core.run import Pair
from baton_reasoning.core.serve.access import AccessRules
from baton_reasoning.core.serve.server import EndpointServer
from tests.core.serve.serving import LOCAL_ONLY, SMALL_TEXT, serving
from tests.fakes.scripted import ScriptedEngine

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
