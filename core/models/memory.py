"""How much memory a model takes when it is loaded.

    memory = tensors + KV cache + running states + compute buffer

KV cache: for each block, cells × (key + value elements) × bytes an element; a sliding-window block has cells
for its window only (`llama-kv-cache-iswa.cpp`). Compute buffer: one batch of logits and of hidden states, or of
attention scores where flash attention, which llama.cpp chooses by itself, is off (“compute buffer size” in its log).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from core.models.ggml_types import TENSOR_TYPES
from core.models.gguf import HYBRID, RECURRENT, GgufHeader

CELL_PADDING = 256  # llama.cpp rounds a context up to this many cells


class KvType(Enum):
    """How a key or value is stored; the value is ggml's type number."""

    F32 = 0
    F16 = 1
    Q4_0 = 2
    Q8_0 = 8

    def bytes_for(self, elements: int) -> int:
        kind = TENSOR_TYPES[self.value]
        return elements * kind.size // kind.block


@dataclass(frozen=True)
class MemoryRequest:
    """A model and how it is to be loaded."""

    shape: ModelShape
    context: int
    """Tokens for all sequences together (n_ctx)."""
    kv_type: KvType = KvType.F16
    batch: int = 512
    """Tokens a step (n_ubatch)."""
    sequences: int = 1
    whole_windows: bool = True
    """llama.cpp's `swa_full`: sliding-window blocks keep every token, so that a text can be cut back anywhere."""
    flash_attention: bool = True
    """Without it the scores of a batch lie in the compute buffer."""


@dataclass(frozen=True)
class MemoryEstimate:
    """What a loaded model takes, in bytes, part by part."""

    loading: MemoryRequest
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


def estimate(
    model: GgufHeader | ModelShape,
    context: int,
    kv_type: KvType = KvType.F16,
    *,
    batch: int = 512,
    sequences: int = 1,
    whole_windows: bool = True,
    flash_attention: bool = True,
) -> MemoryEstimate:
    """What `model` takes, loaded as `MemoryRequest` describes. Measured against llama.cpp: within 10%."""
    shape = shape_of(model) if isinstance(model, GgufHeader) else model
    return estimate_loading(MemoryRequest(shape, context, kv_type, batch, sequences, whole_windows, flash_attention))


def estimate_loading(loading: MemoryRequest) -> MemoryEstimate:
    """The same, for a way of loading that is already put together."""
    shape, sequences = loading.shape, loading.sequences
    cells = _padded(loading.context)
    window = min(cells, _padded(shape.window * sequences + loading.batch))
    window_cells = cells if loading.whole_windows else window
    kv = [_kv_bytes(block, cells, window_cells, loading.kv_type) for block in shape.blocks]
    states = [block.state_bytes * sequences for block in shape.blocks]
    in_blocks = sum(block.tensor_bytes for block in shape.blocks)
    outside = max(shape.tensor_bytes - in_blocks, 0)
    return MemoryEstimate(
        loading=loading,
        tensor_bytes=shape.tensor_bytes,
        kv_bytes=sum(kv),
        state_bytes=sum(states),
        compute_bytes=_compute_bytes(shape, min(loading.batch, cells), 0 if loading.flash_attention else cells),
        block_bytes=tuple(
            block.tensor_bytes + cache + state for block, cache, state in zip(shape.blocks, kv, states, strict=True)
        ),
        output_bytes=outside if shape.output_is_tied else outside - shape.token_embedding_bytes,
    )


def _kv_bytes(block: Block, cells: int, window_cells: int, kv_type: KvType) -> int:
    kept = window_cells if block.memory is BlockMemory.WINDOW else cells
    return kv_type.bytes_for(kept * block.key_elements) + kv_type.bytes_for(kept * block.value_elements)


