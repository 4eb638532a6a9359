"""Estimates how much memory a model takes, and how many of its layers fit where.

    memory = tensors + KV cache + recurrent states + compute buffer

KV cache: for each block, cells × (key + value elements) × bytes per element. The program loads with llama.cpp's
`swa_full`, so a sliding-window block keeps every token too, and a text can be truncated anywhere. Compute buffer: one
batch of logits and of hidden states, or of attention scores where flash attention is off (“compute buffer size” in
llama.cpp's log). Within 10% of what llama.cpp allocates.

On a CPU llama.cpp also keeps a repacked copy of 4-bit weights (“CPU_REPACK” in its log). The originals, in the mapped
file, are not read again, and the system takes their pages back when memory is short: so a process looks larger than the
estimate by the copy (1.28 times for a Q4_K_M of 1.5B), and needs no more.

Every device keeps a margin of 1 GiB for what cannot be estimated: the driver, the window, other programs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum, auto
from itertools import accumulate
from typing import Any

from baton_reasoning.core.models.devices import Device, Devices
from baton_reasoning.core.models.gguf import Block, ModelShape
from baton_reasoning.core.models.load_options import KvType, LoadOptions, Switch

# How much memory a model takes ----------------------------------------------------------------------------------------

CELL_PADDING = 256  # llama.cpp rounds a context up to this many cells


@dataclass(frozen=True)
class MemoryEstimate:
    """What a loaded model takes, in bytes, part by part."""

    shape: ModelShape
    options: LoadOptions
    """How it is loaded."""
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
        return self.shape.tensor_bytes + self.kv_bytes + self.state_bytes + self.compute_bytes


def estimate(shape: ModelShape, options: LoadOptions) -> MemoryEstimate:
    """Estimate what a model takes if it is loaded with these options.

    It never gets a longer context than it was trained for, as in a local engine.
    """
    trained = shape.context_length or options.context
    options = options.model_copy(update={"context": min(options.context, trained)})
    cells = -(-options.context * options.parallel // CELL_PADDING) * CELL_PADDING
    kv = [options.kv_type.bytes_for(cells * block.cache_elements) for block in shape.blocks]
    states = [block.state_bytes * options.parallel for block in shape.blocks]
    outside = max(shape.tensor_bytes - sum(block.tensor_bytes for block in shape.blocks), 0)
    scored_cells = cells if options.flash_attention is Switch.OFF else 0
    return MemoryEstimate(
        shape=shape,
        options=options,
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


# Where it fits --------------------------------------------------------------------------------------------------------

GIB = 2**30
MARGIN_BYTES = GIB
SMALLEST_CONTEXT = 2048  # less is of no use to a model that thinks


class FitKind(Enum):
    WHOLE_ON_GPU = auto()
    SPLIT = auto()
    RAM_ONLY = auto()
    DOES_NOT_FIT = auto()


@dataclass(frozen=True)
class Fit:
    """Where a model would be placed; sizes in bytes."""

    kind: FitKind
    layers: int
    """llama.cpp's n_gpu_layers: the output layer counts as one, then blocks from the last to the first."""
    gpu_bytes: int
    ram_bytes: int
    advice: str
    """One sentence for a person: how it fits, or the smallest change that would make it fit."""

    @property
    def fits(self) -> bool:
        return self.kind is not FitKind.DOES_NOT_FIT


def fit(needs: MemoryEstimate, devices: Devices) -> Fit:
    """Find the fastest placement of a model on these devices. It is advice: a person may overrule it."""
    place = _place(needs, devices)
    return replace(place, advice=_advice(place, needs, devices))


def fit_with_layers(needs: MemoryEstimate, devices: Devices, layers: int) -> Fit:
    """Judge a placement with a number of GPU layers that a person chose; without a GPU it makes no difference."""
    best, place = fit(needs, devices), _placed(needs, layers)
    if not devices.gpus or place.layers == best.layers:
        return best
    is_too_much = place.layers > _layers_within(needs, _gpu_capacity(needs, devices))
    if is_too_much or not _leaves_enough_ram(place, needs, devices):
        lack = f"It does not fit with {place.layers} layers on the GPU. Automatic: {best.advice}"
        return replace(place, kind=FitKind.DOES_NOT_FIT, advice=lack)
    shares = f"{in_gib(place.gpu_bytes)} of the GPU, the rest {in_gib(place.ram_bytes)} of RAM"
    return replace(place, advice=f"{place.layers} layers take {shares}.")


def fit_together(models: Iterable[MemoryEstimate], devices: Devices) -> list[Fit]:
    """Place models one after the other: of a pair, the small one, which writes most tokens, chooses first."""
    places = []
    for needs in models:
        places.append(fit(needs, devices))
        devices = _devices_after(places[-1], devices)
    return places


def _devices_after(placed: Fit, devices: Devices) -> Devices:
    left = placed.gpu_bytes
    gpus = []
    for gpu in devices.gpus:
        taken = min(left, gpu.free_bytes)
        left -= taken
        gpus.append(replace(gpu, free_bytes=gpu.free_bytes - taken))
    shared = placed.gpu_bytes if any(gpu.shares_ram for gpu in devices.gpus) else 0
    ram = max(devices.ram_free - placed.ram_bytes - shared, 0)
    return replace(devices, ram_free=ram, gpus=tuple(gpus))


def _place(needs: MemoryEstimate, devices: Devices) -> Fit:
    place = _placed(needs, _layers_within(needs, _gpu_capacity(needs, devices)))
    if place.kind is FitKind.WHOLE_ON_GPU or (place.layers > 1 and _leaves_enough_ram(place, needs, devices)):
        return place
    place = _placed(needs, 0)
    return place if place.ram_bytes <= _ram_capacity(devices) else replace(place, kind=FitKind.DOES_NOT_FIT)


