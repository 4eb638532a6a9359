"""Writes GGUF models of one layer that have a real tokenizer, any chat template, and say what they are told to.

The attention and the feed-forward layer are zero, so that each token alone decides the next one: a chain of tokens,
each of which may occur once.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np

from baton_reasoning.core.models.gguf_format import read_raw
from tests.core.models.gguf_builder import TensorSpec, gguf_bytes

WIDTH = 64
USER_DEFINED = 4
ARRAY = 9


def tokenizer_of(path: Path) -> dict[str, Any]:
    """Read the tokenizer's keys of a GGUF file as `gguf_bytes` takes them, without its chat template."""
    places = {key: place for key, place in read_raw(path).places.items() if key.startswith("tokenizer.")}
    places.pop("tokenizer.chat_template", None)
    with path.open("rb") as file:
        data = file.read(max(place.stop for place in places.values()))
    keys: dict[str, Any] = {
        key: (struct.unpack_from("<I", data, place.start)[0], data[place.start + 4 : place.stop])
        for key, place in places.items()
    }
    return {**keys, "tokenizer.ggml.tokens": list(_texts(keys["tokenizer.ggml.tokens"][1]))}


def _texts(array: bytes) -> Iterator[str]:
    (count,) = struct.unpack_from("<Q", array, 4)
    place = 12
    for _ in range(count):
        (length,) = struct.unpack_from("<Q", array, place)
        place += 8 + length
        yield array[place - length : place].decode()


def with_tokens(tokenizer: Mapping[str, Any], tokens: Sequence[str], kind: int = USER_DEFINED) -> dict[str, Any]:
    """Add tokens of one type to a byte-pair vocabulary."""
    texts = tokenizer["tokenizer.ggml.tokens"]
    types = tokenizer["tokenizer.ggml.token_type"][1][12:]
    added = struct.pack(f"<{len(tokens)}i", *[kind] * len(tokens))
    head = struct.pack("<IQ", 5, len(texts) + len(tokens))
    return {
        **tokenizer,
        "tokenizer.ggml.tokens": [*texts, *tokens],
        "tokenizer.ggml.token_type": (ARRAY, head + types + added),
    }


def write_scripted(
    path: Path, tokenizer: Mapping[str, Any], template: str, texts: Sequence[str] = (), spread: float = 0.0
) -> Path:
    """Write a model that says `texts` after the first of them, each in tokens that occur once, and then ends.

    A text that is one token of the vocabulary may be a control token. `spread`: the standard deviation of the logits of
    a model that says anything instead.
    """
    vocabulary = tokenizer["tokenizer.ggml.tokens"]
    values: dict[str, Any] = {
        "general.architecture": "llama",
        "general.name": path.stem,
        "llama.context_length": 4096,
        "llama.embedding_length": WIDTH,
        "llama.block_count": 1,
        "llama.feed_forward_length": WIDTH,
        "llama.attention.head_count": 1,
        "llama.attention.layer_norm_rms_epsilon": 1e-6,
        "llama.rope.dimension_count": WIDTH,
        **tokenizer,
    }
    if template:
        values["tokenizer.chat_template"] = template
    square = (WIDTH, WIDTH)
    table = (WIDTH, len(vocabulary))
    tensors = [TensorSpec("token_embd.weight", table), TensorSpec("output.weight", table)]
    tensors += [TensorSpec(f"{name}.weight", (WIDTH,)) for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm")]
    names = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
    tensors += [TensorSpec(f"blk.0.{name}.weight", square) for name in names]
    data = bytearray(gguf_bytes(values, tensors=tensors))
    start = len(data) - sum(-(-tensor.bytes // 32) * 32 for tensor in tensors)
    path.write_bytes(data)
    chain = _chain(path, texts) if texts else []
    random = np.random.default_rng(0)
    embedding = random.standard_normal((len(vocabulary), WIDTH), dtype=np.float32)
    embedding /= np.sqrt((embedding**2).mean(axis=1, keepdims=True))
    output = np.zeros_like(embedding)
    if spread:
        output += random.standard_normal(output.shape, dtype=np.float32) * np.float32(spread / WIDTH**0.5)
    for one, following in pairwise(chain):
        output[following] += embedding[one]
    norms = np.ones(3 * WIDTH, dtype=np.float32)
    with path.open("r+b") as file:
        file.seek(start)
        file.write(embedding.tobytes() + output.tobytes() + norms.tobytes())
    return path


def _chain(path: Path, texts: Sequence[str]) -> list[int]:
    """Tokenize the texts, control tokens included, and end with the end of the text."""
    model = llama_cpp.Llama(str(path), vocab_only=True, verbose=False)
    try:
        chain = [id for text in texts for id in model.tokenize(text.encode(), add_bos=False, special=True)]
        chain.append(model.token_eos())
    finally:
        model.close()
    assert len(set(chain)) == len(chain), "each token has one that follows"
    return chain
