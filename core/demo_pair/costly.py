"""Makes the demo pair costly, so that its times have the proportions of a real pair's while its text stays the same.

A block of zeros adds nothing to the residual stream, and nor do zeros that make an embedding or a feed-forward network
wider: a model keeps its text, up to rounding, and costs many times as much. The weights are F32 and read from memory at
every decode, also those in a hole of the file, which makes a decode of several tokens cost less than as many decodes,
more as on a GPU than where a CPU computes.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
import tempfile
from array import array
from dataclasses import dataclass
from math import prod, sqrt
from pathlib import Path
from typing import BinaryIO, NamedTuple

from baton_reasoning.core.models.gguf_format import Keys, Tensor, padded, read_raw
from baton_reasoning.core.models.source import DemoModel

RATIO = 13
"""Cost of the demo's large model over that of its small one, where a person waits for one answer."""
SMALL_BLOCKS = 3
"""Of the costly small model: so many that Baton's own time is a small part of its decode."""
_DIMENSIONS = {
    "token_embd": ("embedding", ""),
    "output": ("embedding", ""),
    "attn_q": ("embedding", ""),
    "attn_k": ("embedding", ""),
    "attn_v": ("embedding", ""),
    "attn_output": ("", "embedding"),
    "ffn_gate": ("embedding", "feed_forward"),
    "ffn_up": ("embedding", "feed_forward"),
    "ffn_down": ("feed_forward", "embedding"),
}
"""What decides the number of columns and of rows of each matrix, in GGUF's order; "" leaves it as it is."""
_F32 = 0
"""GGUF's number of the type of all tensors."""
SET_SPARSE = 0x900C4
"""Windows' FSCTL_SET_SPARSE."""


class Shape(NamedTuple):
    """The widths of the embedding and of the feed-forward network, 0 to keep the model's, and the number of blocks."""

    embedding: int = 0
    feed_forward: int = 0
    blocks: int = 0


BLOCK = Shape(embedding=512, feed_forward=1536)
"""A block of 10 MB: about a millisecond a decode where 10 GB are read in a second."""
MAKING = "Making the demo pair as costly as a real one: 420 MB, nearly all of them zeros…"
SWITCH = "BATON_DEMO_PAIR"
"""The environment variable; `tiny` keeps the demo pair as it is, for tests."""


class DemoFiles:
    """The demo pair's files for one answer at a time: as costly as a real pair, or tiny if those cannot be written."""

    def __init__(self, folder: Path) -> None:
        """`folder`: where costly files are kept; it need not exist."""
        self._folder = folder
        self._copies = {} if os.environ.get(SWITCH) == "tiny" else _copies(RATIO, folder)

    @property
    def missing(self) -> bool:
        """Whether a file has to be made, or made again because it is damaged."""
        return not all(copy.is_whole for copy in self._copies.values())

    def make(self) -> str:
        """Make what is missing; return why the tiny pair runs instead, as a sentence, empty if it does not."""
        try:
            for copy in self._copies.values():
                copy.make()
        except OSError as error:
            self._copies = {}
            return (
                "The demo runs on its tiny models, which are equally fast: those at the cost of real ones cannot be "
                f"written into {self._folder} ({error.strerror or error})."
            )
        return ""

    def path(self, model: DemoModel) -> Path:
        """Return the file of a model, once nothing is missing."""
        return self._copies[model].path if model in self._copies else model.path

    def size(self, model: DemoModel) -> int:
        """Return the bytes of that file, made or not."""
        return self._copies[model].size if model in self._copies else model.path.stat().st_size


def costly_pair(ratio: int, folder: Path) -> tuple[Path, Path]:
    """Return the demo pair at a cost ratio of 1:`ratio`, made in `folder` unless it is there. 10 MB a block.

    Raises OSError.
    """
    copies = _copies(ratio, folder)
    return copies[DemoModel.SMALL].make(), copies[DemoModel.LARGE].make()


def _copies(ratio: int, folder: Path) -> dict[DemoModel, SparseFile]:
    blocks = {DemoModel.SMALL: SMALL_BLOCKS, DemoModel.LARGE: SMALL_BLOCKS * ratio}
    return {model: of_blocks(model.path, folder, count) for model, count in blocks.items()}


def of_blocks(source: Path, folder: Path, blocks: int) -> SparseFile:
    """Return a copy of a model of the demo pair with so many blocks of BLOCK.

    A copy with ten times as many blocks costs ten times as much.
    """
    return costly(source, folder / f"{source.stem}-{blocks}.gguf", BLOCK._replace(blocks=blocks))


