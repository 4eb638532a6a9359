"""`packaging/gpu/check.sh`'s table: one model with no, half and all of its layers on the GPU.

Load in seconds; prefill and decode in tokens a second; a handoff that replaces the last sentence of a text, in
milliseconds; and how far the log-probabilities of a text are from the CPU's, in nats, mean over its tokens.
"""

from __future__ import annotations

import sys
import time
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from baton_reasoning.core.demo_pair import LARGE_MODEL
from baton_reasoning.core.engines.base import Conversation, Handoff, Message, Token
from baton_reasoning.core.engines.body import Author, Body, Part
from baton_reasoning.core.engines.local.client import LocalEngine
from baton_reasoning.core.models.devices import find_devices
from baton_reasoning.core.models.gguf import read_header
from baton_reasoning.core.models.loading import LoadOptions
from baton_reasoning.core.models.overrides import Sampling

QUESTION: Conversation = (Message("user", "Count."),)
SENTENCE = "One plus two is three, and three plus four is seven. "
CONTEXT, DECODED = 1024, 64


class Row(NamedTuple):
    layers: int
    load: float
    prefill: float
    decode: float
    handoff: float
    logprobs: tuple[float, ...]


def main() -> int:
    model = Path(sys.argv[1]) if len(sys.argv) > 1 else LARGE_MODEL
    devices = find_devices().gpus
    print(f"\n{model.name} on {', '.join(device.description for device in devices) or 'no GPU: the CPU only'}")
    everything = read_header(model).block_count + 1
    rows = [measured(model, layers) for layers in dict.fromkeys((0, everything // 2, everything))]
    print(
        "| layers on the GPU | load s | prefill tok/s | decode tok/s | handoff ms | off the CPU's log-probabilities |"
    )
    print("|---:|---:|---:|---:|---:|---:|")
    for row in rows:
        off = sum(abs(a - b) for a, b in zip(row.logprobs, rows[0].logprobs, strict=True)) / len(row.logprobs)
        numbers = f"{row.load:.1f} | {row.prefill:.0f} | {row.decode:.0f} | {row.handoff:.0f} | {off:.4f}"
        print(f"| {row.layers} of {everything} | {numbers} |")
    return 0 if devices else 1


def measured(model: Path, layers: int) -> Row:
    started = time.perf_counter()
    with closing(LocalEngine(model, LoadOptions(context=CONTEXT, gpu_layers=layers))) as engine:
        load = time.perf_counter() - started
        sentence = Part(SENTENCE, Author.LARGE)
        with closing(engine.open(QUESTION, Sampling(temperature=0))) as session:
            list(session.write([sentence], 4, 1))  # the first decode sets the device up
        with closing(engine.open(QUESTION, Sampling(temperature=0))) as session:
            text = Body([sentence] * max(1, (CONTEXT // 2) // engine.count_tokens(SENTENCE)))
            reading = session.read(text.parts)
            started = time.perf_counter()
            written = [item for item in session.write(text.parts, DECODED, 1) if isinstance(item, Token)]
            decode = len(written) / (time.perf_counter() - started)
            other = [*text.parts[:-1], Part(SENTENCE.replace("One", "Ten"), Author.LARGE)]
            handoff: Handoff = session.read(other)
            scores = session.score(text.parts, len(text.text) // 2)
    prefill = reading.prefilled / reading.seconds if reading.seconds else 0.0
    return Row(layers, load, prefill, decode, handoff.seconds * 1000, tuple(token.logprob for token in scores.tokens))


if __name__ == "__main__":
    sys.exit(main())
