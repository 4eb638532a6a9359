"""Models for measurements, made on the spot from those at hand.

A block whose output projections are zero adds nothing to the residual stream, and nor do zeros that make an embedding
or a feed-forward network wider: a model keeps its text, up to rounding, and costs many times as much. So realistic
cost ratios are measured on meaningful text. The weights are F32 and read from memory at every decode, which makes a
wider decode cost little more than a narrow one, more as on a GPU than where a CPU computes.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import gguf
import numpy as np

from core.engines.local.llama import BatchEntry, Llama
from core.engines.local.messages import WorkerOptions
from core.models.loading import LoadOptions
from core.models.source import DemoModel
from tests.packaged_models import smollm2_path

MODEL = "BATON_BENCH_MODEL"
"""Environment variable: a GGUF file to measure in place of SmolLM2."""
Matrix = np.ndarray[Any, Any]
_PADDED = {
    "token_embd": ("", "embedding"),
    "output": ("", "embedding"),
    "attn_q": ("", "embedding"),
    "attn_k": ("", "embedding"),
    "attn_v": ("", "embedding"),
    "attn_output": ("embedding", ""),
    "ffn_gate": ("feed_forward", "embedding"),
    "ffn_up": ("feed_forward", "embedding"),
    "ffn_down": ("embedding", "feed_forward"),
}
"""What the rows and the columns of each matrix are as many as."""
_SILENT = ("attn_output.weight", "ffn_down.weight")
_REQUANTISE = """
import ctypes, sys
import llama_cpp as ll
params = ll.llama_model_quantize_default_params()
params.ftype, params.allow_requantize, params.nthread = ll.LLAMA_FTYPE_ALL_F32, True, 1
assert ll.llama_model_quantize(sys.argv[1].encode(), sys.argv[2].encode(), ctypes.byref(params)) == 0
"""


class Shape(NamedTuple):
    """Numbers of the embedding, of the feed-forward network, and blocks added; 0 keeps what the model has."""

    embedding: int = 0
    feed_forward: int = 0
    more_blocks: int = 0


BLOCK = Shape(embedding=512, feed_forward=1536)
"""A block of 10 MiB: about a millisecond a decode where 10 GB are read in a second."""


def bench_model() -> Path:
    """What is measured where one ordinary model will do."""
    named = os.environ.get(MODEL)
    return Path(named) if named else smollm2_path() or DemoModel.LARGE.path


def f32_copy(source: Path, target: Path) -> Path:
    """The same weights at 32 bits: text nearly the same, several times the cost."""
    subprocess.run([sys.executable, "-c", _REQUANTISE, str(source), str(target)], check=True, capture_output=True)
    return target


def costly(source: Path, target: Path, shape: Shape, **changes: Any) -> Path:
    """Write an F32 Llama (one of the demo pair) in a larger shape. `changes`: metadata to change, `__` for a dot."""
    reader = gguf.GGUFReader(source)
    fields = {field.name: field for field in reader.fields.values() if not field.name.startswith("GGUF.")}
    del fields["general.architecture"]
    had = {name.removeprefix("llama."): field.contents() for name, field in fields.items() if name.startswith("llama.")}
    own, heads, blocks = had["embedding_length"], had["attention.head_count"], had["block_count"]
    width, epsilon = shape.embedding or own, had["attention.layer_norm_rms_epsilon"]
    values = {name: field.contents() for name, field in fields.items()}
    values |= {key.replace("__", "."): value for key, value in changes.items()}
    values["llama.block_count"] = blocks + shape.more_blocks
    values["llama.embedding_length"] = width
    values["llama.feed_forward_length"] = shape.feed_forward or had["feed_forward_length"]
    values["llama.attention.layer_norm_rms_epsilon"] = epsilon * own / width
    writer = gguf.GGUFWriter(target, "llama")
    for name, field in fields.items():
        sub_type = field.types[-1] if field.types[0] is gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(name, values[name], field.types[0], sub_type=sub_type)
    writer.add_key_length(own // heads)
    writer.add_value_length(own // heads)
    tensors = {tensor.name: _padded(tensor.name, tensor.data, own, shape) for tensor in reader.tensors}
    for name, data in tensors.items():
        writer.add_tensor(name, data)
        if name.startswith("blk.0."):
            part = name.removeprefix("blk.0.")
            silent = np.zeros_like(data) if part in _SILENT else data
            for block in range(blocks, blocks + shape.more_blocks):
                writer.add_tensor(f"blk.{block}.{part}", silent)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def _padded(name: str, data: Matrix, own: int, shape: Shape) -> Matrix:
    """With zeros to the new shape; rows of a matrix are what comes out. Norms make up for the mean of squares, which
    the zeros make smaller."""
    more = (shape.embedding or own) - own
    part = name.removesuffix(".weight").rpartition(".")[2]
    if data.ndim == 1:
        return np.pad(data * np.float32(np.sqrt(own / (own + more))), (0, more))
    rows, columns = _PADDED[part]
    wide = max(shape.feed_forward - data.shape[1 if part == "ffn_down" else 0], 0)
    extra = {"embedding": more, "feed_forward": wide, "": 0}
    return np.pad(data, ((0, extra[rows]), (0, extra[columns])))


def of_blocks(source: Path, folder: Path, blocks: int) -> Path:
    """A copy of a model of the demo pair with so many blocks of BLOCK: one with ten times as many costs ten times as
    much."""
    own: int = gguf.GGUFReader(source).fields["llama.block_count"].contents()
    return costly(source, folder / f"{source.stem}-{blocks}.gguf", BLOCK._replace(more_blocks=blocks - own))


def decode_seconds(path: Path, tokens: int = 1) -> float:
    """Median seconds of a decode of so many tokens, in a process of its own."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_time_decodes, args=(theirs, str(path), tokens))
    process.start()
    seconds: float = ours.recv()
    process.join()
    return seconds


def _time_decodes(connection: Connection, path: str, tokens: int) -> None:
    llama = Llama(WorkerOptions(path, LoadOptions(context=512)), lambda _: None)
    taken = []
    for turn in range(20):
        entries = [BatchEntry(5 + i, turn * tokens + i, 0, i == tokens - 1) for i in range(tokens)]
        began = time.perf_counter()
        llama.decode(entries)
        llama.logits(tokens - 1)[0]  # waits until the decode is done
        taken.append(time.perf_counter() - began)
    connection.send(float(np.median(taken[2:])))
