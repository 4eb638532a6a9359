"""Real llama-servers, sessions on real and scripted ones, and how the tests look at what these write."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import httpx2
import pytest

from baton_reasoning.core.engines.base import End, Handoff, Message, Notice, Session, Stop, Token, WriteItem
from baton_reasoning.core.engines.body import Author, Part
from baton_reasoning.core.engines.remote.connection import RetryPolicy, ServerAddress
from baton_reasoning.core.engines.remote.engine import RemoteOptions
from baton_reasoning.core.engines.remote.llama_server import LlamaServerEngine
from baton_reasoning.core.models.options import Sampling
from tests.patience import PATIENCE
from tests.servers.llama_server import KEY, LlamaServer, ServerOptions

QUESTION = (Message("user", "Name the days of the week."),)
GREEDY = Sampling(temperature=0.0)
HURRIED = RetryPolicy(
    answer=0.5, first_token=0.5, between_tokens=0.5, notice_every=0.05, tries=2, first_pause=0.01, loading=0.05
)
"""For servers that never answer as they should."""
OPTIONS, EAGER = RemoteOptions(HURRIED), RemoteOptions(HURRIED, supports_prefetch=True)
"""Eager: it reads along, though the server is on this machine."""


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
    url: str, options: RemoteOptions | None = None, kind: Any = LlamaServerEngine, **more: Any
) -> Iterator[tuple[Any, Any]]:
    """An engine of this kind on the server, and a session that has been asked the question."""
    with (
        closing(kind(ServerAddress(url, KEY), options, **more)) as engine,
        closing(engine.open(QUESTION, GREEDY)) as session,
    ):
        yield engine, session


def tokens(items: Iterable[WriteItem]) -> list[Token]:
    return [item for item in items if isinstance(item, Token)]


def text(items: Iterable[WriteItem]) -> str:
    return b"".join(token.data for token in tokens(items)).decode()


def handoff(items: Iterable[WriteItem]) -> Handoff:
    return next(item for item in items if isinstance(item, Handoff))


def notices(items: Iterable[WriteItem]) -> list[str]:
    return [item.text for item in items if isinstance(item, Notice)]


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


def prefetched(session: Any, body: list[Part]) -> None:
    """Offer a text, and wait until its request has ended."""
    session.prefetch(body)
    wait_until(lambda: bool(session.take_prefetched()))


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


def token_count(engine: LlamaServerEngine, text: str) -> int:
    """How many tokens the server makes of a text on its own, in which control tokens are text."""
    question, headers = {"content": text, "parse_special": False}, {"Authorization": f"Bearer {KEY}"}
    return len(httpx2.post(f"{engine.card.source}/tokenize", json=question, headers=headers).json()["tokens"])
