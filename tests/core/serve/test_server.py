"""The socket of the endpoint."""

import socket
from contextlib import closing

import pytest

from baton_reasoning.core.errors import BatonError
from baton_reasoning.core.serve.server import EndpointServer

pytestmark = pytest.mark.slow


def test_an_address_that_is_taken_is_an_error_at_once():
    with closing(EndpointServer("127.0.0.1", 0)) as server:
        assert server.url == f"http://127.0.0.1:{server.port}/v1"
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
