"""P8: the second question of a conversation. Of its prompt only what is new is to be read, and at most one chunk."""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Iterator
from contextlib import closing

from core.engines.base import Conversation, Engine, Handoff, Message, Token
from core.engines.local.client import LocalEngine
from core.engines.local.llama import CHUNK
from core.engines.remote.address import ServerAddress
from core.engines.remote.server_check import open_server
from core.models.loading import LoadOptions
from core.models.overrides import Sampling
from tests.bench.generated import bench_model
from tests.bench.rounds import Row, left_out
from tests.servers.llama_server import BINARY, KEY, LlamaServer, ServerOptions

FIRST: Conversation = (Message("user", "Tell a long story about a ship and a storm. " * 12),)
SECOND = Message("user", "And how does the captain of that ship feel about it in the end?")
ANSWER = 150
SETTLING = 6.0
"""Seconds in which a person reads the answer, and the worker reads its tokens again in whole chunks."""


def rows(_: int) -> Iterator[Row]:
    with closing(LocalEngine(bench_model(), LoadOptions(context=2048))) as engine:
        yield row("on this machine", engine)
    if not (os.environ.get(BINARY) or importlib.util.find_spec("xllamacpp")):
        yield left_out("P8", "on a server: neither xllamacpp is installed nor a llama-server named")
        return
    options = ServerOptions(str(bench_model()), context=2048)
    with LlamaServer(options) as server, closing(open_server(ServerAddress(server.url, KEY))) as remote:
        yield row("on a llama-server", remote)


def row(where: str, engine: Engine) -> Row:
    read, new = second_question(engine)
    chunks = max(read - new, 0) / CHUNK
    return Row(
        "P8",
        f"second question of a conversation, {where}: tokens read / tokens new",
        "≤ 1 + one chunk",
        f"{read / new:.2f} ({read} / {new}): 1 + {chunks:.2f} chunks of {CHUNK}",
        chunks <= 1,
    )


def second_question(engine: Engine) -> tuple[int, int]:
    """Tokens that the second question read, and how many its prompt has more than the first with its answer."""
    with closing(engine.open(FIRST, Sampling())) as session:
        prompt = session.prompt_tokens
        written = [item for item in session.write([], ANSWER, 1) if isinstance(item, Token)]
    answer = b"".join(token.data for token in written).decode(errors="replace")
    time.sleep(SETTLING)
    with closing(engine.open((*FIRST, Message("assistant", answer), SECOND), Sampling())) as session:
        handoff = next(item for item in session.write([], 1, 1) if isinstance(item, Handoff))
        return handoff.prefilled, session.prompt_tokens - prompt - len(written)
