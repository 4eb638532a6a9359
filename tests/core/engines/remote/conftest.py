"""Real llama-servers, one a model for all tests that do it no harm."""

from contextlib import closing

import pytest

from baton_reasoning.core.engines.remote.connection import ServerAddress
from baton_reasoning.core.engines.remote.engine import RemoteOptions
from baton_reasoning.core.engines.remote.llama_server import LlamaServerEngine
from tests.core.engines.remote.writing import GREEDY, QUESTION
from tests.servers.llama_server import KEY, LlamaServer, ServerOptions


@pytest.fixture(scope="session")
def server(smollm2):
    """SmolLM2 with one slot."""
    with LlamaServer(ServerOptions(str(smollm2))) as server:
        yield server


@pytest.fixture
def engine(server):
    engine = LlamaServerEngine(ServerAddress(server.url, KEY))
    yield engine
    engine.close()


@pytest.fixture
def eager_engine(server):
    """Reads along, though it is on this machine."""
    engine = LlamaServerEngine(ServerAddress(server.url, KEY), RemoteOptions(supports_prefetch=True))
    yield engine
    engine.close()


@pytest.fixture
def session(engine):
    with closing(engine.open(QUESTION, GREEDY)) as session:
        yield session


@pytest.fixture
def eager(eager_engine):
    with closing(eager_engine.open(QUESTION, GREEDY)) as session:
        yield session