def _placed(needs: MemoryEstimate, layers: int) -> Fit:
    """Place so many layers on the GPU, and the rest in RAM, whether they fit or not."""
    sizes = _layer_sizes(needs)[:layers]
    on_gpu = sum(sizes) + needs.compute_bytes
    if not sizes:
        return Fit(FitKind.RAM_ONLY, 0, 0, needs.total_bytes, "")
    if len(sizes) > len(needs.block_bytes):
        return Fit(FitKind.WHOLE_ON_GPU, len(sizes), on_gpu, needs.shape.token_embedding_bytes, "")
    return Fit(FitKind.SPLIT, len(sizes), on_gpu, needs.total_bytes - sum(sizes[1:]), "")


def _layer_sizes(needs: MemoryEstimate) -> tuple[int, ...]:
    """Return the bytes of each layer in the order in which they go to the GPU."""
    return (needs.output_bytes, *reversed(needs.block_bytes))


def _layers_within(needs: MemoryEstimate, capacity: int) -> int:
    """Count the layers that go into `capacity` bytes."""
    return sum(taken <= capacity for taken in accumulate(_layer_sizes(needs)))


def _leaves_enough_ram(place: Fit, needs: MemoryEstimate, devices: Devices) -> bool:
    shared = place.gpu_bytes - needs.compute_bytes if any(gpu.shares_ram for gpu in devices.gpus) else 0
    return place.ram_bytes + max(shared, 0) <= _ram_capacity(devices)


def _gpu_capacity(needs: MemoryEstimate, devices: Devices) -> int:
    """Return the bytes for layers on all GPUs: each also needs a compute buffer and a margin."""
    capacities = [_free(gpu, devices) - MARGIN_BYTES - needs.compute_bytes for gpu in devices.gpus]
    useful = [capacity for capacity in capacities if capacity > 0]
    # A block cannot be divided between devices, so up to one block is lost for each further GPU.
    lost = (len(useful) - 1) * max(needs.block_bytes, default=0) if useful else 0
    return max(sum(useful) - lost, 0)


def _free(gpu: Device, devices: Devices) -> int:
    return min(gpu.free_bytes, devices.ram_free) if gpu.shares_ram else gpu.free_bytes


def _ram_capacity(devices: Devices) -> int:
    return max(devices.ram_free - MARGIN_BYTES, 0)


def _advice(place: Fit, needs: MemoryEstimate, devices: Devices) -> str:
    match place.kind:
        case FitKind.WHOLE_ON_GPU:
            return f"The whole model fits on the GPU ({in_gib(place.gpu_bytes)})."
        case FitKind.RAM_ONLY:
            return f"The model fits into RAM ({in_gib(place.ram_bytes)} of {in_gib(devices.ram_free)} free)."
        case FitKind.SPLIT:
            blocks = len(needs.block_bytes) + 1
            change = _change_to(FitKind.WHOLE_ON_GPU, needs, devices)
            return f"{place.layers} of {blocks} layers fit on the GPU" + (f"; {change}." if change else ".")
        case FitKind.DOES_NOT_FIT:
            dedicated = tuple(gpu for gpu in devices.gpus if not gpu.shares_ram)
            free = _ram_capacity(devices) + _gpu_capacity(needs, replace(devices, gpus=dedicated))
            lack = f"It needs {in_gib(needs.total_bytes)} and {in_gib(free)} can be used"
            change = _change_to(FitKind.RAM_ONLY, needs, devices)
            return f"{lack}; {change or _smaller_file(needs, free)}."


def _change_to(wanted: FitKind, needs: MemoryEstimate, devices: Devices) -> str | None:
    """Describe the least harmful change with which the placement is `wanted` or better; None if there is none."""
    for change, changed in _changes(needs):
        if _place(changed, devices).kind.value <= wanted.value:
            whole = " on the GPU" if wanted is FitKind.WHOLE_ON_GPU else ""
            return f"with {change} it would fit{whole}"
    return None


def _changes(needs: MemoryEstimate) -> Iterator[tuple[str, MemoryEstimate]]:
    """Yield each change in words, the least harmful first, with the estimate after it."""
    can_quantise = needs.options.kv_type in (KvType.F16, KvType.F32)
    if can_quantise:
        yield "a q8_0 KV cache", _changed(needs, kv_type=KvType.Q8_0)
    context = needs.options.context // 2
    while context >= SMALLEST_CONTEXT:
        tokens = f"a context of {context:,} tokens"
        yield tokens, _changed(needs, context=context)
        if can_quantise:
            yield f"{tokens} and a q8_0 KV cache", _changed(needs, context=context, kv_type=KvType.Q8_0)
        context //= 2


def _changed(needs: MemoryEstimate, **options: Any) -> MemoryEstimate:
    return estimate(needs.shape, needs.options.model_copy(update=options))


def _smaller_file(needs: MemoryEstimate, free: int) -> str:
    smallest = _changed(needs, kv_type=KvType.Q8_0, context=SMALLEST_CONTEXT)
    for_the_file = free - (smallest.total_bytes - needs.shape.tensor_bytes)
    if for_the_file <= 0:
        return "close other programs, or use a model on another machine"
    return f"choose a smaller quantisation or model, with a file of at most {in_gib(for_the_file)}"


def in_gib(size: float) -> str:
    """Write a number of bytes as a person reads it: “4.7 GiB”, “310 MiB”, “120 KiB”."""
    if size >= GIB:
        return f"{size / GIB:.1f} GiB"
    return f"{size / 2**20:.0f} MiB" if size >= 2**20 or not size else f"{size / 2**10:.0f} KiB"
