"""Reads what a GGUF file says about its model: `read_header(path)`.

A reader of our own, because a header is read in milliseconds without native code and without the weights: the library
lists a folder of models, and a file that is broken, truncated or of no use is refused with a reason. llama.cpp, which
loads a model or ends its process, never sees such a file; the `gguf` package maps the whole file and trusts its counts.
Whether llama.cpp knows the architecture shows when the model is loaded.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from baton_reasoning.core.errors import ModelFileError
from baton_reasoning.core.models.gguf_format import (
    FILE_TYPES,
    Keys,
    LongArray,
    RawHeader,
    Tensor,
    Value,
    read_raw,
    shards_of,
)
from baton_reasoning.core.models.ollama import OWN_ARCHITECTURES, offer, shown_name
from baton_reasoning.core.models.thinking_tags import ThinkingTags, tags_in
from baton_reasoning.resources import resource_table

MAX_BLOCKS = 10_000

_BLOCK_NAME = re.compile(r"blk\.(\d+)\.")


@dataclass(frozen=True)
class Block:
    """One block: bytes of its tensors, elements of keys and values per token, bytes of its recurrent state."""

    tensor_bytes: int
    cache_elements: int
    state_bytes: int = 0


@dataclass(frozen=True)
class ModelShape:
    """The sizes of a model that decide its memory: in bytes, lengths in tokens or elements."""

    tensor_bytes: int
    blocks: tuple[Block, ...]
    token_embedding_bytes: int
    output_is_tied: bool
    """The output layer reuses the token embedding."""
    embedding_length: int
    feed_forward_length: int
    vocabulary_size: int
    head_count: int = 0
    """0 where it is not known: then flash attention has to be taken for granted."""
    context_length: int = 0
    """Tokens the model was trained for; 0 where it is not known."""


@dataclass(frozen=True, kw_only=True)
class GgufHeader(ModelShape):
    """One model on disk. Source: llama.cpp's GGUF keys."""

    path: Path
    """The file to load; of a model in several files, the first."""
    shards: tuple[Path, ...]
    """All its files in order; one, unless the model is split."""
    file_bytes: int
    architecture: str
    name: str
    quantisation: str
    """As people say it: “Q4_K_M”."""
    licence: str
    """Empty where the file does not say it."""
    parameters: int
    idle_expert_bytes: int
    """Tensor bytes of the experts that the router does not choose for a token."""
    vocabulary_hash: str
    """SHA-256 over tokenizer model, pre-tokenizer, tokens and merges: equal means token ids mean the same."""
    add_space_prefix: bool
    chat_template: str
    """Empty where the file has none."""
    supports_truncation: bool

    @property
    def thinking_tags(self) -> ThinkingTags | None:
        """Guessed from the chat template."""
        return tags_in(self.chat_template)

    @property
    def block_count(self) -> int:
        return len(self.blocks)

    @property
    def active_bytes(self) -> int:
        """Bytes that the decode of a token reads: not the embeddings of other tokens, nor the experts not chosen."""
        return self.tensor_bytes - self.idle_expert_bytes - (0 if self.output_is_tied else self.token_embedding_bytes)


def read_header(path: Path) -> GgufHeader:
    """Read the header of a model from any one of its files.

    Raises ModelFileError if the file is no GGUF, damaged, cut short, of an architecture that cannot write text, without
    tensors, or if one of its parts is missing.
    """
    shards = shards_of(path)
    raws = [read_raw(shard) for shard in shards]
    _check_parts(shards, raws)
    path, values = shards[0], raws[0].values
    tensors = [tensor for raw in raws for tensor in raw.tensors]
    keys = Keys(path, values)
    architecture = keys.get("general.architecture", "")
    _check_it_writes(path, architecture, tensors)
    of_model = Keys(path, values, prefix=f"{architecture}.")
    numbers = of_model.all_wholes()
    vocabulary_size, vocabulary_hash = _vocabulary(keys)
    parameters = sum(tensor.elements for tensor in tensors)
    embedding = of_model.get("embedding_length", 0)
    heads = max(of_model.wholes("attention.head_count"), default=0)
    return GgufHeader(
        path=path,
        shards=shards,
        file_bytes=sum(raw.data_end for raw in raws),
        architecture=architecture,
        name=keys.get("general.name", "") or shown_name(path.with_suffix("")),
        quantisation=_quantisation(keys.get("general.file_type", -1), tensors),
        licence=keys.get("general.license", ""),
        parameters=parameters,
        tensor_bytes=sum(tensor.bytes for tensor in tensors),
        blocks=_blocks(architecture, of_model, tensors, heads, embedding),
        token_embedding_bytes=sum(tensor.bytes for tensor in tensors if tensor.name == "token_embd.weight"),
        output_is_tied=all(tensor.name != "output.weight" for tensor in tensors),
        idle_expert_bytes=_idle_expert_bytes(tensors, numbers),
        context_length=of_model.get("context_length", 0),
        embedding_length=embedding,
        feed_forward_length=max(of_model.wholes("feed_forward_length"), default=0),
        head_count=heads,
        vocabulary_size=vocabulary_size,
        vocabulary_hash=vocabulary_hash,
        # llama.cpp's default (llama_vocab::impl::load): SentencePiece models of the Llama 2 kind have the prefix.
        add_space_prefix=keys.get("tokenizer.ggml.add_space_prefix", keys.get("tokenizer.ggml.model", "") == "llama"),
        chat_template=keys.get("tokenizer.chat_template", ""),
        supports_truncation=supports_truncation(architecture, numbers),
    )


