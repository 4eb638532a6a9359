"""P4: many texts at once over one at a time: what Baton's whole path gains over what raw batched llama_decode gains."""

import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path

from baton_reasoning.core.engines.base import Message, Messages
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.engines.local.llama import BatchEntry, Llama
from baton_reasoning.core.engines.local.messages import WorkerOptions
from baton_reasoning.core.models.load_options import LoadOptions
from baton_reasoning.core.models.sampling import Sampling
from baton_reasoning.core.run import Pair, RunSettings, run
from baton_reasoning.core.thinking.events import TokenWritten
from tests.bench.generated import bench_model, child
from tests.bench.table import Row, at_least, in_turn, ratios

TOKENS = 48
GOAL = 0.95
TEXTS = 16
OPTIONS = LoadOptions(context=256, parallel=TEXTS)


def raw(connection: Connection, path: Path) -> None:
    """Child process: at each request (sequences, tokens of a prompt) read the prompt of each, decode TOKENS steps of
    them all, and report tok/s, all together."""
    llama = Llama(WorkerOptions(str(path), OPTIONS), lambda _: None)
    while request := connection.recv():
        sequences, prompt = request
        for sequence in range(sequences):
            llama.truncate(sequence, 0)
            llama.decode([BatchEntry(1, position, sequence, False) for position in range(prompt)])
        began = time.perf_counter()
        for position in range(prompt, prompt + TOKENS - 1):
            llama.decode([BatchEntry(100 + position, position, sequence, True) for sequence in range(sequences)])
            llama.logits(0)[0]  # waits until the decode is done
        connection.send(sequences * (TOKENS - 1) / (time.perf_counter() - began))


def asked(number: int) -> Messages:
    return (Message("user", f"Tell a long story about ship number {number} and a storm."),)


def through_baton(engine: LocalEngine, texts: int) -> float:
    """Tokens a second of so many texts, from the first token of the last one to begin to the end of the first."""

    def written(number: int) -> list[float]:
        settings = RunSettings(policy="never", temperature=1.0, max_tokens=TOKENS, seed=number)
        happened = run(Pair(engine), asked(number), settings)
        return [time.perf_counter() for event in happened if isinstance(event, TokenWritten)]

    with ThreadPoolExecutor(texts) as pool:
        times = list(pool.map(written, range(texts)))
    start, end = max(each[0] for each in times), min(each[-1] for each in times)
    return sum(sum(start < at <= end for at in each) for each in times) / (end - start)


def rows(rounds: int) -> Iterator[Row]:
    gains = measure(bench_model(), rounds)
    ratio = ratios(gains["baton"], gains["raw"])
    more = f"; {statistics.median(gains['baton']):.2f} times one text, raw {statistics.median(gains['raw']):.2f}"
    yield at_least("P4", f"gain of {TEXTS} texts at once over one, Baton / raw decode", GOAL, ratio, more)


def measure(path: Path, rounds: int) -> dict[str, list[float]]:
    """By how much many texts at once are faster than one, all tokens together."""
    with child(raw, path) as raw_speed, closing(LocalEngine(path, OPTIONS)) as engine:
        with closing(engine.open(asked(0), Sampling())) as session:
            prompt = session.prompt_tokens
        figures = in_turn(
            {
                "raw, one": lambda: raw_speed((1, prompt)),
                "baton, one": lambda: through_baton(engine, 1),
                "raw": lambda: raw_speed((TEXTS, prompt)),
                "baton": lambda: through_baton(engine, TEXTS),
            },
            rounds,
        )
    return {who: ratios(figures[who], figures[f"{who}, one"]) for who in ("raw", "baton")}
