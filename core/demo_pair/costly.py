"""Makes the demo pair costly, so that its times have the proportions of a real pair's while its text stays the same.

A block whose output projections are zero adds nothing to the residual stream, and nor do zeros that make an embedding
or a feed-forward network wider: a model keeps its text, up to rounding, and costs many times as much. The weights are
F32 and read from memory at every decode, which makes a decode of several tokens cost little more than one of one, more
as on a GPU than where a CPU computes.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import gguf
import numpy as np

from baton_reasoning.core.demo_pair.settings import LARGE_MODEL, SMALL_MODEL
from baton_reasoning.core.models.source import DemoModel

RATIO = 13
"""Cost of the demo's large model over that of its small one, where a person waits for one answer."""
SMALL_BLOCKS = 3
"""Of the costly small model: so many that Baton's own time is a small part of its decode."""
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


class Shape(NamedTuple):
    """Numbers of the embedding, of the feed-forward network, and blocks added; 0 keeps what the model has."""

    embedding: int = 0
    feed_forward: int = 0
    more_blocks: int = 0


BLOCK = Shape(embedding=512, feed_forward=1536)
"""A block of 10 MiB: about a millisecond a decode where 10 GB are read in a second."""


MAKING = "Making the demo pair as costly as a real one: 420 MB, nearly all of them zeros…"
SWITCH = "BATON_DEMO_PAIR"
"""The environment variable; `tiny` keeps the demo pair as it is, for tests."""


class DemoFiles:
    """The demo pair's files for one answer at a time: as costly as a real pair, or tiny if those cannot be written."""

    def __init__(self, folder: Path) -> None:
        """`folder`: where they are kept; it need not exist."""
        self._folder = folder
        self._paths = {model: model.path for model in DemoModel}
        self.missing = os.environ.get(SWITCH) != "tiny"
        """Whether they have to be made, which takes a second or two."""

    def make(self) -> str:
        """Make what is missing; return why the tiny pair runs instead, as one sentence, empty if it does not."""
        try:
            small, large = costly_pair(RATIO, self._folder)
        except OSError as error:
            return (
                f"The demo runs on its tiny models, which are equally fast: {self._folder} cannot hold the costly "
                f"ones ({error.strerror or error})."
            )
        self._paths = {DemoModel.SMALL: small, DemoModel.LARGE: large}
        return ""

    def path(self, model: DemoModel) -> Path:
        return self._paths[model]


def costly_pair(ratio: int, folder: Path) -> tuple[Path, Path]:
    """Return the demo pair at a cost ratio of 1:`ratio`, made in `folder` unless it is there. 10 MiB a block."""
    folder.mkdir(parents=True, exist_ok=True)
    return of_blocks(SMALL_MODEL, folder, SMALL_BLOCKS), of_blocks(LARGE_MODEL, folder, SMALL_BLOCKS * ratio)


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
    """Return a copy of a model of the demo pair with so many blocks of BLOCK, made unless it is there.

    A copy with ten times as many blocks costs ten times as much.
    """
    made = folder / f"{source.stem}-{blocks}-{crc32(source.read_bytes()):08x}.gguf"
    if not made.exists():
        own: int = gguf.GGUFReader(source).fields["llama.block_count"].contents()
        part = made.with_suffix(".part")
        try:
            costly(source, part, BLOCK._replace(more_blocks=blocks - own))
            part.replace(made)
        finally:
            part.unlink(missing_ok=True)  # of a full disk, or an interruption
    return made
