"""Places a model on the devices of this machine, and advises what to change if it does not fit.

Every device keeps a margin of 1 GiB for what cannot be estimated: the driver, the window, other programs.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any

from baton_reasoning.core.models.devices import Device, Devices
from baton_reasoning.core.models.loading import KvType
from baton_reasoning.core.models.memory import MemoryEstimate, estimate

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


def fit(needs: MemoryEstimate, devices: Devices) -> Fit:
    """Find the fastest placement of a model on these devices. It is advice: a person may overrule it."""
    place = _place(needs, devices)
    return replace(place, advice=_advice(place, needs, devices))


def fit_with_layers(needs: MemoryEstimate, devices: Devices, layers: int) -> Fit:
    """Judge the placement of a model of which a person puts so many layers on the GPU."""
    if not devices.gpus:
        place = fit(needs, devices)
        return replace(place, advice=f"No GPU is in use, so that GPU layers make no difference. {place.advice}")
    sizes = (needs.output_bytes, *reversed(needs.block_bytes))[:layers]
    capacity, on_gpu = _gpu_capacity(needs, devices), sum(sizes)
    in_ram = needs.total_bytes - sum(sizes[1:])
    shared = on_gpu if any(gpu.shares_ram for gpu in devices.gpus) else 0
    if on_gpu > capacity:
        most, _ = _layers_within(needs, capacity)
        lack = f"{len(sizes)} layers take {in_gib(on_gpu)} of the GPU, which has {in_gib(capacity)} for them"
        return Fit(FitKind.DOES_NOT_FIT, len(sizes), on_gpu, in_ram, f"{lack}; at most {most} would fit.")
    if layers > len(needs.block_bytes):
        return fit(needs, devices)
    if in_ram + shared > _ram_capacity(devices):
        lack = f"The rest takes {in_gib(in_ram)} of RAM, and {in_gib(_ram_capacity(devices))} can be used"
        return Fit(FitKind.DOES_NOT_FIT, len(sizes), on_gpu, in_ram, f"{lack}; {_more_layers(needs, devices)}.")
    kind, with_buffer = (FitKind.SPLIT, on_gpu + needs.compute_bytes) if on_gpu else (FitKind.RAM_ONLY, 0)
    advice = f"{len(sizes)} layers take {in_gib(with_buffer)} of the GPU, the rest {in_gib(in_ram)} of RAM."
    return Fit(kind, len(sizes), with_buffer, in_ram, advice)


def _more_layers(needs: MemoryEstimate, devices: Devices) -> str:
    best = _place(needs, devices)
    if best.kind is not FitKind.DOES_NOT_FIT:
        return f"with {best.layers} layers on the GPU it would fit"
    return _change_to(FitKind.RAM_ONLY, needs, devices) or _smaller_file(needs, _ram_capacity(devices))


@dataclass(frozen=True)
class PairFit:
    small: Fit
    large: Fit

    @property
    def fits(self) -> bool:
        return FitKind.DOES_NOT_FIT not in (self.small.kind, self.large.kind)


def fit_pair(small: MemoryEstimate, large: MemoryEstimate, devices: Devices) -> PairFit:
    """Place both models of a pair: the small one, which writes most tokens, chooses first."""
    small_fit = fit(small, devices)
    return PairFit(small_fit, fit(large, _devices_after(small_fit, devices)))


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
    layers, on_gpu = _layers_within(needs, _gpu_capacity(needs, devices))
    everything = len(needs.block_bytes) + 1
    if layers == everything:
        embedding = needs.shape.token_embedding_bytes
        return Fit(FitKind.WHOLE_ON_GPU, layers, on_gpu + needs.compute_bytes, embedding, "")
    in_ram = needs.total_bytes - sum(needs.block_bytes[len(needs.block_bytes) - max(layers - 1, 0) :])
    shared = on_gpu if any(gpu.shares_ram for gpu in devices.gpus) else 0
    if layers > 1 and in_ram + shared <= _ram_capacity(devices):
        return Fit(FitKind.SPLIT, layers, on_gpu + needs.compute_bytes, in_ram, "")
    if needs.total_bytes <= _ram_capacity(devices):
        return Fit(FitKind.RAM_ONLY, 0, 0, needs.total_bytes, "")
    return Fit(FitKind.DOES_NOT_FIT, 0, 0, needs.total_bytes, "")


def _layers_within(needs: MemoryEstimate, capacity: int) -> tuple[int, int]:
    """Count the layers that go into `capacity` bytes, and the bytes they take."""
    layers = taken = 0
    for size in (needs.output_bytes, *reversed(needs.block_bytes)):
        if taken + size > capacity:
            break
        layers, taken = layers + 1, taken + size
    return layers, taken


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
    for_the_file = free - (smallest.total_bytes - smallest.tensor_bytes)
    if for_the_file <= 0:
        return "close other programs, or use a model on another machine"
    return f"choose a smaller quantisation or model, with a file of at most {in_gib(for_the_file)}"


def in_gib(size: int) -> str:
    """Write a size as a person reads it: “4.7 GiB”, “310 MiB”, “120 KiB”."""
    if size >= GIB:
        return f"{size / GIB:.1f} GiB"
    return f"{size / 2**20:.0f} MiB" if size >= 2**20 or not size else f"{size / 2**10:.0f} KiB"