def _check_parts(shards: tuple[Path, ...], raws: list[RawHeader]) -> None:
    for position, (shard, raw) in enumerate(zip(shards, raws, strict=True)):
        keys = Keys(shard, raw.values)
        count, number = keys.get("split.count", 1), keys.get("split.no", position)
        if count not in (len(shards), 0) or number != position:
            raise ModelFileError(
                f"{shard.name} is part {number + 1} of {count} inside, but its name says "
                f"{position + 1} of {len(shards)}.",
                "Give all parts back the names under which they were published.",
            )


def _check_it_writes(path: Path, architecture: str, tensors: list[Tensor]) -> None:
    if KINDS.get(architecture) == "no-writer":
        raise ModelFileError(
            f"{shown_name(path)} is a {architecture} model, a kind that cannot write text step by step.",
            "Choose a text model.",
        )
    if architecture in OWN_ARCHITECTURES:
        raise ModelFileError(
            f"{shown_name(path)} has the architecture {architecture}, which only Ollama loads.",
            offer(path) or "Choose another conversion of the model.",
        )
    if not architecture:
        raise ModelFileError(
            f"{shown_name(path)} does not name its architecture.", "Choose another conversion of the model."
        )
    if not tensors:
        raise ModelFileError(
            f"{shown_name(path)} holds only a vocabulary: it has no tensors.",
            "Choose the file with the model itself.",
        )


def _quantisation(file_type: int, tensors: Iterable[Tensor]) -> str:
    if file_type in FILE_TYPES:
        return FILE_TYPES[file_type]
    bytes_by_type: Counter[str] = Counter()
    for tensor in tensors:
        bytes_by_type[tensor.type.name] += tensor.bytes
    return bytes_by_type.most_common(1)[0][0]


def _idle_expert_bytes(tensors: Iterable[Tensor], numbers: Mapping[str, int]) -> int:
    experts, used = numbers.get("expert_count", 0), numbers.get("expert_used_count", 0)
    size = sum(tensor.bytes for tensor in tensors if "_exps." in tensor.name)
    return size * (experts - used) // experts if experts >= used > 0 else 0


# Vocabulary --------------------------------------------------------------------------------------------------------


def _vocabulary(keys: Keys) -> tuple[int, str]:
    """Return the size and the hash of a model's vocabulary. Raises ModelFileError if the file has none."""
    count, tokens = _strings(keys.values.get("tokenizer.ggml.tokens"))
    if not count:
        raise ModelFileError(f"{shown_name(keys.path)} has no vocabulary.", "Choose another conversion of the model.")
    _, merges = _strings(keys.values.get("tokenizer.ggml.merges"))
    digest = hashlib.sha256()
    for part in (
        keys.get("tokenizer.ggml.model", "").encode(),
        keys.get("tokenizer.ggml.pre", "").encode(),
        _without_padding(count, tokens),
        merges,
    ):
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return count, digest.hexdigest()


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


