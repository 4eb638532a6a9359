"""A silent server is asked a short question; what it then sends to the long one counts for more than the answer."""

from __future__ import annotations

from contextlib import closing

import pytest

from baton_reasoning.core.engines.base import ModelCard
from baton_reasoning.core.engines.remote.answers import Fields
from baton_reasoning.core.engines.remote.connection import (
    HttpConnection,
    HttpRequest,
    RetryPolicy,
    ServerAddress,
    Signal,
)
from baton_reasoning.core.engines.remote.llama_server import LlamaServerAnswer
from baton_reasoning.core.engines.remote.stream import StreamedAnswer
from baton_reasoning.core.errors import EngineLost
from tests.fakes.faulty_server import FaultyServer, error

TOKEN = Fields({"content": "a", "tokens": [1], "tokens_predicted": 1})
END = Fields({"stop": True, "stop_type": "limit", "tokens_predicted": 1})


class Scripted(HttpRequest):
    """A request whose messages are known."""

    def __init__(self, *messages: object) -> None:
        self._script = iter(messages)

    def next(self, seconds: float) -> object:
        return next(self._script)


@pytest.fixture
def connection():
    """To a server that answers no short question."""
    with FaultyServer(routes={"/v1/models": error(500, "stuck")}) as server:
        address = ServerAddress(server.url)
        with closing(HttpConnection(address, RetryPolicy(), address.tls())) as connection:
            yield connection


def read(connection: HttpConnection, *messages: object) -> list[str]:
    """Read these messages until the answer ends; return the kinds of events."""
    answer = StreamedAnswer(connection, RetryPolicy(notice_every=0), lambda _: None, lambda *_: None, (1,))
    events = answer._events(Scripted(*messages), LlamaServerAnswer(ModelCard("any", "", 100), connection.ask))
    kinds: list[str] = []
    while "StreamEnd" not in kinds:
        kinds.append(type(next(events)).__name__)
    return kinds


def test_a_token_that_arrived_while_a_ping_failed_shows_that_the_server_is_there(connection):
    messages = (Signal.SILENCE, TOKEN, Signal.SILENCE, END)
    assert read(connection, *messages) == ["Notice", "Token", "Notice", "StreamEnd"]


def test_a_server_that_is_silent_to_both_is_lost(connection):
    with pytest.raises(EngineLost, match="not even a short question"):
        read(connection, Signal.SILENCE, Signal.SILENCE)
