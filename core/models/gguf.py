"""Reads what a GGUF file says about its model: `read_header(path)`.

A reader of our own, because a header is read in milliseconds without native code and without the weights: the library
lists a folder of models, and a file that is broken, cut short or unsupported is refused with a reason. llama.cpp, which
loads a model or ends its process, never sees such a file; the `gguf` package maps the whole file and trusts its counts.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
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
from baton_reasoning.core.models.options import KNOWN_TAGS, ThinkingTags, tags_in

MAX_TEMPLATE_CHARACTERS = 2**18
MAX_BLOCKS = 10_000

_BLOCK_NAME = re.compile(r"blk\.(\d+)\.")


@dataclass(frozen=True)
class GgufHeader:
    """One model on disk. Sizes in bytes, lengths in tokens or elements; source: llama.cpp's GGUF keys."""

    path: Path
    """The file to load; of a model in several files, the first."""
    shards: tuple[Path, ...]
    """All its files in order; one, unless the model is split."""
    file_bytes: int
    architecture: str
    name: str
    size_label: str
    """As people say it: “1.5B”, “135M”."""
    quantisation: str
    """As people say it: “Q4_K_M”."""
    licence: str | None
    parameters: int
    tensor_bytes: int
    layer_bytes: tuple[int, ...]
    """Tensor bytes of each block."""
    token_embedding_bytes: int
    output_is_tied: bool
    """The output layer reuses the token embedding."""
    expert_bytes: int
    """Tensor bytes of all experts that a router chooses from."""
    context_length: int
    """Tokens the model was trained for; 0 where the file does not say."""
    block_count: int
    embedding_length: int
    feed_forward_length: int
    head_count: int
    head_count_kv: tuple[int, ...]
    """KV heads of each block; 0 where a block keeps no KV cache."""
    key_length: int
    value_length: int
    sliding_blocks: tuple[bool, ...]
    """Whether each block has a sliding window; empty where the file does not say it block by block."""
    vocabulary_size: int
    vocabulary_hash: str
    """SHA-256 over tokenizer model, pre-tokenizer, tokens and merges: equal means token ids mean the same."""
    add_space_prefix: bool
    chat_template: str | None
    thinking_tags: ThinkingTags | None
    """Guessed from the chat template; without one, from the vocabulary."""
    supports_truncation: bool
    numbers: Mapping[str, int] = field(hash=False, repr=False)
    """All whole-number keys of the architecture, without its prefix: “ssm.state_size”."""

    @property
    def active_bytes(self) -> int:
        """Bytes that the decode of a token reads: not the embeddings of other tokens, nor the experts not chosen."""
        experts, used = self.numbers.get("expert_count", 0), self.numbers.get("expert_used_count", 0)
        idle = self.expert_bytes * (experts - used) // experts if experts >= used > 0 else 0
        return self.tensor_bytes - idle - (0 if self.output_is_tied else self.token_embedding_bytes)


def read_header(path: Path) -> GgufHeader:
    """Read the header of a model from any one of its files.

    Raises ModelFileError if the file is no GGUF, damaged, cut short, of an architecture that cannot write text, without
    tensors, or if one of its parts is missing.
    """
    shards = shards_of(path)
    raws = [read_raw(shard) for shard in shards]
    _check_parts(shards, raws)
    tensors = [tensor for raw in raws for tensor in raw.tensors]
    return _interpret(shards, raws[0].values, tensors, sum(raw.data_end for raw in raws))


def _check_parts(shards: tuple[Path, ...], raws: list[RawHeader]) -> None:
    for position, (shard, raw) in enumerate(zip(shards, raws, strict=True)):
        count = raw.values.get("split.count", 1)
        number = raw.values.get("split.no", position)
        if count not in (len(shards), 0) or number != position:
            raise ModelFileError(
                f"{shard.name} is part {_plus_one(number)} of {count} inside, but its name says "
                f"{position + 1} of {len(shards)}.",
                "Give all parts back the names under which they were published.",
            )


