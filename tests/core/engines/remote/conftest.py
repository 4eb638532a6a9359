"""Real llama-servers, sessions on real and scripted ones, and how the tests look at what these write."""

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import pytest

from baton_reasoning.core.engines.base import End, Message, Session, Stop, Token, WriteItem
from baton_reasoning.core.engines.body import Author, Part
from baton_reasoning.core.engines.remote.connection import RetryPolicy, ServerAddress
from baton_reasoning.core.engines.remote.engine import RemoteOptions
from baton_reasoning.core.engines.remote.llama_server import LlamaServerEngine
from tests.core.engines.local.conftest import GREEDY
from tests.patience import PATIENCE
from tests.servers.llama_server import KEY, LlamaServer, ServerOptions

QUESTION = (Message("user", "Name the days of the week."),)
HURRIED = RetryPolicy(
    answer=0.5, first_token=0.5, between_tokens=0.5, notice_every=0.05, tries=2, first_pause=0.01, loading=0.05
)
"""For servers that never answer as they should."""
OPTIONS = RemoteOptions(HURRIED)


@pytest.fixture(scope="session")
def server(smollm2):
    """SmolLM2 with one slot, for all tests that do it no harm."""
    with LlamaServer(ServerOptions(str(smollm2))) as server:
        yield server


@pytest.fixture
def engine(server):
    with closing(LlamaServerEngine(ServerAddress(server.url, KEY))) as engine:
        yield engine


@pytest.fixture
def session(engine):
    with closing(engine.open(QUESTION, GREEDY)) as session:
        yield session


@contextmanager
def opened(
    at: str | ServerAddress, options: RemoteOptions | None = None, kind: Any = LlamaServerEngine, **more: Any
) -> Iterator[tuple[Any, Any]]:
    """An engine of this kind on the server, and a session that has been asked the question."""
    address = ServerAddress(at, KEY) if isinstance(at, str) else at
    with closing(kind(address, options, **more)) as engine, closing(engine.open(QUESTION, GREEDY)) as session:
        yield engine, session


def tokens(items: Iterable[WriteItem]) -> list[Token]:
    return [item for item in items if isinstance(item, Token)]


def text(items: Iterable[WriteItem]) -> str:
    return b"".join(token.data for token in tokens(items)).decode()


def stop(items: Sequence[WriteItem]) -> Stop:
    last = items[-1]
    assert isinstance(last, End)
    return last.stop


def as_parts(session: Session, items: Iterable[WriteItem], author: Author = Author.LARGE) -> list[Part]:
    """What was written, as the driver would keep it (whole characters only)."""
    return [Part(token.data.decode(), author, token.id, session.card.vocabulary) for token in tokens(items)]


def foreign(*words: str) -> list[Part]:
    """What a model of another vocabulary wrote."""
    return [Part(word, Author.SMALL, number, "another") for number, word in enumerate(words)]


def wait_for_threads(name: str) -> None:
    """Wait until no thread whose name begins so is left."""
    for thread in threading.enumerate():
        if thread.name.startswith(name):
            thread.join(PATIENCE)
            assert not thread.is_alive()


def prefetched(session: Any, body: list[Part]) -> Any:
    """Offer a text, wait until its request has ended, and return its PrefetchedText."""
    session.prefetch(body)
    deadline = time.monotonic() + PATIENCE
    while not (readings := session.take_prefetched()):
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)
    return readings[-1]