def _stored(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


# Blocks ------------------------------------------------------------------------------------------------------------

# Every how many blocks one attends, in hybrids that do not say it by their KV heads.
_ATTENTION_INTERVAL = {"minimax-01": 8, "qwen35": 4, "qwen35moe": 4, "qwen3next": 4, "qwen4exp": 4}
_BOTH_IN_EACH_BLOCK = frozenset({"falcon-h1"})
_GEMMA3N_BLOCKS_WITH_CACHE = 20


def _blocks(architecture: str, keys: Keys, tensors: Iterable[Tensor], heads: int, embedding: int) -> tuple[Block, ...]:
    """Derive what each block keeps in memory, as llama.cpp does for each architecture."""
    count = keys.get("block_count", 0)
    if count > MAX_BLOCKS:
        raise ModelFileError(f"{shown_name(keys.path)} is damaged: it claims {count:,} blocks.", "Download it again.")
    numbers = keys.all_wholes()
    sizes = _tensor_bytes_by_block(tensors, count)
    kv_heads = _kv_heads(architecture, keys, count, heads)
    cache = _cache_elements(keys, numbers, kv_heads, embedding // heads if heads else 0)
    # Later blocks reuse the cache of earlier ones.
    with_cache = count - numbers.get("attention.shared_kv_layers", 0)
    if architecture == "gemma3n":
        with_cache = _GEMMA3N_BLOCKS_WITH_CACHE
    state = 0 if supports_truncation(architecture, numbers) else _state_bytes(numbers, embedding, heads)
    in_each = architecture in _BOTH_IN_EACH_BLOCK
    return tuple(
        Block(
            tensor_bytes=sizes[number],
            cache_elements=cache[number] if number < with_cache else 0,
            state_bytes=state if in_each or not kv_heads[number] else 0,
        )
        for number in range(count)
    )


def _tensor_bytes_by_block(tensors: Iterable[Tensor], count: int) -> list[int]:
    sizes = [0] * count
    for tensor in tensors:
        match = _BLOCK_NAME.match(tensor.name)
        if match and len(match[1]) < 6 and int(match[1]) < count:
            sizes[int(match[1])] += tensor.bytes
    return sizes


def _kv_heads(architecture: str, keys: Keys, count: int, heads: int) -> list[int]:
    """Return the KV heads of each block; 0 where a block does not attend."""
    if KINDS.get(architecture) == "recurrent":
        return [0] * count
    named = keys.wholes("attention.head_count_kv", default=heads)
    found = [*named, *[0] * count][:count] if len(named) > 1 else [*named] * count
    if architecture not in _ATTENTION_INTERVAL:
        return found
    every = keys.get("full_attention_interval", _ATTENTION_INTERVAL[architecture])
    return [kv if every and (number + 1) % every == 0 else 0 for number, kv in enumerate(found)]


def _cache_elements(keys: Keys, numbers: Mapping[str, int], kv_heads: list[int], head_length: int) -> list[int]:
    """Return the elements of keys and values that each block keeps for each token."""
    key = keys.get("attention.key_length", head_length)
    value = keys.get("attention.value_length", head_length)
    key_in_window = numbers.get("attention.key_length_swa", key)
    value_in_window = numbers.get("attention.value_length_swa", value)
    if "attention.key_length_mla" in numbers:  # latent attention: the values are read out of the keys
        value = value_in_window = 0
    pattern = keys.values.get(f"{keys.prefix}attention.sliding_window_pattern")
    slides = [*pattern] if isinstance(pattern, tuple) else []  # else the file does not say it block by block
    slides += [False] * len(kv_heads)
    lengths = [key_in_window + value_in_window if each else key + value for each in slides]
    return [heads * length for heads, length in zip(kv_heads, lengths, strict=False)]


def _state_bytes(numbers: Mapping[str, int], embedding: int, heads: int) -> int:
    """Return the bytes of one block's recurrent state for one sequence: `n_embd_r` and `n_embd_s`, in F32."""
    if head := numbers.get("wkv.head_size", 0):
        elements = numbers.get("token_shift_count", 2) * embedding + embedding * head
    elif cached := numbers.get("shortconv.l_cache", 0):
        elements = embedding * (cached - 1)
    elif head := numbers.get("kda.head_dim", 0):
        kernel = numbers.get("ssm.conv_kernel", 4)
        elements = 3 * max(kernel - 1, 0) * heads * head + head * head * heads
    else:
        inner, state = numbers.get("ssm.inner_size", 0), numbers.get("ssm.state_size", 0)
        groups, kernel = numbers.get("ssm.group_count", 0), numbers.get("ssm.conv_kernel", 0)
        elements = max(kernel - 1, 0) * (inner + 2 * groups * state) + state * inner
    return 4 * elements


# Architectures -----------------------------------------------------------------------------------------------------

KINDS = dict(resource_table("tables/architectures.txt"))
"""What sets an architecture apart from most: "recurrent", "hybrid" or "no-writer"."""

_STATE_KEYS = ("ssm.", "wkv.", "shortconv.", "kda.")
"""Keys that only models with a recurrent state have: for architectures that are newer than the table."""


def supports_truncation(architecture: str, numbers: Iterable[str] = ()) -> bool:
    """Return whether the KV cache can be truncated to an earlier token; otherwise snapshots are needed.

    `numbers`: the names of the model's own keys, where its header is known.
    """
    keeps_state = KINDS.get(architecture) in ("recurrent", "hybrid")
    return not keeps_state and not any(key.startswith(_STATE_KEYS) for key in numbers)