def _plus_one(number: Value) -> str:
    return str(number + 1) if isinstance(number, int) else "?"


def _interpret(
    shards: tuple[Path, ...], values: Mapping[str, Value], tensors: list[Tensor], file_bytes: int
) -> GgufHeader:
    path = shards[0]
    keys = Keys(path, values)
    architecture = keys.text("general.architecture") or ""
    _check_it_writes(path, architecture, tensors)
    of_model = Keys(path, values, prefix=f"{architecture}.")
    vocabulary = _vocabulary(path, values)
    template = _chat_template(keys)
    parameters = sum(tensor.elements for tensor in tensors)
    blocks = _block_count(of_model)
    embedding = of_model.whole("embedding_length")
    heads = max(of_model.wholes("attention.head_count", default=0), default=0)
    head_length = embedding // heads if heads else 0
    kv_heads = of_model.wholes("attention.head_count_kv", default=heads)
    names = {tensor.name for tensor in tensors}
    numbers = of_model.all_wholes()
    return GgufHeader(
        path=path,
        shards=shards,
        file_bytes=file_bytes,
        architecture=architecture,
        name=keys.text("general.name") or path.stem,
        size_label=keys.text("general.size_label") or _size_label(parameters),
        quantisation=_quantisation(keys.whole("general.file_type", default=-1), tensors),
        licence=keys.text("general.license"),
        parameters=parameters,
        tensor_bytes=sum(tensor.bytes for tensor in tensors),
        layer_bytes=_layer_bytes(tensors, blocks),
        token_embedding_bytes=sum(tensor.bytes for tensor in tensors if tensor.name == "token_embd.weight"),
        output_is_tied="output.weight" not in names,
        expert_bytes=sum(tensor.bytes for tensor in tensors if "_exps." in tensor.name),
        context_length=of_model.whole("context_length"),
        block_count=blocks,
        embedding_length=embedding,
        feed_forward_length=max(of_model.wholes("feed_forward_length", default=0), default=0),
        head_count=heads,
        head_count_kv=(kv_heads * blocks if len(kv_heads) == 1 else kv_heads)[:blocks],
        key_length=of_model.whole("attention.key_length", default=head_length),
        value_length=of_model.whole("attention.value_length", default=head_length),
        sliding_blocks=_sliding_blocks(of_model),
        vocabulary_size=vocabulary.size,
        vocabulary_hash=vocabulary.hash,
        add_space_prefix=keys.flag("tokenizer.ggml.add_space_prefix"),
        chat_template=template,
        thinking_tags=_thinking_tags(template, vocabulary),
        supports_truncation=supports_truncation(architecture, numbers),
        numbers=numbers,
    )


def _check_it_writes(path: Path, architecture: str, tensors: list[Tensor]) -> None:
    if architecture in NOT_WRITERS:
        raise ModelFileError(
            f"{path.name} is {NOT_WRITERS[architecture]} ({architecture}), which does not write text here.",
            "Choose a text model.",
        )
    if not architecture:
        raise ModelFileError(f"{path.name} does not name its architecture.", "Choose another conversion of the model.")
    if not tensors:
        raise ModelFileError(
            f"{path.name} holds only a vocabulary: it has no tensors.",
            "Choose the file with the model itself.",
        )


def _chat_template(keys: Keys) -> str | None:
    template = keys.text("tokenizer.chat_template")
    if template is not None and len(template) > MAX_TEMPLATE_CHARACTERS:
        raise ModelFileError(
            f"{keys.path.name} carries a chat template of {len(template):,} characters.",
            "Choose another conversion of the model.",
        )
    return template


def _block_count(keys: Keys) -> int:
    blocks = keys.whole("block_count")
    if blocks > MAX_BLOCKS:
        raise ModelFileError(f"{keys.path.name} is damaged: it claims {blocks:,} blocks.", "Download it again.")
    return blocks


def _quantisation(file_type: int, tensors: Iterable[Tensor]) -> str:
    if file_type in FILE_TYPES:
        return FILE_TYPES[file_type]
    bytes_by_type: Counter[str] = Counter()
    for tensor in tensors:
        bytes_by_type[tensor.type.name] += tensor.bytes
    return bytes_by_type.most_common(1)[0][0]


