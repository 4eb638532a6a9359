"""P14: what a token costs through Baton's whole local path, beyond a bare decode and its logits, at large vocabularies.

The models have one layer, so that their decodes hide nothing, and a real vocabulary where a model at hand has one of
that size. Each token is one of a decode of its own. The time of a processor is counted in each of the two processes.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import psutil
from llama_cpp import llama_cpp as ll

from baton_reasoning.core.demo_pair import SMALL_MODEL
from baton_reasoning.core.engines.base import Message
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.engines.local.llama import Llama
from baton_reasoning.core.engines.local.messages import WorkerOptions
from baton_reasoning.core.models.load_options import LoadOptions
from baton_reasoning.core.run import Pair, RunSettings, run
from baton_reasoning.core.thinking.events import TokenWritten
from baton_reasoning.core.thinking.interruptions import Limits
from tests.bench.generated import child
from tests.bench.path import SETTLING
from tests.bench.table import Row, at_most, in_turn, spread
from tests.packaged_models import gemma_path, real_pair_paths
from tests.scripted_gguf import tokenizer_of, with_tokens, write_scripted

TOKENS = 400
OPTIONS = LoadOptions(context=512, threads=1)
QUESTION = (Message("user", "Q"),)
TEMPLATE = "{{ messages[0].content }}"
ORDINARY = 1
"""The type of a token that is neither a control token nor matched before others."""
USUAL, FLAT = 6.0, 0.05
"""Standard deviations of the logits: at 6 the likeliest of 151,936 tokens has a third of the probability."""
FLAT_GOAL, PROGRAM_GOAL = 3.0, 0.2
LIMITS = Limits(repetition=False)


class Case(NamedTuple):
    settings: RunSettings
    goal: float
    """Milliseconds of the model's process at `VOCABULARIES[0]`; twice that at the other size."""


def _asks(**changes: Any) -> RunSettings:
    return RunSettings(policy="never", max_tokens=TOKENS, limits=LIMITS, **changes)


CASES = {
    "top-k 50": Case(_asks(), 0.15),
    "greedy": Case(_asks(temperature=0), 0.15),
    "top-k off": Case(_asks(top_k=0), 0.6),
    "5 alternatives": Case(_asks(alternatives=5), 0.35),
    "20 alternatives": Case(_asks(alternatives=20), 0.7),
}
VOCABULARIES = (151_936, 262_144)
"""Qwen's and Gemma 3's."""


class Taken(NamedTuple):
    """Milliseconds a token."""

    wall: float
    model: float
    """Processor time of the model's process."""
    program: float = 0.0


def rows(rounds: int) -> Iterator[Row]:
    for size in VOCABULARIES:
        tokenizer = tokenizer_with(size)
        with TemporaryDirectory() as folder:
            usual = write_scripted(Path(folder, "usual.gguf"), tokenizer, TEMPLATE, spread=USUAL)
            yield from rows_of(size, measure(usual, rounds))
            usual.unlink()
            flat = measure(write_scripted(Path(folder, "flat.gguf"), tokenizer, TEMPLATE, spread=FLAT), rounds)
        slowest = max(flat, key=lambda case: sorted(flat[case], key=lambda taken: taken.model)[rounds // 2].model)
        name = f"fixed cost of a token, {size:,} tokens that are nearly alike"
        what = f"{name}, the model's process, the slowest of these"
        yield at_most("P14", what, FLAT_GOAL, [taken.model for taken in flat[slowest]], f": {slowest}", unit="ms")


def rows_of(size: int, taken: Mapping[str, list[Taken]]) -> Iterator[Row]:
    name = f"fixed cost of a token, {size:,} tokens"
    for case, each in taken.items():
        goal = CASES[case].goal * (1 if size == VOCABULARIES[0] else 2)
        wall = f"; with the program's {spread([one.wall for one in each], 'ms', 2)} on the clock"
        yield at_most("P14", f"{name}, the model's process, {case}", goal, [one.model for one in each], wall, "ms")
    program = [one.program for each in taken.values() for one in each]
    yield at_most("P14", f"{name}, the program's own process", PROGRAM_GOAL, program, unit="ms")


def tokenizer_with(size: int) -> dict[str, Any]:
    """Return the tokenizer of a model at hand that has so many tokens, else the demo pair's with some added."""
    pair, gemma = real_pair_paths(), gemma_path()
    for path in (pair and pair.small, gemma):
        if path and len((found := tokenizer_of(path))["tokenizer.ggml.tokens"]) == size:
            return found
    own = tokenizer_of(SMALL_MODEL)
    missing = size - len(own["tokenizer.ggml.tokens"])
    return with_tokens(own, [f"Ġadded{number}" for number in range(missing)], ORDINARY)


def measure(path: Path, rounds: int) -> dict[str, list[Taken]]:
    """Return what Baton takes beyond bare decodes in the same round, by case."""
    with child(bare, path) as ask, closing(LocalEngine(path, OPTIONS)) as engine:

        def bare_round() -> Taken:
            time.sleep(SETTLING)
            return ask(True)

        ways: dict[str, Callable[[], Taken]] = {"bare": bare_round}
        for name, case in CASES.items():
            ways[name] = partial(through_baton, engine, case.settings)
        figures = in_turn(ways, rounds)
    bare_figures = figures.pop("bare")
    return {
        name: [
            Taken(one.wall - bare.wall, one.model - bare.model, one.program)
            for one, bare in zip(each, bare_figures, strict=True)
        ]
        for name, each in figures.items()
    }


def bare(connection: Connection, path: Path) -> None:
    """Child process: at each request decode TOKENS one by one, wait for their logits, and report what it took."""
    llama = Llama(WorkerOptions(str(path), OPTIONS), lambda _: None)
    batch, context = llama.batch, llama.context
    batch.n_tokens = batch.n_seq_id[0] = batch.logits[0] = 1
    batch.seq_id[0][0] = 0
    while connection.recv():
        llama.truncate(0, 0)
        wall, processor = time.perf_counter(), time.process_time()
        for position in range(TOKENS):
            batch.token[0], batch.pos[0] = 100 + position, position
            ll.llama_decode(context, batch)
            ll.llama_get_logits_ith(context, 0)[0]
        a_token = 1e3 / TOKENS
        connection.send(Taken((time.perf_counter() - wall) * a_token, (time.process_time() - processor) * a_token))


def through_baton(engine: LocalEngine, settings: RunSettings) -> Taken:
    """Take the time from the first token of an answer to the last."""
    worker, written, taken = psutil.Process(engine.process.pid), 0, []
    for event in run(Pair(engine), QUESTION, settings):
        written += isinstance(event, TokenWritten)
        if isinstance(event, TokenWritten) and written in (1, TOKENS):
            taken.append(_now(worker))
    first, last = taken
    return Taken(*((b - a) * 1e3 / (TOKENS - 1) for a, b in zip(first, last, strict=True)))


def _now(worker: psutil.Process) -> tuple[float, float, float]:
    times = worker.cpu_times()
    return time.perf_counter(), times.user + times.system, time.process_time()