def _compute_bytes(shape: ModelShape, batch: int, scored_cells: int) -> int:
    """The largest of three moments: logits, feed-forward, and attention with its scores and mask, if it has them."""
    logits = shape.vocabulary_size + 2 * shape.embedding_length
    feed_forward = 2 * shape.feed_forward_length + 2 * shape.embedding_length
    attention = (shape.head_count + 1) * scored_cells + 5 * shape.embedding_length if scored_cells else 0
    return 4 * batch * max(logits, feed_forward, attention)


def _padded(cells: int) -> int:
    return -(-cells // CELL_PADDING) * CELL_PADDING


class BlockMemory(Enum):
    """How much of the text a block remembers."""

    WHOLE = auto()
    WINDOW = auto()
    STATE_ONLY = auto()


@dataclass(frozen=True)
class Block:
    """One block: its tensors in bytes, its keys and values in elements a token, its running state in bytes."""

    tensor_bytes: int
    memory: BlockMemory
    key_elements: int
    value_elements: int
    state_bytes: int = 0


@dataclass(frozen=True)
class ModelShape:
    """Sizes in bytes, lengths in elements, the window in tokens."""

    tensor_bytes: int
    blocks: tuple[Block, ...]
    window: int
    token_embedding_bytes: int
    output_is_tied: bool
    embedding_length: int
    feed_forward_length: int
    vocabulary_size: int
    head_count: int = 0
    """0 where it is not known: then flash attention has to be taken for granted."""


# Every how many blocks one sees the whole text, where the file does not say.
_WINDOW_PERIODS = {
    "afmoe": 4,
    "cohere2": 4,
    "cohere2moe": 4,
    "exaone-moe": 4,
    "exaone4": 4,
    "gemma2": 2,
    "gemma3": 6,
    "gemma3n": 5,
    "gpt-oss": 2,
    "laguna": 4,
    "llama4": 4,
    "mellum": 4,
    "muse-glimmer": 4,
    "olmo2": 4,
    "plamo3": 8,
    "smallthinker": 4,
}
# The first block of each period is the one that sees everything; elsewhere it is the last.
_WHOLE_FIRST = frozenset({"cohere2moe", "laguna", "smallthinker"})
# These say it block by block in the file.
_WINDOWS_IN_FILE = frozenset({"dots3note", "gemma4", "granite_swa", "maple", "mimo2", "spark2_5", "step35"})
_WINDOWS_UNSAID = {"gemma2": 4096, "llama4": 8192}
# These have this window, whatever the file says.
_WINDOWS_FIXED = {"llama4": 8192, "smallthinker": 4096}
_EXAONE4_BLOCKS_WITH_WINDOWS = 64
# Every how many blocks one attends, in hybrids that do not say it by their KV heads.
_ATTENTION_INTERVAL = {"minimax-01": 8, "qwen35": 4, "qwen35moe": 4, "qwen3next": 4, "qwen4exp": 4}
_BOTH_IN_EACH_BLOCK = frozenset({"falcon-h1"})
_GEMMA3N_BLOCKS_WITH_CACHE = 20


def shape_of(header: GgufHeader) -> ModelShape:
    """What the header's model stores. Blocks of an unknown pattern count as seeing the whole text."""
    window = _window(header)
    return ModelShape(
        tensor_bytes=header.tensor_bytes,
        blocks=tuple(_block(header, number, window) for number in range(header.block_count)),
        window=window,
        token_embedding_bytes=header.token_embedding_bytes,
        output_is_tied=header.output_is_tied,
        embedding_length=header.embedding_length,
        feed_forward_length=header.feed_forward_length,
        vocabulary_size=header.vocabulary_size,
        head_count=header.head_count,
    )


def _window(header: GgufHeader) -> int:
    """Tokens that a sliding-window block sees; 0 if no block slides."""
    said = header.numbers.get("attention.sliding_window", _WINDOWS_UNSAID.get(header.architecture, 0))
    if header.architecture == "exaone4" and header.block_count != _EXAONE4_BLOCKS_WITH_WINDOWS:
        return 0
    return _WINDOWS_FIXED.get(header.architecture, said) if said > 0 else 0


def _block(header: GgufHeader, number: int, window: int) -> Block:
    attends = _attends(header, number)
    slides = attends and window > 0 and _slides(header, number)
    keeps_cache = attends and number < _blocks_with_cache(header)
    kv_heads = header.head_count_kv[number] if number < len(header.head_count_kv) else 0
    key_length, value_length = header.key_length, header.value_length
    if slides:
        key_length = header.numbers.get("attention.key_length_swa", key_length)
        value_length = header.numbers.get("attention.value_length_swa", value_length)
    if "attention.key_length_mla" in header.numbers:
        value_length = 0  # latent attention: the values are read out of the keys
    return Block(
        tensor_bytes=header.layer_bytes[number],
        memory=BlockMemory.WINDOW if slides else BlockMemory.WHOLE if attends else BlockMemory.STATE_ONLY,
        key_elements=kv_heads * key_length if keeps_cache else 0,
        value_elements=kv_heads * value_length if keeps_cache else 0,
        state_bytes=_state_bytes(header) if _keeps_state(header, attends) else 0,
    )


def _attends(header: GgufHeader, number: int) -> bool:
    if header.architecture in RECURRENT:
        return False
    if header.architecture in _ATTENTION_INTERVAL:
        interval = header.numbers.get("full_attention_interval", _ATTENTION_INTERVAL[header.architecture])
        return interval > 0 and (number + 1) % interval == 0
    return number < len(header.head_count_kv) and header.head_count_kv[number] > 0


def _slides(header: GgufHeader, number: int) -> bool:
    pattern = header.sliding_window_pattern
    known = header.architecture in _WINDOW_PERIODS
    if isinstance(pattern, tuple) and (known or header.architecture in _WINDOWS_IN_FILE):
        return number < len(pattern) and pattern[number]
    if not known:
        return header.architecture in ("lfm2", "lfm2moe")
    period = pattern if isinstance(pattern, int) else _WINDOW_PERIODS[header.architecture]
    if period == 0:
        return True
    whole = 0 if header.architecture in _WHOLE_FIRST else period - 1
    return number % period != whole


def _blocks_with_cache(header: GgufHeader) -> int:
    """Later blocks reuse the cache of earlier ones."""
    if header.architecture == "gemma3n":
        return _GEMMA3N_BLOCKS_WITH_CACHE
    return header.block_count - header.numbers.get("attention.shared_kv_layers", 0)


def _keeps_state(header: GgufHeader, attends: bool) -> bool:
    if header.architecture in _BOTH_IN_EACH_BLOCK:
        return True
    return header.architecture in RECURRENT | HYBRID and not attends


def _state_bytes(header: GgufHeader) -> int:
    """Bytes of one block's running state for one sequence: `n_embd_r` and `n_embd_s`, in F32."""
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


BITS_A_WEIGHT = 4.85  # Q4_K_M, where nothing better is known
USUAL_VOCABULARY = 152_000
KV_ELEMENTS = 8 * 128


def rough_shape(file_bytes: int, parameters: int | None = None) -> ModelShape:
    """A shape of `file_bytes` of tensors; `parameters` as the Hub counts them, if it does."""
    weights = parameters or round(file_bytes * 8 / BITS_A_WEIGHT)
    blocks = max(round((weights / (12 * 128**2)) ** (1 / 3)), 1)
    width = 128 * blocks
    embedding = min(file_bytes * USUAL_VOCABULARY * width // max(weights, 1), file_bytes // 4)
    block = Block((file_bytes - 2 * embedding) // blocks, BlockMemory.WHOLE, KV_ELEMENTS, KV_ELEMENTS)
    return ModelShape(
        tensor_bytes=file_bytes,
        blocks=(block,) * blocks,
        window=0,
        token_embedding_bytes=embedding,
        output_is_tied=False,
        embedding_length=width,
        feed_forward_length=4 * width,
        vocabulary_size=USUAL_VOCABULARY,
    )
