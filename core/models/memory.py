"""Estimates how much memory a model takes when it is loaded.

    memory = tensors + KV cache + recurrent states + compute buffer

KV cache: for each block, cells × (key + value elements) × bytes per element. The program loads with llama.cpp's
`swa_full`, so a sliding-window block keeps every token too, and a text can be cut back anywhere. Compute buffer: one
batch of logits and of hidden states, or of attention scores where flash attention is off (“compute buffer size” in
llama.cpp's log). Within 10% of what llama.cpp allocates.
"""

from __future__ import annotations

from dataclasses import dataclass

from baton_reasoning.core.models.gguf import HYBRID, RECURRENT, GgufHeader
from baton_reasoning.core.models.loading import LoadOptions, Switch

CELL_PADDING = 256  # llama.cpp rounds a context up to this many cells


@dataclass(frozen=True)
class MemoryEstimate:
    """What a loaded model takes, in bytes, part by part."""

    shape: ModelShape
    options: LoadOptions
    """How it is loaded."""
    tensor_bytes: int
    kv_bytes: int
    state_bytes: int
    compute_bytes: int
    block_bytes: tuple[int, ...]
    """Each block with its share of KV cache and states: a GPU may hold some of them."""
    output_bytes: int
    """What a GPU holds before any block: the output layer, with a copy of the token embedding if it is tied."""

    @property
    def total_bytes(self) -> int:
        """Without the margin."""
        return self.tensor_bytes + self.kv_bytes + self.state_bytes + self.compute_bytes


