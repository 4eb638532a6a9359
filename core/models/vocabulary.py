"""Reads the vocabulary in a GGUF header: its size, whether a token is in it, and a hash of it."""

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.errors import ModelFileError
from core.models.gguf_format import LongArray, Value


@dataclass(frozen=True)
class Vocabulary:
    """A vocabulary with its tokens as the file stores them: each after its length in 8 bytes."""

    size: int
    hash: str
    tokens: bytes

    def has(self, token: str) -> bool:
        return _stored(token.encode()) in self.tokens


def read_vocabulary(path: Path, values: Mapping[str, Value]) -> Vocabulary:
    """Read the vocabulary of a model. Raises ModelFileError if the file has none."""
    count, tokens = _strings(values.get("tokenizer.ggml.tokens"))
    if not count:
        raise ModelFileError(f"{path.name} has no vocabulary.", "Choose another conversion of the model.")
    _, merges = _strings(values.get("tokenizer.ggml.merges"))
    digest = hashlib.sha256()
    for part in (
        _named(values.get("tokenizer.ggml.model")),
        _named(values.get("tokenizer.ggml.pre")),
        _without_padding(count, tokens),
        merges,
    ):
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return Vocabulary(count, digest.hexdigest(), tokens)


def _without_padding(count: int, tokens: bytes) -> bytes:
    """Cut off the unused tokens that converters append.

    Siblings are padded to different lengths (Qwen 1.5B to 151,936, 7B to 152,064), and their ids agree.
    """
    end = len(tokens)
    for number in range(count - 1, -1, -1):
        padding = _stored(f"[PAD{number}]".encode())
        if not tokens.endswith(padding, 0, end):
            break
        end -= len(padding)
    return tokens[:end]


def _strings(value: Value | None) -> tuple[int, bytes]:
    if isinstance(value, LongArray):
        return value.count, value.data
    if isinstance(value, tuple):
        return len(value), b"".join(_stored(str(element).encode()) for element in value)
    return 0, b""


def _named(value: Value | None) -> bytes:
    return value.encode() if isinstance(value, str) else b""


def _stored(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text
