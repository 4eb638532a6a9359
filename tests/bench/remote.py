"""P3: what a handoff to a server costs with prefetching, also to a hybrid model, and over a slow link; and a server's
speed over the local engine's. Small model and server have a core each.

The test server of the package xllamacpp is another build of llama.cpp than the local engine's, which alone decides
the second figure. For the same build on both sides, name your own in BATON_LLAMA_SERVER (docs/measurements.md).
"""

import importlib.util
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from baton_reasoning.core.engines.base import Handoff, Session, Token
from baton_reasoning.core.engines.body import Author, Body, Part
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.engines.open import share_vocabulary
from baton_reasoning.core.engines.remote.connection import ServerAccess, ServerAddress
from baton_reasoning.core.engines.remote.engine import RemoteEngine, RemoteOptions
from baton_reasoning.core.engines.remote.servers import open_server
from baton_reasoning.core.models.load_options import LoadOptions
from baton_reasoning.core.models.sampling import Sampling
from baton_reasoning.core.run import Pair, RunSettings, run
from baton_reasoning.core.thinking.write_stream import PREFETCH_EVERY
from tests.bench.generated import LONG_CONTEXT, LONG_TEXT, LONG_TOKENS, NO_REAL_PAIR, bench_model
from tests.bench.path import QUESTION, tokens_per_second
from tests.bench.table import Row, at_least, at_most, in_turn, left_out, ratios
from tests.core.engines.local.test_cache import grow
from tests.core.models.gguf_builder import WORDS
from tests.packaged_models import real_pair_paths
from tests.servers.link import Link, self_signed
from tests.servers.llama_server import BINARY, KEY, LlamaServer, ServerOptions

TURNS = 16
WILD = Sampling(temperature=1, top_p=1, top_k=0)  # goes on and on
SMALL_TOKENS, LOOKAHEAD, LARGE_TOKENS = 24, 4, 12
DELAY = 0.02
HYBRID_LOOKAHEAD = 12
"""A sentence. A memory that cannot be cut reads a step only once it has ended, while the lookahead is written."""
HYBRID_SHAPE = {"embedding_length": 1024, "feed_forward_length": 8192, "rope.dimension_count": 256}
"""440 MiB of F32: a decode step takes as long as one of a model of 1B to 2B parameters in Q4. In a step of 3 ms, with a
tenth of these weights, sending a request alone takes as long as two."""
OPTIONS = LoadOptions(context=2048, threads=1)
LONG_WRITE = RunSettings(policy="never", temperature=1, max_tokens=200)


class Pass(NamedTuple):
    """One takeover: seconds from the boundary to the first token, and tokens that were left to read then."""

    wait: float
    left: int


class Place(NamedTuple):
    """What is written between two takeovers."""

    small: LocalEngine
    large: RemoteEngine
    lookahead: int
    boundary: tuple[Part, ...] = ()
    """Ends each step: a memory that cannot be cut reads no further."""
    before: str = ""
    """A text that stands before the first takeover."""


def rows(rounds: int) -> Iterator[Row]:
    if not (os.environ.get(BINARY) or importlib.util.find_spec("xllamacpp")):
        yield left_out("P3", "neither xllamacpp is installed nor a llama-server named")
        return
    path = bench_model()
    with (
        closing(LocalEngine(path, OPTIONS)) as local,
        LlamaServer(ServerOptions(str(path), context=2048)) as server,
    ):
        address = ServerAddress(server.url, KEY)
        with closing(open_server(address, RemoteOptions(supports_prefetch=True))) as large:
            share_vocabulary(local, large)
            yield passing_row("with prefetching", Place(local, large, LOOKAHEAD), 1.5)
        yield distance_row(local, server)
        with closing(open_server(address)) as remote:
            speeds = in_turn({"local": lambda: speed(local), "server": lambda: speed(remote)}, rounds)
        build = "one build" if os.environ.get(BINARY) else "two builds of llama.cpp"
        what = f"llama-server / local engine, the same model, {build}"
        yield at_least("P3", what, 0.95, ratios(speeds["server"], speeds["local"]))
    yield from hybrid_rows()
    if pair := real_pair_paths():
        for small in (path, pair.small):
            yield real_row(small, pair.large)
    else:
        yield left_out("P3", NO_REAL_PAIR)