def estimate(model: GgufHeader | ModelShape, options: LoadOptions) -> MemoryEstimate:
    """Estimate what a model takes if it is loaded with these options.

    The model of a header never gets a longer context than it was trained for, as in a local engine.
    """
    if isinstance(model, GgufHeader):
        trained = model.context_length or options.context
        options = options.model_copy(update={"context": min(options.context, trained)})
        shape = shape_of(model)
    else:
        shape = model
    cells = -(-options.context * options.parallel // CELL_PADDING) * CELL_PADDING
    kv = [options.kv_type.bytes_for(cells * block.cache_elements) for block in shape.blocks]
    states = [block.state_bytes * options.parallel for block in shape.blocks]
    outside = max(shape.tensor_bytes - sum(block.tensor_bytes for block in shape.blocks), 0)
    scored_cells = cells if options.flash_attention is Switch.OFF else 0
    return MemoryEstimate(
        shape=shape,
        options=options,
        tensor_bytes=shape.tensor_bytes,
        kv_bytes=sum(kv),
        state_bytes=sum(states),
        compute_bytes=_compute_bytes(shape, min(options.batch, cells), scored_cells),
        block_bytes=tuple(
            block.tensor_bytes + cache + state for block, cache, state in zip(shape.blocks, kv, states, strict=True)
        ),
        output_bytes=outside if shape.output_is_tied else outside - shape.token_embedding_bytes,
    )


def _compute_bytes(shape: ModelShape, batch: int, scored_cells: int) -> int:
    """Return the largest of three moments: logits, feed-forward, and attention with its scores and mask, if any."""
    logits = shape.vocabulary_size + 2 * shape.embedding_length
    feed_forward = 2 * shape.feed_forward_length + 2 * shape.embedding_length
    attention = (shape.head_count + 1) * scored_cells + 5 * shape.embedding_length if scored_cells else 0
    return 4 * batch * max(logits, feed_forward, attention)


@dataclass(frozen=True)
class Block:
    """One block: bytes of its tensors, elements of keys and values per token, bytes of its recurrent state."""

    tensor_bytes: int
    cache_elements: int
    state_bytes: int = 0


@dataclass(frozen=True)
class ModelShape:
    """The sizes of a model that decide its memory: in bytes, lengths in elements."""

    tensor_bytes: int
    blocks: tuple[Block, ...]
    token_embedding_bytes: int
    output_is_tied: bool
    embedding_length: int
    feed_forward_length: int
    vocabulary_size: int
    head_count: int = 0
    """0 where it is not known: then flash attention has to be taken for granted."""


# Every how many blocks one attends, in hybrids that do not say it by their KV heads.
_ATTENTION_INTERVAL = {"minimax-01": 8, "qwen35": 4, "qwen35moe": 4, "qwen3next": 4, "qwen4exp": 4}
_BOTH_IN_EACH_BLOCK = frozenset({"falcon-h1"})
_GEMMA3N_BLOCKS_WITH_CACHE = 20


def shape_of(header: GgufHeader) -> ModelShape:
    """Derive the shape from a header, as llama.cpp does for each architecture."""
    return ModelShape(
        tensor_bytes=header.tensor_bytes,
        blocks=tuple(_block(header, number) for number in range(header.block_count)),
        token_embedding_bytes=header.token_embedding_bytes,
        output_is_tied=header.output_is_tied,
        embedding_length=header.embedding_length,
        feed_forward_length=header.feed_forward_length,
        vocabulary_size=header.vocabulary_size,
        head_count=header.head_count,
    )


def _block(header: GgufHeader, number: int) -> Block:
    attends = _attends(header, number)
    keeps_state = header.architecture in _BOTH_IN_EACH_BLOCK or (
        header.architecture in RECURRENT | HYBRID and not attends
    )
    return Block(
        tensor_bytes=header.layer_bytes[number],
        cache_elements=_cache_elements(header, number) if attends and number < _blocks_with_cache(header) else 0,
        state_bytes=_state_bytes(header) if keeps_state else 0,
    )


def _attends(header: GgufHeader, number: int) -> bool:
    if header.architecture in RECURRENT:
        return False
    if header.architecture in _ATTENTION_INTERVAL:
        interval = header.numbers.get("full_attention_interval", _ATTENTION_INTERVAL[header.architecture])
        return interval > 0 and (number + 1) % interval == 0
    return number < len(header.head_count_kv) and header.head_count_kv[number] > 0


def _blocks_with_cache(header: GgufHeader) -> int:
    """Return how many blocks have a cache of their own; later ones reuse theirs."""
    if header.architecture == "gemma3n":
        return _GEMMA3N_BLOCKS_WITH_CACHE
    return header.block_count - header.numbers.get("attention.shared_kv_layers", 0)


def _cache_elements(header: GgufHeader, number: int) -> int:
    """Return the elements of keys and values that an attending block keeps for each token."""
    key_length, value_length = header.key_length, header.value_length
    if number < len(header.sliding_blocks) and header.sliding_blocks[number]:
        key_length = header.numbers.get("attention.key_length_swa", key_length)
        value_length = header.numbers.get("attention.value_length_swa", value_length)
    if "attention.key_length_mla" in header.numbers:
        value_length = 0  # latent attention: the values are read out of the keys
    kv_heads = header.head_count_kv[number] if number < len(header.head_count_kv) else 0
    return kv_heads * (key_length + value_length)


def _state_bytes(header: GgufHeader) -> int:
    """Return the bytes of one block's recurrent state for one sequence: `n_embd_r` and `n_embd_s`, in F32."""
    numbers, embedding = header.numbers, header.embedding_length
    if head := numbers.get("wkv.head_size", 0):
        elements = numbers.get("token_shift_count", 2) * embedding + embedding * head
    elif cached := numbers.get("shortconv.l_cache", 0):
        elements = embedding * (cached - 1)
    elif head := numbers.get("kda.head_dim", 0):
        kernel = numbers.get("ssm.conv_kernel", 4)
        elements = 3 * max(kernel - 1, 0) * header.head_count * head + head * head * header.head_count
    else:
        inner, state = numbers.get("ssm.inner_size", 0), numbers.get("ssm.state_size", 0)
        groups, kernel = numbers.get("ssm.group_count", 0), numbers.get("ssm.conv_kernel", 0)
        elements = max(kernel - 1, 0) * (inner + 2 * groups * state) + state * inner
    return 4 * elements


BITS_PER_WEIGHT = 4.85  # Q4_K_M, where nothing better is known
USUAL_VOCABULARY = 152_000
USUAL_CACHE_ELEMENTS = 2 * 8 * 128


def rough_shape(file_bytes: int, parameters: int | None = None) -> ModelShape:
    """Guess the shape of a model that is not here from its size; `parameters` as the Hub counts them, if it does."""
    weights = parameters or round(file_bytes * 8 / BITS_PER_WEIGHT)
    blocks = max(round((weights / (12 * 128**2)) ** (1 / 3)), 1)
    width = 128 * blocks
    embedding = min(file_bytes * USUAL_VOCABULARY * width // max(weights, 1), file_bytes // 4)
    return ModelShape(
        tensor_bytes=file_bytes,
        blocks=(Block((file_bytes - 2 * embedding) // blocks, USUAL_CACHE_ELEMENTS),) * blocks,
        token_embedding_bytes=embedding,
        output_is_tied=False,
        embedding_length=width,
        feed_forward_length=4 * width,
        vocabulary_size=USUAL_VOCABULARY,
    )
