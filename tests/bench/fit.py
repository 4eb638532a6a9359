"""fit: one model with none, half and all of its layers on the GPU: memory against the estimate, speed, and its numbers.

The device itself says what a model takes: how much less of its memory is free while the model is loaded.
"""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from baton_reasoning.core.engines.base import Message, Messages, Token
from baton_reasoning.core.engines.body import Author, Body, Part
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.models.devices import Devices, find_devices
from baton_reasoning.core.models.fit import estimate, fit_with_layers, in_gib
from baton_reasoning.core.models.gguf import read_header
from baton_reasoning.core.models.load_options import LoadOptions
from baton_reasoning.core.models.sampling import Sampling
from baton_reasoning.core.models.source import DemoModel
from tests.bench.generated import bench_model
from tests.bench.table import Row, left_out
from tests.packaged_models import smollm2_path

QUESTION: Messages = (Message("user", "Count."),)
SENTENCE = Part("One plus two is three, and three plus four is seven. ", Author.LARGE)
OTHER_SENTENCE = Part("Ten plus two is twelve, and three plus four is seven. ", Author.LARGE)
GREEDY = Sampling(temperature=0)
CONTEXT, DECODED = 512, 24
CLOSE = 0.1
"""How far an estimate may be from what a device gives."""


class Speeds(NamedTuple):
    """What was measured of one way to load the model. Speeds in tokens a second, `handoff` in seconds."""

    layers: int
    prefill: float
    decode: float
    handoff: float
    logprobs: tuple[float, ...]


def rows(_: int) -> Iterator[Row]:
    devices = find_devices()
    if not devices.gpus:
        yield left_out("fit", "no GPU was found")
        return
    model = bench_model()
    if not model.samefile(DemoModel.LARGE.path):
        yield from memory_rows(model, devices)
    elif path := smollm2_path():
        yield from memory_rows(path, devices)
    else:
        yield left_out("fit", "the demo pair takes too little memory for its estimate; name a model")
    ways = [measure(model, layers) for layers in ways_to_load(model)]
    layers = ", ".join(str(way.layers) for way in ways)
    for what, figures in {
        "tokens a second read": [way.prefill for way in ways],
        "tokens a second written": [way.decode for way in ways],
        "milliseconds of a handoff that replaces a sentence": [way.handoff * 1000 for way in ways],
    }.items():
        measured = ", ".join(f"{each:.0f}" for each in figures)
        yield Row("fit", f"{what}, {model.stem}, {layers} layers on the GPU", "", measured)
    off = [mean_difference(way.logprobs, ways[0].logprobs) for way in ways[1:]]
    what = f"distance from the CPU's log-probabilities, nats a token, {model.stem}, {layers.partition(', ')[2]} layers"
    yield Row("fit", what, f"≤ {CLOSE}", ", ".join(f"{each:.4f}" for each in off), max(off) <= CLOSE)


def ways_to_load(model: Path) -> tuple[int, int, int]:
    """Layers on the GPU: none, half and all; the output layer counts as one."""
    everything = read_header(model).block_count + 1
    return 0, everything // 2, everything


def memory_rows(model: Path, devices: Devices) -> Iterator[Row]:
    needs = estimate(read_header(model), LoadOptions(context=CONTEXT))
    _, half, everything = ways_to_load(model)
    for layers in (half, everything):
        predicted = fit_with_layers(needs, devices, layers).gpu_bytes
        free = free_bytes()
        with closing(LocalEngine(model, LoadOptions(context=CONTEXT, gpu_layers=layers))):
            used = free - free_bytes()
        what = f"predicted / used memory of the GPU, {model.stem}, {layers} of {everything} layers"
        measured = f"{predicted / used:.2f} ({in_gib(predicted)} / {in_gib(used)})"
        yield Row("fit", what, f"{1 - CLOSE}–{1 + CLOSE}", measured, abs(predicted / used - 1) <= CLOSE)


def measure(model: Path, layers: int) -> Speeds:
    with closing(LocalEngine(model, LoadOptions(context=CONTEXT, gpu_layers=layers))) as engine:
        sentences = max(1, (CONTEXT // 2) // len(engine.tokenize(SENTENCE.text)))
        with closing(engine.open(QUESTION, GREEDY)) as session:
            list(session.write([OTHER_SENTENCE] * sentences, 4, 1))  # the first decode of each size sets the device up
        with closing(engine.open(QUESTION, GREEDY)) as session:
            text = Body([SENTENCE] * sentences)
            reading = session.read(text.parts)
            began = time.perf_counter()
            written = [item for item in session.write(text.parts, DECODED, 1) if isinstance(item, Token)]
            decode = len(written) / (time.perf_counter() - began)
            handoff = session.read([*text.parts[:-1], OTHER_SENTENCE])
            scores = session.score(text.parts, len(text.text) // 2)
    prefill = reading.prefilled / reading.seconds
    return Speeds(layers, prefill, decode, handoff.seconds, tuple(token.logprob for token in scores.tokens))


def free_bytes() -> int:
    return sum(gpu.free_bytes for gpu in find_devices().gpus)


def mean_difference(ours: tuple[float, ...], theirs: tuple[float, ...]) -> float:
    return sum(abs(a - b) for a, b in zip(ours, theirs, strict=True)) / len(ours)
