"""A real llama-server."""

import pytest

from tests.servers.llama_server import LlamaServer, ServerOptions


@pytest.fixture(scope="session")
def server(smollm2):
    with LlamaServer(ServerOptions(str(smollm2))) as server:
        yield server
