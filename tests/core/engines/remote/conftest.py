"""Real llama-servers, one a model for all tests that do it no harm."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from baton_reasoning.core.engines.remote.connection import ServerAddress
from baton_reasoning.core.engines.remote.engine import RemoteOptions, RemoteSession
from baton_reasoning.core.engines.remote.llama_server import LlamaServerEngine
from tests.core.engines.remote.writing import GREEDY, QUESTION
from tests.servers.llama_server import KEY, LlamaServer, ServerOptions


@pytest.fixture(scope="session")
def server(smollm2: Path) -> Iterator[LlamaServer]:
    """SmolLM2 with one slot."""
    with LlamaServer(ServerOptions(str(smollm2))) as server:
        yield server


@pytest.fixture
def engine(server: LlamaServer) -> Iterator[LlamaServerEngine]:
    engine = LlamaServerEngine(ServerAddress(server.url, KEY))
    yield engine
    engine.close()


@pytest.fixture
def eager_engine(server: LlamaServer) -> Iterator[LlamaServerEngine]:
    """Reads along, though it is on this machine."""
    engine = LlamaServerEngine(ServerAddress(server.url, KEY), RemoteOptions(supports_prefetch=True))
    yield engine
    engine.close()


@pytest.fixture
def session(engine: LlamaServerEngine) -> Iterator[RemoteSession]:
    with closing(engine.open(QUESTION, GREEDY)) as session:
        yield session


@pytest.fixture
def eager(eager_engine: LlamaServerEngine) -> Iterator[RemoteSession]:
    with closing(eager_engine.open(QUESTION, GREEDY)) as session:
        yield session
