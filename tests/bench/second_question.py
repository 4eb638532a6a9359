"""P8: the second question of a conversation, asked at once. Of its prompt only what is new is to be read."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from contextlib import closing

from baton_reasoning.core.engines.base import Conversation, Engine, Handoff, Message, Token
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.engines.remote.connection import ServerAddress
from baton_reasoning.core.engines.remote.servers import open_server
from baton_reasoning.core.models.options import LoadOptions, Sampling
from tests.bench.generated import MODEL, bench_model
from tests.bench.rounds import Row, left_out
from tests.packaged_models import gemma_path
from tests.servers.llama_server import BINARY, KEY, LlamaServer, ServerOptions

FIRST: Conversation = (Message("user", "Tell a long story about a ship and a storm. " * 12),)
SECOND = Message("user", "And how does the captain of that ship feel about it in the end?")
ANSWER = 150
LAST = 2
"""Tokens of the answer that are read all the same: the last one was not decoded, and a blank may be left out."""


def rows(_: int) -> Iterator[Row]:
    other = None if MODEL in os.environ else gemma_path()
    for path in filter(None, (bench_model(), other)):
        with closing(LocalEngine(path, LoadOptions(context=2048))) as engine:
            yield row(f"{path.stem} on this machine", engine)
    if not (os.environ.get(BINARY) or importlib.util.find_spec("xllamacpp")):
        yield left_out("P8", "on a server: neither xllamacpp is installed nor a llama-server named")
        return
    options = ServerOptions(str(bench_model()), context=2048)
    with LlamaServer(options) as server, closing(open_server(ServerAddress(server.url, KEY))) as remote:
        yield row("on a llama-server", remote)


def row(where: str, engine: Engine) -> Row:
    read, new = second_question(engine)
    what = f"second question of a conversation, {where}: tokens read / tokens new"
    return Row("P8", what, f"at most {LAST} more", f"{read} / {new}", read <= new + LAST)


def second_question(engine: Engine) -> tuple[int, int]:
    """Tokens that the second question read, and how many its prompt has more than the first with its answer."""
    with closing(engine.open(FIRST, Sampling())) as session:
        prompt = session.prompt_tokens
        written = [item for item in session.write([], ANSWER, 1) if isinstance(item, Token)]
    answer = b"".join(token.data for token in written).decode(errors="replace")
    with closing(engine.open((*FIRST, Message("assistant", answer), SECOND), Sampling())) as session:
        handoff = next(item for item in session.write([], 1, 1) if isinstance(item, Handoff))
        return handoff.prefilled, session.prompt_tokens - prompt - len(written)