def costly(source: Path, target: Path, shape: Shape) -> SparseFile:
    """Return an F32 Llama (one of the demo pair) in a larger shape."""
    raw = read_raw(source)
    content = source.read_bytes()
    had = Keys(source, raw.values, "llama.")
    own = had.get("embedding_length", 0)
    head = own // had.get("attention.head_count", 1)
    shape = Shape(shape.embedding or own, shape.feed_forward or had.get("feed_forward_length", 0), shape.blocks)
    own_blocks = had.get("block_count", 0)
    epsilon = raw.values["llama.attention.layer_norm_rms_epsilon"]
    assert isinstance(epsilon, float)
    numbers: dict[str, float] = {
        "llama.block_count": shape.blocks,
        "llama.embedding_length": shape.embedding,
        "llama.feed_forward_length": shape.feed_forward,
        "llama.attention.layer_norm_rms_epsilon": epsilon * own / shape.embedding,
        "llama.attention.key_length": head,
        "llama.attention.value_length": head,
    }
    keys = {key: content[place] for key, place in raw.places.items()}
    keys |= {key: _typed(number) for key, number in numbers.items()}
    weights: list[_Weights] = []
    for tensor in raw.tensors:
        start = raw.data_start + tensor.start
        wide = _widened(tensor, content[start : start + tensor.bytes], own, shape)
        weights.append(wide)
        if tensor.name.startswith("blk.0."):
            part = tensor.name.removeprefix("blk.0.")
            weights += [wide._replace(name=f"blk.{n}.{part}", data=b"") for n in range(own_blocks, shape.blocks)]
    return _gguf(target, keys, weights)


class _Weights(NamedTuple):
    """A tensor of F32: its shape in GGUF's order, and the bytes before its last zeros."""

    name: str
    shape: tuple[int, ...]
    data: bytes

    @property
    def size(self) -> int:
        return 4 * prod(self.shape)


def _widened(tensor: Tensor, data: bytes, own: int, shape: Shape) -> _Weights:
    """Put zeros after each row, and after the last, up to the new shape.

    Norms make up for the mean of squares, which the zeros make smaller.
    """
    if len(tensor.shape) == 1:
        scale = sqrt(own / shape.embedding)
        data = array("f", [scale * weight for weight in array("f", data)]).tobytes()
        return _Weights(tensor.name, (shape.embedding,), data)
    lengths = {"": 0, "embedding": shape.embedding, "feed_forward": shape.feed_forward}
    part = tensor.name.removesuffix(".weight").rpartition(".")[2]
    old_columns, old_rows = tensor.shape
    columns, rows = (lengths[of] or old for of, old in zip(_DIMENSIONS[part], tensor.shape, strict=True))
    zeros = bytes(4 * (columns - old_columns))
    step = 4 * old_columns
    data = b"".join(data[step * row : step * (row + 1)] + zeros for row in range(old_rows))
    return _Weights(tensor.name, (columns, rows), data)


def _gguf(target: Path, keys: dict[str, bytes], weights: list[_Weights]) -> SparseFile:
    """Lay out a GGUF file of version 3 (ggml's `docs/gguf.md`)."""
    header = b"GGUF" + struct.pack("<IQQ", 3, len(weights), len(keys))
    header += b"".join(_text(key) + value for key, value in keys.items())
    starts, end = [], 0
    for tensor in weights:
        dimensions = len(tensor.shape)
        header += _text(tensor.name) + struct.pack(f"<I{dimensions}QIQ", dimensions, *tensor.shape, _F32, end)
        starts.append(end)
        end += padded(tensor.size)
    first = padded(len(header))
    placed = [(first + start, tensor.data) for start, tensor in zip(starts, weights, strict=True)]
    return SparseFile(target, ((0, header), *placed), first + end)


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _typed(number: float) -> bytes:
    """Return a value as GGUF has it after a key: the number of its type, here u32 or f32, and the value."""
    return struct.pack("<II", 4, number) if isinstance(number, int) else struct.pack("<If", 6, number)


# A large file that holds little --------------------------------------------------------------------------------------


def _allow_holes(file: BinaryIO) -> None:
    """Windows gives a file holes only if it is asked to; where it cannot, it writes zeros."""
    if sys.platform == "win32":
        import msvcrt

        handle, size = ctypes.c_void_p(msvcrt.get_osfhandle(file.fileno())), ctypes.c_ulong()
        ctypes.windll.kernel32.DeviceIoControl(handle, SET_SPARSE, None, 0, None, 0, ctypes.byref(size), None)


@dataclass(frozen=True)
class SparseFile:
    """A large file that holds little, and what it should hold: some pieces, and zeros between and after them.

    It is written with holes where the file system has them: it takes no more room than its pieces.
    """

    path: Path
    pieces: tuple[tuple[int, bytes], ...]
    """Where each begins, in ascending order, and its bytes."""
    size: int

    def make(self) -> Path:
        """Write the file unless it is there, whole; return its path. Raises OSError.

        Other programs see all or nothing of it, also if they make it at the same time.
        """
        if self.is_whole:
            return self.path
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f"{self.path.stem}.", suffix=".part", dir=self.path.parent)
        part = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                self._write(file)
            if not self.is_whole:  # another window may have made it meanwhile, and loaded it
                part.replace(self.path)
        except PermissionError:
            if not self.is_whole:  # Windows replaces no file that another window, which has just made it, reads
                raise
        finally:
            part.unlink(missing_ok=True)
        return self.path

    @property
    def is_whole(self) -> bool:
        """Whether the file is there, with this size and these pieces."""
        try:
            with self.path.open("rb") as file:
                return self.path.stat().st_size == self.size and all(
                    file.seek(start) == start and file.read(len(data)) == data for start, data in self.pieces
                )
        except OSError:
            return False

    def _write(self, file: BinaryIO) -> None:
        _allow_holes(file)
        for start, data in self.pieces:
            file.seek(start)
            file.write(data)
        file.truncate(self.size)