def distance_row(local: LocalEngine, server: LlamaServer) -> Row:
    """A handoff without prefetching, encrypted, over a link that delays: what it takes longer than without delay."""
    waits: dict[float, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        tls, public = self_signed(Path(folder))
        for delay in (0.0, DELAY):
            with Link(server.port, tls=tls) as front, Link(front.port, delay) as link:
                address = ServerAddress(f"https://127.0.0.1:{link.port}", KEY, ServerAccess(authority=public))
                with closing(open_server(address)) as large:
                    share_vocabulary(local, large)
                    waits[delay] = [each.wait for each in passes(Place(local, large, LOOKAHEAD))[0]]
    near = statistics.median(waits[0.0])
    trips = [(wait - near) / (2 * DELAY) for wait in waits[DELAY]]
    return at_most("P3", f"handoff over TLS and {DELAY * 1000:.0f} ms each way, in round trips", 1.25, trips)


def real_row(small_path: Path, large_path: Path) -> Row:
    """After a long text: handed over as text to a large model of another family, as ids to one of its own."""
    with (
        closing(LocalEngine(small_path, OPTIONS.model_copy(update={"context": LONG_CONTEXT}))) as small,
        LlamaServer(ServerOptions(str(large_path), context=LONG_CONTEXT)) as server,
    ):
        options = RemoteOptions(supports_prefetch=True)
        with closing(open_server(ServerAddress(server.url, KEY), options)) as large:
            share_vocabulary(small, large)
            way = f"with prefetching, after {LONG_TOKENS:,} tokens, {small_path.stem} and {large_path.stem}"
            return passing_row(way, Place(small, large, LOOKAHEAD, before=LONG_TEXT), 1.5)


def hybrid_rows() -> Iterator[Row]:
    """A hybrid model grown on the spot; its text is noise, and what it costs to read and to write is not."""
    with tempfile.TemporaryDirectory() as folder:
        path = grow("lfm2", Path(folder), HYBRID_SHAPE)
        with (
            closing(LocalEngine(path, OPTIONS)) as local,
            LlamaServer(ServerOptions(str(path), context=2048)) as server,
            closing(open_server(ServerAddress(server.url, KEY), RemoteOptions(supports_prefetch=True))) as large,
        ):
            share_vocabulary(local, large)
            boundary = Part("\n\n", Author.SMALL, WORDS.index("ĊĊ"), local.card.vocabulary)
            yield passing_row("hybrid model, with prefetching", Place(local, large, HYBRID_LOOKAHEAD, (boundary,)), 2)


def passing_row(way: str, place: Place, goal: float) -> Row:
    taken, step = passes(place)
    steps = [each.wait / step for each in taken]
    left = f"; {statistics.median(each.left for each in taken):.0f} tokens left to read"
    return at_most("P3", f"boundary to the server's first token, in decode steps: {way}", goal, steps, left)


def passes(place: Place) -> tuple[list[Pass], float]:
    """Each takeover but the first, which reads the question as well; and the large model's decode step in seconds."""
    small, large, lookahead, boundary, before = place
    writer, helper = small.open(QUESTION, WILD), large.open(QUESTION, WILD)
    body = Body([Part(before, Author.SMALL)] if before else [])
    taken: list[Pass] = []
    steps: list[float] = []
    with closing(writer), closing(helper):
        for turn in range(TURNS):
            for number, part in enumerate(parts_of(writer, body, SMALL_TOKENS, turn)):
                body.append(part)
                if number % PREFETCH_EVERY == 0:
                    helper.prefetch(tuple(body.parts))
            for part in boundary:
                body.append(part)
            helper.prefetch(tuple(body.parts))
            for _ in parts_of(writer, body, lookahead, turn):
                pass  # discarded, as at a cue; meanwhile the server reads the rest of the step
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
    return tokens_per_second(run(Pair(engine), QUESTION, LONG_WRITE))