def _size_label(parameters: int) -> str:
    for unit, name in ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "K")):
        if parameters >= unit:
            return f"{parameters / unit:.3g}{name}"
    return str(parameters)


def _layer_bytes(tensors: Iterable[Tensor], blocks: int) -> tuple[int, ...]:
    sizes = [0] * blocks
    for tensor in tensors:
        match = _BLOCK_NAME.match(tensor.name)
        if match and len(match[1]) < 6 and int(match[1]) < blocks:
            sizes[int(match[1])] += tensor.bytes
    return tuple(sizes)


def _sliding_blocks(keys: Keys) -> tuple[bool, ...]:
    value = keys.values.get(f"{keys.prefix}attention.sliding_window_pattern")
    return tuple(bool(flag) for flag in value) if isinstance(value, tuple) else ()


def _thinking_tags(template: str | None, vocabulary: Vocabulary) -> ThinkingTags | None:
    if template is not None:  # a model may share its vocabulary with a thinking sibling, so the tokens do not count
        return tags_in(template)
    known = (tags for tags in KNOWN_TAGS if vocabulary.has(tags.opening) and vocabulary.has(tags.closing))
    return next(known, None)


# Vocabulary --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Vocabulary:
    """A vocabulary with its tokens as the file stores them: each after its length in 8 bytes."""

    size: int
    hash: str
    tokens: bytes

    def has(self, token: str) -> bool:
        return _stored(token.encode()) in self.tokens


def _vocabulary(path: Path, values: Mapping[str, Value]) -> Vocabulary:
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


# Architectures -----------------------------------------------------------------------------------------------------

_RECURRENT = "arwkv7 mamba mamba2 rwkv6 rwkv6qwen2 rwkv7"

_HYBRID = """
    bailingmoe3 deepseek4 falcon-h1 glm5-next granitehybrid jamba kimi-k3 kimi-linear lfm2 lfm2moe minimax-01
    nemotron_h nemotron_h_moe plamo2 qwen35 qwen35moe qwen3next qwen4exp
"""

_EMBEDDING = """
    bert eurobert gemma-embedding jina-bert-v2 jina-bert-v3 llama-embed modern-bert neo-bert nomic-bert
    nomic-bert-moe
"""

_STATE_KEYS = ("ssm.", "wkv.", "shortconv.", "kda.")
"""Keys that only models with a recurrent state have: for those that are newer than the two lists."""

RECURRENT = frozenset(_RECURRENT.split())
"""Their whole memory is one recurrent state, which cannot be truncated to an earlier token."""

HYBRID = frozenset(_HYBRID.split())
"""Some layers attend, some keep a recurrent state: rolled back through snapshots."""

NOT_WRITERS: dict[str, str] = {
    "clip": "the vision part of a model",
    **dict.fromkeys(_EMBEDDING.split(), "an embedding model"),
    **dict.fromkeys(("t5", "t5encoder"), "an encoder-decoder model"),
    **dict.fromkeys(("dream", "llada", "llada-moe", "rnd1"), "a diffusion model"),
    **dict.fromkeys(("pockettts", "qwen3tts", "wavtokenizer-dec"), "a speech model"),
    **dict.fromkeys(("dflash", "eagle3", "gemma4-assistant"), "a drafting head for another model"),
}
"""Architectures that llama.cpp knows and that cannot write a text step by step, with what they are. One that llama.cpp
does not know is refused by llama.cpp itself, when the model is loaded."""


def supports_truncation(architecture: str, numbers: Iterable[str] = ()) -> bool:
    """Return whether the KV cache can be truncated to an earlier token; otherwise snapshots are needed.

    `numbers`: the names of the model's own keys, where its header is known.
    """
    keeps_state = architecture in RECURRENT | HYBRID or any(key.startswith(_STATE_KEYS) for key in numbers)
    return not keeps_state
