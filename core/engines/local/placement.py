"""Loads a model with less when a device is out of memory: smaller batches, then fewer layers on the GPU.

The context is never shortened: it decides how long a text can be, and that is a person's choice.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from baton_reasoning.core.engines.base import DeviceShare, ModelCard, Placement
from baton_reasoning.core.engines.chat_template import has_switch
from baton_reasoning.core.engines.local.messages import WorkerOptions
from baton_reasoning.core.engines.local.process import DiedLoading, ModelProcess
from baton_reasoning.core.errors import EngineError, OutOfMemory
from baton_reasoning.core.models.devices import find_devices
from baton_reasoning.core.models.fit import fit
from baton_reasoning.core.models.ggml_backends import has_gpu_backend
from baton_reasoning.core.models.gguf import GgufHeader
from baton_reasoning.core.models.loading import LoadOptions
from baton_reasoning.core.models.memory import estimate
from baton_reasoning.core.models.overrides import ModelOverrides
from baton_reasoning.core.models.source import ModelSource

SMALLER_BATCHES = (128, 32)


def worker_options(header: GgufHeader, options: LoadOptions, overrides: ModelOverrides) -> WorkerOptions:
    context = min(options.context, header.context_length or options.context)
    batch = max(min(options.batch, context), options.parallel)
    return WorkerOptions(
        path=str(header.path),
        load=options.model_copy(update={"context": context, "batch": batch}),
        supports_truncation=header.supports_truncation,
        space_prefix=header.add_space_prefix,
        template=header.chat_template or "",
        thinking=overrides.thinking_tags(header.thinking_tags),
    )


class Attempt(NamedTuple):
    options: LoadOptions
    change: str
    """The difference to what a person chose; “” for the first attempt."""


def card_of(
    header: GgufHeader, options: WorkerOptions, overrides: ModelOverrides, placement: Placement, source: ModelSource
) -> ModelCard:
    return ModelCard(
        name=header.name or header.path.stem,
        vocabulary=header.vocabulary_hash,
        context=options.load.context,
        source=source,
        path=header.path,
        architecture=header.architecture,
        quantisation=header.quantisation,
        parameters=header.parameters,
        thinking=options.thinking,
        switches_thinking=has_switch(options.template),
        returns_scores=True,
        supports_truncation=options.supports_truncation,
        writes_branches=True,
        overrides=overrides,
        placement=placement,
    )


def attempts(options: LoadOptions, layers: int) -> Iterator[Attempt]:
    """Yield ways to load a model, lighter and lighter. `layers`: on a GPU in the first attempt, 0 without one.

    A smaller batch comes first: it frees hundreds of megabytes of a GPU for a little speed, where layers in RAM cost
    much. Without a GPU nothing but the batch can shrink.
    """
    yield Attempt(options, "")
    # llama.cpp asserts that a batch has room for one token of every sequence.
    batches = [batch for batch in SMALLER_BATCHES if options.parallel <= batch < options.batch]
    batch = batches[0] if batches and layers else options.batch
    if layers and batch < options.batch:
        yield Attempt(_changed(options, batch=batch), f"with a batch of {batch} tokens")
    on_gpu = layers
    for fewer in (layers * 3 // 4, layers // 2, layers // 4, 0):
        if fewer < on_gpu:
            on_gpu = fewer
            smaller = f" and a batch of {batch} tokens" if batch < options.batch else ""
            change = f"with {fewer} of {layers} layers on the GPU{smaller}"
            yield Attempt(_changed(options, gpu_layers=fewer, batch=batch), change)
    lightest = _changed(options, gpu_layers=0) if layers else options
    for smaller_batch in batches:
        if smaller_batch < batch or not layers:
            yield Attempt(_changed(lightest, batch=smaller_batch), f"with a batch of {smaller_batch} tokens")


def attempts_after_death(options: LoadOptions, layers: int, loaded_as: LoadOptions, *, memory: bool) -> list[Attempt]:
    """List ways to reload a model whose process died, loaded as `loaded_as`: as before, then lighter and lighter.

    `memory`: it ran out of memory and would do so again, so only lighter ways are listed, if there are any.
    """
    candidates = list(attempts(options, layers))
    at = [candidate.options for candidate in candidates].index(loaded_as)
    return candidates[at + 1 if memory else at :] or candidates[at:]


class Loaded(NamedTuple):
    """A model in a process, and how it was loaded."""

    process: ModelProcess
    options: WorkerOptions
    change: str
    """As in `Attempt`."""


def load_first_that_fits(
    options: WorkerOptions,
    candidates: Sequence[Attempt],
    name: str,
    on_progress: Callable[[float], object] = lambda _: None,
) -> Loaded:
    """Load a model in the first of these ways for which there is enough memory.

    Each attempt has a process of its own, which has ended before the next begins: nothing of a failed attempt stays in
    a device's memory. Raises OutOfMemory or another EngineError after the last.
    """
    tried: list[str] = []
    failure: EngineError | None = None
    for load, change in candidates:
        lighter = replace(options, load=load)
        try:
            return Loaded(ModelProcess(lighter, on_progress), lighter, change)
        except (OutOfMemory, DiedLoading) as error:
            if isinstance(error, DiedLoading) and not load.gpu_layers:
                raise
            failure = error
            tried += [change] if change else []
    assert failure is not None
    raise given_up(name, failure, tried) from failure


def layers_to_begin_with(header: GgufHeader, options: LoadOptions) -> int:
    """Return the GPU layers of the first attempt: as chosen, or as many as fit; 0 without a GPU backend."""
    if not has_gpu_backend():
        return 0
    if options.gpu_layers >= 0:
        return min(options.gpu_layers, header.block_count + 1)
    devices = find_devices()
    if not devices.gpus:
        return 0
    return fit(estimate(header, options), devices).layers


def given_up(name: str, last: EngineError, tried: list[str]) -> EngineError:
    """Make the error after the last attempt, of the class of its failure."""
    also = f", not even {tried[-1]}" if tried else ""
    return type(last)(
        f"{last.message.removesuffix('.')}{also}.", f"{last.advice} The Models page shows how much memory {name} needs."
    )


def _changed(options: LoadOptions, **values: int) -> LoadOptions:
    return options.model_copy(update=values)


RAM = "RAM"

_LAYER = re.compile(r"layer\s+\d+ assigned to device (\S+),")
_BUFFER = re.compile(r"(\S+) +(model|KV|RS|compute|output) buffer size = +([\d.]+) MiB")
_STATE = re.compile(r"(\S+) \S+ \S+ state buffer size = +([\d.]+) MiB")


class LoadingLog:
    """Takes every line of the log, and sums up layers and buffers by device.

    load_tensors: layer  12 assigned to device CUDA0, is_swa = 0         llama-model.cpp
    load_tensors:        CUDA0 model buffer size =  4460.45 MiB
    llama_kv_cache:      CUDA0 KV buffer size =   448.00 MiB             llama-kv-cache.cpp; RS: running states
    sched_reserve:       CUDA0 compute buffer size =   304.75 MiB        llama-context.cpp; output: logits
    """

    def __init__(self) -> None:
        self._layers: Counter[str] = Counter()
        self._buffers: defaultdict[tuple[str, str], float] = defaultdict(float)
        """MiB by kind and by ggml's name of the buffer."""

    def hear(self, line: str) -> None:
        if "buffer size" in line:
            if found := _BUFFER.search(line):
                name, kind, size = found[1], found[2], float(found[3])
                # Compute buffers are measured again when something changes; of the others there may be several.
                self._buffers[kind, name] = size if kind == "compute" else self._buffers[kind, name] + size
            elif found := _STATE.search(line):
                self._buffers["RS", found[1]] += float(found[2])
        elif found := _LAYER.search(line):
            self._layers[found[1]] += 1

    def shares(self, gpus: Collection[str]) -> tuple[DeviceShare, ...]:
        """Return the share of each device, GPUs first, in ggml's order; `gpus`: ggml's names of them."""
        devices = [device for device in (*gpus, RAM) if device == RAM or self._holds_something(device, gpus)]
        return tuple(self._share(device, gpus) for device in devices)

    def _share(self, device: str, gpus: Collection[str]) -> DeviceShare:
        def taken(*kinds: str, ending: str = "") -> int:
            return sum(
                round(size * 2**20)
                for (kind, name), size in self._buffers.items()
                if kind in kinds and _device_of(name, gpus) == device and name.endswith(ending)
            )

        return DeviceShare(
            device=device,
            layers=sum(count for name, count in self._layers.items() if _device_of(name, gpus) == device),
            weights=taken("model"),
            cache=taken("KV", "RS"),
            compute=taken("compute", "output"),
            mapped=taken("model", ending="_Mapped") if device == RAM else 0,
        )

    def _holds_something(self, device: str, gpus: Collection[str]) -> bool:
        return any(_device_of(name, gpus) == device for _, name in self._buffers)


def _device_of(buffer: str, gpus: Collection[str]) -> str:
    """Find the device of a buffer: “MTL0_Mapped” is a GPU's; “CPU_Mapped”, “AMX” and “CUDA_Host” are in RAM."""
    owners = [gpu for gpu in gpus if buffer == gpu or buffer.startswith(f"{gpu}_")]
    return owners[0] if owners else RAM
