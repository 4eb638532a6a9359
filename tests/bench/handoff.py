"""P15: Baton's own work of a handoff between two local models, beside that of the models.

The model is the demo pair's small one: one that reads 20 tokens in no time shows the work around it. It reads a long
text of the other model, in which 20 new tokens replace 20 others, as after a takeover. Its own process says how long
that took; the rest is Baton's, with the search for what the cache already holds, which a read without new tokens shows.
"""

import statistics
import struct
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import cycle, islice
from pathlib import Path
from typing import NamedTuple

from baton_reasoning.core.demo_pair import SMALL_MODEL, held_out_problems
from baton_reasoning.core.engines.base import Message, Passing
from baton_reasoning.core.engines.body import Author, Part
from baton_reasoning.core.engines.local.engine import LocalEngine, LocalSession
from baton_reasoning.core.models.gguf import read_header
from baton_reasoning.core.models.load_options import LoadOptions
from baton_reasoning.core.models.sampling import Sampling
from tests.bench.table import Row, at_most, spread

LENGTHS = (1_000, 8_000, 33_000)
CONTEXT = 40_000
NEW = 20
"""Tokens that one handoff brings."""
READS = 10
GOAL = 1.0
"""Milliseconds after the longest text."""


class Work(NamedTuple):
    """Milliseconds of a handoff."""

    own: float
    models: float


def rows(rounds: int) -> Iterator[Row]:
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(LocalEngine(of_long_context(Path(folder)), LoadOptions(context=CONTEXT, threads=1))) as engine,
    ):
        for passing in Passing:
            for length in LENGTHS:
                taken = measure(engine, passing, length, rounds)
                own = [work.own for work in taken]
                what = f"Baton's own work of a handoff after {length:,} tokens, {passing.value}"
                more = f"; the model's {spread([work.models for work in taken], 'ms')}"
                if length == max(LENGTHS):
                    row = at_most("P15", what, GOAL, own, more)
                    yield row._replace(goal=f"{row.goal} ms")
                else:
                    yield Row("P15", what, "", spread(own, digits=2) + more)


def of_long_context(folder: Path) -> Path:
    """Make a copy of the model that says it was trained for long texts."""
    key, kind = b"llama.context_length", struct.pack("<I", 4)
    content, length = SMALL_MODEL.read_bytes(), read_header(SMALL_MODEL).context_length
    copy = folder / "long.gguf"
    copy.write_bytes(content.replace(key + kind + struct.pack("<I", length), key + kind + struct.pack("<I", CONTEXT)))
    return copy


def measure(engine: LocalEngine, passing: Passing, length: int, rounds: int) -> list[Work]:
    """`passing`: as models of one vocabulary, or of two."""
    problem = next(held_out_problems(1)).question
    ids = engine.tokenize(" ".join(each.question for each in islice(held_out_problems(2), 20)))
    vocabulary = engine.card.vocabulary if passing is Passing.IDS else "another"

    def parts(count: int, start: int) -> list[Part]:
        """Tokens of the other model; of another vocabulary, each a word."""
        found = islice(cycle(ids), start, start + count)
        return [Part(f" {id}", Author.LARGE, id, vocabulary) for id in found]

    # In another vocabulary a part is several tokens of this one.
    each = 1 if passing is Passing.IDS else max(1, len(engine.tokenize(" 123 123 123 123")) // 4)
    text, ways = parts(length // each, 0), (parts(NEW, 0), parts(NEW, 7))
    with closing(engine.open((Message("user", problem),), Sampling())) as session:
        session.read(text)
        return [one_round(session, text, ways) for _ in range(rounds)]


def one_round(session: LocalSession, text: list[Part], ways: tuple[list[Part], list[Part]]) -> Work:
    own, models = list[float](), list[float]()
    for way in islice(cycle(ways), READS):
        body = [*text, *way]
        began = time.perf_counter()
        handoff = session.read(tuple(body))
        around = time.perf_counter() - began - handoff.seconds
        search = session.read(tuple(body)).seconds
        own.append(1000 * (around + search))
        models.append(1000 * (handoff.seconds - search))
    return Work(statistics.median(own), statistics.median(models))
