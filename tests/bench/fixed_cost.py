"""P14: what a token costs through Baton's whole local path beyond its decode, at large vocabularies.

The models have one layer, so that their decodes hide nothing, and a real vocabulary where a model at hand has one of
that size. Each token is one of a decode of its own. The model's process takes the time of its own decodes: to subtract
that of bare decodes, taken at another moment, left an uncertainty of half a millisecond.
"""

import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
from llama_cpp import llama_cpp as ll

from baton_reasoning.core.demo_pair import SMALL_MODEL
from baton_reasoning.core.engines.base import Message
from baton_reasoning.core.engines.local import process
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.models.load_options import LoadOptions
from baton_reasoning.core.run import Pair, RunSettings, run
from baton_reasoning.core.thinking.events import TokenWritten
from baton_reasoning.core.thinking.interruptions import Limits
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
METER = "BATON_BENCH_METER"
"""Names the file of the running totals of a `Meter`."""


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
    """On the clock, less the time in decodes."""
    model: float
    """Processor time of the model's process outside its decodes."""
    program: float
    """Processor time of the program."""


def rows(rounds: int) -> Iterator[Row]:
    for size in VOCABULARIES:
        tokenizer = tokenizer_with(size)
        with TemporaryDirectory() as folder:
            usual = write_scripted(Path(folder, "usual.gguf"), tokenizer, TEMPLATE, spread=USUAL)
            yield from rows_of(size, measure(usual, rounds))
            usual.unlink()
            flat = measure(write_scripted(Path(folder, "flat.gguf"), tokenizer, TEMPLATE, spread=FLAT), rounds)
        slowest = max(flat, key=lambda case: statistics.median(taken.model for taken in flat[case]))
        yield at_most(
            "P14",
            f"vocabulary of {size:,}, nearly alike, the slowest",
            FLAT_GOAL,
            [taken.model for taken in flat[slowest]],
            f": {slowest}",
            unit="ms",
        )


def rows_of(size: int, taken: Mapping[str, list[Taken]]) -> Iterator[Row]:
    name = f"vocabulary of {size:,}"
    for case, each in taken.items():
        goal = CASES[case].goal * (1 if size == VOCABULARIES[0] else 2)
        wall = f"; on the clock {spread([one.wall for one in each], 'ms', 2)}"
        yield at_most("P14", f"{name}, {case}", goal, [one.model for one in each], wall, "ms")
    program = [one.program for each in taken.values() for one in each]
    yield at_most("P14", f"{name}, the program", PROGRAM_GOAL, program, unit="ms")


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
    """Return what a token takes beyond its decode, by case."""
    with TemporaryDirectory() as folder:
        meter = Meter(Path(folder, "meter"))
        with (
            mock.patch.dict(os.environ, {METER: str(meter.path)}),
            mock.patch.object(process, "run_worker", metered_worker),
            closing(LocalEngine(path, OPTIONS)) as engine,
        ):
            ways = {name: partial(through_baton, engine, case.settings, meter) for name, case in CASES.items()}
            return in_turn(ways, rounds)


class Meter:
    """Running totals of a model's process, in a file that both processes map, in seconds."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(16))
        self.path = path
        self._totals = np.asarray(np.memmap(path, dtype=np.float64))
        self._last = time.process_time()

    @property
    def in_decodes(self) -> float:
        """On the clock."""
        return float(self._totals[0])

    @property
    def outside(self) -> float:
        """Processor time of all that is no decode, up to the end of the last one."""
        return float(self._totals[1])

    def timed(self, native: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a native function, so that its time counts as that of a decode."""

        def call(*arguments: object) -> Any:
            wall, processor = time.perf_counter(), time.process_time()
            self._totals[1] += processor - self._last
            result = native(*arguments)
            self._totals[0] += time.perf_counter() - wall
            self._last = time.process_time()
            return result

        return call


def metered_worker(*arguments: Any) -> None:
    """Child process: does what `run_worker` does, and takes the time of its decodes."""
    meter = Meter(Path(os.environ[METER]))
    ll.llama_decode = meter.timed(ll.llama_decode)
    process.run_worker(*arguments)


def through_baton(engine: LocalEngine, settings: RunSettings, meter: Meter) -> Taken:
    """Take the time from the first token of an answer to the last."""
    written, taken = 0, list[tuple[float, float, float]]()
    for event in run(Pair(engine), QUESTION, settings):
        written += isinstance(event, TokenWritten)
        if isinstance(event, TokenWritten) and written in (1, TOKENS):
            taken.append((time.perf_counter() - meter.in_decodes, meter.outside, time.process_time()))
    first, last = taken
    return Taken(*((b - a) * 1e3 / (TOKENS - 1) for a, b in zip(first, last, strict=True)))
