"""Models for measurements, made on the spot from those at hand, and what a decode of one costs."""

import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from baton_reasoning.core.engines.local.llama import BatchEntry, Llama
from baton_reasoning.core.engines.local.messages import WorkerOptions
from baton_reasoning.core.models.load_options import LoadOptions
from baton_reasoning.core.models.source import DemoModel
from tests.packaged_models import smollm2_path

MODEL = "BATON_BENCH_MODEL"
"""Environment variable: a GGUF file to measure in place of SmolLM2."""
LONG_CONTEXT = 8_192
LONG_TEXT, LONG_TOKENS = "The ship sailed on, and the storm grew stronger. " * 650, 7_150
"""Most of LONG_CONTEXT, in the vocabularies of SmolLM2 and Qwen."""
NO_REAL_PAIR = "a real pair: `make real-pair` fetches it (1.57 GB)"
_REQUANTISE = """
import ctypes, sys
import llama_cpp as ll
params = ll.llama_model_quantize_default_params()
params.ftype, params.allow_requantize, params.nthread = ll.LLAMA_FTYPE_ALL_F32, True, 1
assert ll.llama_model_quantize(sys.argv[1].encode(), sys.argv[2].encode(), ctypes.byref(params)) == 0
"""


def bench_model() -> Path:
    """What is measured where one ordinary model will do."""
    named = os.environ.get(MODEL)
    return Path(named) if named else smollm2_path() or DemoModel.LARGE.path


def f32_copy(source: Path, target: Path) -> Path:
    """The same weights at 32 bits: text nearly the same, several times the cost."""
    subprocess.run([sys.executable, "-c", _REQUANTISE, str(source), str(target)], check=True, capture_output=True)
    return target


@contextmanager
def child(function: Callable[..., None], *arguments: object) -> Iterator[Callable[[object], Any]]:
    """Call `function(connection, *arguments)` in a process of its own; yields what asks it and returns its answer."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=function, args=(theirs, *arguments), daemon=True)
    process.start()

    def ask(request: object) -> Any:
        ours.send(request)
        return ours.recv()

    yield ask
    ours.send(None)
    process.join()


def decode_seconds(path: Path, tokens: int = 1) -> float:
    """Median seconds of a decode of so many tokens, in a process of its own."""
    with child(_time_decodes, path) as ask:
        return ask(tokens)


def _time_decodes(connection: Connection, path: Path) -> None:
    llama = Llama(WorkerOptions(str(path), LoadOptions(context=512)), lambda _: None)
    tokens, taken = connection.recv(), []
    for turn in range(20):
        entries = [BatchEntry(5 + i, turn * tokens + i, 0, i == tokens - 1) for i in range(tokens)]
        began = time.perf_counter()
        llama.decode(entries)
        llama.logits(tokens - 1)[0]  # waits until the decode is done
        taken.append(time.perf_counter() - began)
    connection.send(statistics.median(taken[2:]))
