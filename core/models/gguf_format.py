"""Parses a GGUF file up to its tensor data: keys, values and tensor descriptions, without their meaning.

Every length is checked against the file before it is used, and at most `MAX_HEADER_BYTES` are ever read: a broken or
hostile file costs an error message, not memory. Format: ggml's `docs/gguf.md`, versions 2 and 3.
"""

from __future__ import annotations

import re
import stat
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple, NoReturn, TypeVar

from baton_reasoning.core.errors import ModelFileError
from baton_reasoning.core.models.ollama import shown_name
from baton_reasoning.resources import resource_table


class TensorType(NamedTuple):
    """`block` elements are stored together in `size` bytes (ggml's `blck_size` and `type_size`)."""

    name: str
    block: int
    size: int


TENSOR_TYPES = {
    int(number): TensorType(name, int(block), int(size))
    for number, name, block, size in resource_table("tables/tensor_types.txt")
}
"""By ggml's numbers."""

FILE_TYPES = {int(number): name for number, name in resource_table("tables/file_types.txt")}
"""The quantisation of a whole file, by llama.cpp's numbers."""

_MORE_NAMES = {"BF16", "F16", "F32", "FP16", "MXFP4", "Q4_K", "Q5_K"}
_NAMES = sorted({name.upper() for name in FILE_TYPES.values()} | _MORE_NAMES, key=len)
_LABEL = re.compile(rf"(?:^|[-_.])((?:UD-)?(?:{'|'.join(map(re.escape, reversed(_NAMES)))})(?:_X?L)?)(?=[-_.]|$)", re.I)


def label_of(path: str) -> str:
    """Find the quantisation in the path of a GGUF file, “Q4_K_M”; the file's name if it names none."""
    name = PurePosixPath(path).stem
    labels = _LABEL.findall(name) or _LABEL.findall(str(PurePosixPath(path).parent))
    return str(labels[-1]).upper() if labels else name


MAX_HEADER_BYTES = 96 * 2**20  # a vocabulary of 262,144 tokens takes 8 MiB
MAX_KEYS = 2000  # real files have fewer than 100
MAX_TENSORS = 100_000
MAX_KEY_BYTES = 2**16 - 1
MAX_TENSOR_NAME_BYTES = 63  # ggml's GGML_MAX_NAME, less the closing zero
MAX_STRING_BYTES = 2**20
MAX_LISTED_ELEMENTS = 1024  # arrays up to this length become tuples; longer ones stay bytes
MAX_DIMENSIONS = 4
ALIGNMENT = 32  # bytes, of tensors, unless a file names another
SUPPORTED_VERSIONS = (2, 3)

_CHUNK = 2**20
_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")
_STRING, _ARRAY = 8, 9
_SCALARS = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    7: struct.Struct("<?"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}

Scalar = bool | int | float | str


@dataclass(frozen=True)
class LongArray:
    """An array too long to list: its element count and its bytes in the file (strings after their length)."""

    count: int
    data: bytes


Value = Scalar | tuple[Scalar, ...] | LongArray


class Tensor(NamedTuple):
    name: str
    elements: int
    bytes: int
    type: TensorType
    shape: tuple[int, ...]
    """Lengths of its dimensions, the one whose elements lie side by side first."""
    start: int
    """Where it begins after `data_start`, in bytes."""


@dataclass(frozen=True)
class RawHeader:
    """The content of a header, uninterpreted. `data_end` is the length in bytes that the file must have."""

    values: dict[str, Value]
    tensors: tuple[Tensor, ...]
    data_start: int
    data_end: int
    places: dict[str, slice]
    """Where the value of each key lies in the file, with its type before it."""


