"""P1: small only through Baton's whole path (loop, session, pipe, scheduler, sampler) over bare llama_decode."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import psutil

from baton_reasoning.core.engines.base import Message
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.engines.local.llama import BatchEntry, Llama
from baton_reasoning.core.engines.local.messages import WorkerOptions
from baton_reasoning.core.models.fit import estimate, in_gib
from baton_reasoning.core.models.gguf import read_header
from baton_reasoning.core.models.load_options import LoadOptions
from baton_reasoning.core.models.sampling import Sampling
from baton_reasoning.core.run import Pair, RunSettings, run
from baton_reasoning.core.thinking.events import Author, Event, RunEnded, TokenWritten, WriteEnded
from baton_reasoning.core.thinking.interruptions import Limits
from baton_reasoning.core.thinking.trace import Trace
from tests.bench.generated import LONG_CONTEXT, NO_REAL_PAIR, bench_model, child
from tests.bench.table import Row, at_least, in_turn, left_out, ratios
from tests.packaged_models import real_pair_paths

TOKENS = 200
SETTLING = 2.5
"""Seconds after which a worker has prepared its prompt cache for the next turn, which would slow the bare decodes."""
LONG = 7_900
QUESTION = (Message("user", "Tell a long story about a ship and a storm."),)
GOAL = 0.97


def rows(rounds: int) -> Iterator[Row]:
    yield from short_rows(bench_model(), "", rounds)
    if read_header(bench_model()).context_length >= LONG_CONTEXT:
        yield from long_rows(bench_model(), "", rounds)
    else:
        yield left_out("P1", f"{LONG:,} tokens of text are more than {bench_model().name} was trained for")
    if pair := real_pair_paths():
        yield from short_rows(pair.small, f", {pair.small.stem}", rounds)
        for model in pair:
            yield from long_rows(model, f", {model.stem}", rounds)
    else:
        yield left_out("P1", NO_REAL_PAIR)


def short_rows(model: Path, name: str, rounds: int) -> Iterator[Row]:
    what = "small only through Baton / bare `llama_decode`"
    for recorded, values in measure(Setup(model, 1024), (0, 20), rounds).ratios.items():
        yield at_least("P1", f"{what}{recorded}{name}", GOAL, values)


def long_rows(model: Path, name: str, rounds: int) -> Iterator[Row]:
    """After a text that nearly fills LONG_CONTEXT: the speed, and the memory of the model's process."""
    found = measure(Setup(model, LONG_CONTEXT, LONG), (0,), rounds)
    for values in found.ratios.values():
        yield at_least("P1", f"the same after {LONG:,} tokens of text{name}", GOAL, values)
    estimated = estimate(read_header(model), LoadOptions(context=LONG_CONTEXT)).total_bytes
    memory = f"{found.resident / estimated:.2f} ({in_gib(found.resident)} / {in_gib(estimated)})"
    mapped = f"{in_gib(found.mapped)} of it are pages of files, which the system can take back"
    what = f"resident memory after {LONG:,} tokens of text / estimate, {model.stem}"
    yield Row("P1", what, "", f"{memory}; {mapped}")


@dataclass(frozen=True)
class Setup:
    """A model, its context, and tokens of text before those that are timed."""

    path: Path
    context: int
    text: int = 0


class Measured(NamedTuple):
    ratios: dict[str, list[float]]
    """By how many alternatives are recorded."""
    resident: int
    """Bytes that the process of Baton's model has in memory at the end."""
    mapped: int
    """Those of them that are pages of files. llama.cpp copies 4-bit weights for a CPU, and does not read their pages of
    the model's file again (core/models/fit.py)."""


def measure(setup: Setup, alternatives: tuple[int, ...], rounds: int) -> Measured:
    options = LoadOptions(context=setup.context)
    with bare_decodes(setup) as bare_speed, closing(LocalEngine(setup.path, options)) as engine:
        text = prompt_length(engine) + setup.text
        before = long_trace(engine, setup.text) if setup.text else None
        ways = {"bare": lambda: bare_speed(text)}
        for count in alternatives:
            name = f", with {count} alternatives a token" if count else ""
            ways[name] = lambda count=count: through_baton(engine, count, before)  # type: ignore[misc]
        figures = in_turn(ways, rounds)
        memory = psutil.Process(engine.process.pid).memory_info()
    bare = figures.pop("bare")
    found = {name: ratios(speeds, bare) for name, speeds in figures.items()}
    return Measured(found, memory.rss, getattr(memory, "shared", 0))


@contextmanager
def bare_decodes(setup: Setup, options: LoadOptions | None = None) -> Iterator[Callable[[int], float]]:
    """Yields what measures their speed after so many tokens of text, once everything has settled.

    `options`: if the model is not loaded as Baton loads it by itself.
    """
    with child(bare, setup, options or LoadOptions(context=setup.context)) as ask:

        def speed(text: int) -> float:
            time.sleep(SETTLING)
            return ask(text)

        yield speed


def prompt_length(engine: LocalEngine) -> int:
    with closing(engine.open(QUESTION, Sampling())) as session:
        return session.prompt_tokens


def bare(connection: Connection, setup: Setup, options: LoadOptions) -> None:
    """Child process: at each request bring the cache to a text of so many tokens, then decode TOKENS more one by one,
    as llama-bench does (nothing is sampled), and report tok/s."""
    llama = Llama(WorkerOptions(str(setup.path), options), lambda _: None)
    held = 0
    while wanted := connection.recv():
        llama.truncate(0, min(held, wanted))
        for start in range(min(held, wanted), wanted, llama.chunk):
            end = min(start + llama.chunk, wanted)
            llama.decode([BatchEntry(1, position, 0, position == wanted - 1) for position in range(start, end)])
        began = time.perf_counter()
        for position in range(wanted, wanted + TOKENS - 1):
            llama.decode([BatchEntry(100 + position % 100, position, 0, True)])
            llama.logits(0)[0]  # waits until the decode is done
        connection.send((TOKENS - 1) / (time.perf_counter() - began))
        held = wanted


def through_baton(engine: LocalEngine, alternatives: int, before: Trace | None) -> float:
    """Tokens a second; `before`: a text that is continued."""
    settings = RunSettings(
        policy="never",
        temperature=1.0,
        max_tokens=TOKENS + (before.tokens if before else 0),
        alternatives=alternatives,
        limits=Limits(repetition=False),
    )
    return tokens_per_second(run(Pair(engine), QUESTION, settings, before=before))


def tokens_per_second(events: Iterable[Event]) -> float:
    """Of one answer, from its first token on."""
    at = [event.at for event in events if isinstance(event, TokenWritten)]
    return (len(at) - 1) / (at[-1] - at[0])


def long_trace(engine: LocalEngine, tokens: int) -> Trace:
    """A run that was interrupted after so many tokens, in steps of fifty."""
    settings = RunSettings(policy="never", max_tokens=1)
    begun = run(Pair(engine), QUESTION, settings)
    trace = Trace.of(event for event in begun if not isinstance(event, WriteEnded | RunEnded))
    for number in range(tokens):
        text = ".\n\n" if number % 50 == 49 else " word"
        trace.apply(TokenWritten(0.1, Author.SMALL, 100 + number % 100, text, ends_step=number % 50 == 49))
    return trace
