"""How much memory a model takes when it is loaded.

    memory = tensors + KV cache + running states + compute buffer

KV cache: for each block, cells × (key + value elements) × bytes an element; a sliding-window block has cells
for its window only (`llama-kv-cache-iswa.cpp`). Compute buffer: one batch of logits and of hidden states, or of
attention scores where flash attention, which llama.cpp chooses by itself, is off (“compute buffer size” in its log).
"""

from dataclasses import dataclass
from enum import Enum

from core.models.ggml_types import TENSOR_TYPES
from core.models.gguf import GgufHeader
from core.models.shape import Block, Memory, ModelShape, shape_of

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
class Loading:
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
class Estimate:
    """What a loaded model takes, in bytes, part by part."""

    loading: Loading
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
) -> Estimate:
    """What `model` takes, loaded as `Loading` describes. Measured against llama.cpp: within 10%."""
    shape = shape_of(model) if isinstance(model, GgufHeader) else model
    return estimate_loading(Loading(shape, context, kv_type, batch, sequences, whole_windows, flash_attention))


def estimate_loading(loading: Loading) -> Estimate:
    """The same, for a way of loading that is already put together."""
    shape, sequences = loading.shape, loading.sequences
    cells = _padded(loading.context)
    window = min(cells, _padded(shape.window * sequences + loading.batch))
    window_cells = cells if loading.whole_windows else window
    kv = [_kv_bytes(block, cells, window_cells, loading.kv_type) for block in shape.blocks]
    states = [block.state_bytes * sequences for block in shape.blocks]
    in_blocks = sum(block.tensor_bytes for block in shape.blocks)
    outside = max(shape.tensor_bytes - in_blocks, 0)
    return Estimate(
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
    kept = window_cells if block.memory is Memory.WINDOW else cells
    return kv_type.bytes_for(kept * block.key_elements) + kv_type.bytes_for(kept * block.value_elements)


def _compute_bytes(shape: ModelShape, batch: int, scored_cells: int) -> int:
    """The largest of three moments: logits, feed-forward, and attention with its scores and mask, if it has them."""
    logits = shape.vocabulary_size + 2 * shape.embedding_length
    feed_forward = 2 * shape.feed_forward_length + 2 * shape.embedding_length
    attention = (shape.head_count + 1) * scored_cells + 5 * shape.embedding_length if scored_cells else 0
    return 4 * batch * max(logits, feed_forward, attention)


def _padded(cells: int) -> int:
    return -(-cells // CELL_PADDING) * CELL_PADDING