def read_raw(path: Path) -> RawHeader:
    """Read keys and tensor descriptions of one file.

    Raises ModelFileError if it is no GGUF file, is of another version, is damaged, or is cut short.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a FIFO would wait for a writer
            raise ModelFileError(f"{path} is not a file.", "Choose a GGUF file.")
        with path.open("rb") as file:
            return _Reader(path, file, status.st_size).read()
    except OSError as error:
        raise ModelFileError(
            f"{shown_name(path)} cannot be read: {error.strerror or error}.",
            "Check that the file is still there and that you may read it.",
        ) from error


class _Reader:
    def __init__(self, path: Path, file: BinaryIO, size: int) -> None:
        self.path, self.file, self.size = path, file, size
        self.buffer = bytearray()
        self.position = 0

    def read(self) -> RawHeader:
        self._check_magic()
        tensor_count, key_count = self._count(MAX_TENSORS, "tensors"), self._count(MAX_KEYS, "keys")
        values: dict[str, Value] = {}
        places: dict[str, slice] = {}
        for _ in range(key_count):
            key = self._string(MAX_KEY_BYTES)
            if not key or key in values:
                self._broken(f"the key “{key[:80]}” is empty or there twice")
            start = self.position
            kind = self._u32()
            values[key] = self._array() if kind == _ARRAY else self._scalar(kind)
            places[key] = slice(start, self.position)
        alignment = values.get("general.alignment", ALIGNMENT)
        if type(alignment) is not int or alignment <= 0 or alignment & (alignment - 1):
            self._broken("its alignment is not a power of two")
        tensors, data_size = self._tensors(tensor_count, alignment)
        data_start = padded(self.position, alignment) if tensors else self.position
        data_end = data_start + data_size
        if data_end > self.size:
            self._cut_short(data_end)
        return RawHeader(values, tensors, data_start, data_end, places)

    def _check_magic(self) -> None:
        head = self.file.read(512)
        if head[:4] != b"GGUF":
            raise ModelFileError(
                f"{shown_name(self.path)} is not a GGUF file: it {_looks_like(head)}.",
                "Choose a model in GGUF format, or download the file again.",
            )
        self.buffer += head
        self.position = 4
        version = self._u32()
        if version not in SUPPORTED_VERSIONS:
            raise ModelFileError(
                f"{shown_name(self.path)} has GGUF version {version}, "
                "and versions 2 and 3 (little-endian) can be loaded.",
                "Download a current conversion of the model.",
            )

    def _tensors(self, count: int, alignment: int) -> tuple[tuple[Tensor, ...], int]:
        tensors: dict[str, Tensor] = {}
        end = 0
        for _ in range(count):
            name = self._string(MAX_TENSOR_NAME_BYTES)
            dimensions = self._u32()
            if name in tensors or dimensions > MAX_DIMENSIONS:
                self._broken(f"the tensor “{name[:80]}” is there twice or has more than four dimensions")
            shape = [self._u64() for _ in range(dimensions)]
            kind = TENSOR_TYPES.get(self._u32())
            offset = self._u64()
            if kind is None:
                self._broken(f"the tensor “{name[:80]}” has a type that this version does not know")
            if (shape or [1])[0] % kind.block:
                self._broken(f"the rows of the tensor “{name[:80]}” do not fit its type")
            elements = 1
            for length in shape:
                elements *= length
            if elements >= 2**63 or offset != end:
                self._broken(f"the tensor “{name[:80]}” has an impossible size or place")
            size = elements // kind.block * kind.size
            end = offset + padded(size, alignment)
            tensors[name] = Tensor(name, elements, size, kind, tuple(shape), offset)
        # The file need not carry the padding after its last tensor.
        last = next(reversed(tensors.values()), None)
        return tuple(tensors.values()), end - (padded(last.bytes, alignment) - last.bytes) if last else 0

    def _scalar(self, kind: int) -> Scalar:
        if kind == _STRING:
            return self._string(MAX_STRING_BYTES)
        form = _SCALARS.get(kind)
        if form is None:
            self._broken(f"a value has the unknown type {kind}")
        start = self._take(form.size)
        value: Scalar = form.unpack_from(self.buffer, start)[0]
        return value

    def _array(self) -> Value:
        kind, count = self._u32(), self._u64()
        if kind == _ARRAY or (kind != _STRING and kind not in _SCALARS):
            self._broken(f"an array has elements of the unknown type {kind}")
        smallest = 8 if kind == _STRING else _SCALARS[kind].size
        if count * smallest > self.size - self.position:
            self._broken(f"an array claims {count:,} elements, more than the file can hold")
        start = self.position
        if count <= MAX_LISTED_ELEMENTS:
            return tuple(self._scalar(kind) for _ in range(count))
        if kind == _STRING:
            self._skip_strings(count)
        else:
            self._take(count * smallest)
        return LongArray(count, bytes(self.buffer[start : self.position]))

    def _skip_strings(self, count: int) -> None:
        # The one hot loop: a vocabulary has up to a million strings, so it works on locals.
        unpack, buffer, position = _U64.unpack_from, self.buffer, self.position
        last_length = len(buffer) - 8
        for _ in range(count):
            if position > last_length:
                self._load(position + 8)
                last_length = len(buffer) - 8
            position += 8 + unpack(buffer, position)[0]
        self._load(position)
        self.position = position

    def _string(self, limit: int) -> str:
        length = self._u64()
        if length > limit:
            self._broken(f"a text claims {length:,} bytes, more than the {limit:,} allowed")
        start = self._take(length)
        return self.buffer[start : start + length].decode("utf-8", errors="replace")

    def _count(self, limit: int, of_what: str) -> int:
        count = self._u64()
        if count > limit:
            self._broken(f"it claims {count:,} {of_what}")
        return count

    def _u32(self) -> int:
        value: int = _U32.unpack_from(self.buffer, self._take(4))[0]
        return value

    def _u64(self) -> int:
        value: int = _U64.unpack_from(self.buffer, self._take(8))[0]
        return value

    def _take(self, count: int) -> int:
        """Move past `count` bytes, which are then in the buffer; return where they start."""
        start = self.position
        end = start + count
        if end > len(self.buffer):
            self._load(end)
        self.position = end
        return start

    def _load(self, end: int) -> None:
        if end > self.size:
            self._broken(f"it ends inside its header, after {self.size:,} bytes")
        if end > MAX_HEADER_BYTES:
            self._broken(f"its header is longer than {MAX_HEADER_BYTES // 2**20} MiB")
        while len(self.buffer) < end:
            chunk = self.file.read(max(_CHUNK, end - len(self.buffer)))
            if not chunk:
                self._broken("it became shorter while it was read")
            self.buffer += chunk

    def _cut_short(self, needed: int) -> NoReturn:
        raise ModelFileError(
            f"{shown_name(self.path)} is cut short: it has {self.size:,} bytes and its tensors need {needed:,}.",
            "The download did not finish: continue it, or download the file again.",
        )

    def _broken(self, reason: str) -> NoReturn:
        raise ModelFileError(f"{shown_name(self.path)} is damaged: {reason}.", "Download the file again.")


def padded(size: int, alignment: int = ALIGNMENT) -> int:
    """Return the next multiple of `alignment`."""
    return (size + alignment - 1) // alignment * alignment


def _looks_like(head: bytes) -> str:
    if not head.strip(b"\0"):
        return "is empty, or a download that has not been written yet"
    if head.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer, a note of where the real file lies"
    if head.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return "is a web page, perhaps an error message instead of the download"
    return "begins with other bytes than “GGUF”"


_Known = TypeVar("_Known", str, bool, int)
_EXPECTED = {str: "text", bool: "yes or no", int: "a whole number"}


@dataclass(frozen=True)
class Keys:
    """Values under one prefix (“llama.”). Each method raises ModelFileError on a value of the wrong type."""

    path: Path
    values: Mapping[str, Value]
    prefix: str = ""

    def get(self, key: str, default: _Known) -> _Known:
        """Return the value of a key, which has the type of `default`; that is returned if the key is missing."""
        value = self.values.get(self.prefix + key)
        if value is None:
            return default
        if isinstance(value, type(default)) and not (isinstance(value, int) and value < 0):
            return value
        raise self._wrong(key, _EXPECTED[type(default)])

    def wholes(self, key: str, default: int = 0) -> tuple[int, ...]:
        """Return one number for all blocks, or one for each."""
        value = self.values.get(self.prefix + key)
        if not isinstance(value, tuple):
            return (self.get(key, default),)
        numbers = tuple(number for number in value if isinstance(number, int) and number >= 0)
        if len(numbers) == len(value):
            return numbers
        raise self._wrong(key, "a list of whole numbers")

    def all_wholes(self) -> dict[str, int]:
        """Return every whole-number key under the prefix, named without it."""
        return {
            key.removeprefix(self.prefix): value
            for key, value in self.values.items()
            if key.startswith(self.prefix) and isinstance(value, int) and not isinstance(value, bool)
        }

    def _wrong(self, key: str, expected: str) -> ModelFileError:
        return ModelFileError(
            f"{shown_name(self.path)} is damaged: its key “{self.prefix}{key}” is not {expected}.",
            "Download the file again.",
        )


MAX_SHARDS = 1000

_NAME = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf")


def shards_of(path: Path) -> tuple[Path, ...]:
    """List all files of the model that `path` belongs to, in order. Raises ModelFileError if one is missing."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        return (path,)
    number, count = int(match["number"]), int(match["count"])
    if not 1 <= number <= count <= MAX_SHARDS:
        raise ModelFileError(
            f"{path.name} calls itself part {number} of {count}, which cannot be.",
            "Give the file back the name under which it was published.",
        )
    shards = tuple(path.with_name(f"{match['stem']}-{part:05}-of-{count:05}.gguf") for part in range(1, count + 1))
    missing = [shard.name for shard in shards if not shard.exists()]
    if missing:
        others = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ModelFileError(
            f"{path.name} is one of {count} parts, and {missing[0]}{others} is not beside it.",
            "Download the missing parts into the same folder.",
        )
    return shards


def shard_group(path: Path) -> str | None:
    """Return what the names of all parts of one model share; None for a model in one file."""
    match = _NAME.fullmatch(path.name)
    return f"{match['stem']} of {match['count']}" if match else None
