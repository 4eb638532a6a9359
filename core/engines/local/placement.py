"""Places a model on this machine: loads it with the layers that fit, and lighter if memory runs out.

The context is never shortened: it decides how long a text can be, and that is a person's choice.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

from baton_reasoning.core.engines.base import Placement
from baton_reasoning.core.engines.local.messages import WorkerOptions
from baton_reasoning.core.engines.local.process import DiedLoading, ModelProcess
from baton_reasoning.core.errors import OutOfMemory
from baton_reasoning.core.models.devices import find_devices, has_gpu_backend
from baton_reasoning.core.models.fit import estimate, fit
from baton_reasoning.core.models.gguf import GgufHeader
from baton_reasoning.core.models.load_options import LoadOptions

SMALLER_BATCH = 128


def worker_options(header: GgufHeader, options: LoadOptions) -> WorkerOptions:
    context = min(options.context, header.context_length or options.context)
    batch = max(min(options.batch, context), options.parallel)
    return WorkerOptions(
        path=str(header.path),
        load=options.model_copy(update={"context": context, "batch": batch}),
        supports_truncation=header.supports_truncation,
        space_prefix=header.add_space_prefix,
        template=header.chat_template,
    )


class Attempt(NamedTuple):
    """One way to load a model."""

    options: LoadOptions
    fallback: str
    """What it reduces to fit memory: “with a batch of 128 tokens”; “” for the first attempt."""


class ModelLoader:
    """Loads a model into a process, as asked or lighter, and remembers how."""

    def __init__(self, header: GgufHeader, options: WorkerOptions) -> None:
        layers, load = first_layers(header, options.load), options.load
        if load.gpu_layers < 0:  # an overfull GPU may take the system down, so “all” is never tried blindly
            load = load.model_copy(update={"gpu_layers": layers})
        self._name = header.name or header.path.stem
        self._options = options
        self._attempts = list(attempts(load, layers))
        self._loaded = 0
        """Index of the attempt that succeeded last."""

    @property
    def attempt(self) -> Attempt:
        """How the model was loaded last."""
        return self._attempts[self._loaded]

    @property
    def has_lighter(self) -> bool:
        """Whether there is a lighter way than the one in which the model was loaded last."""
        return self._loaded + 1 < len(self._attempts)

    def load(self, on_progress: Callable[[float], object], *, lighter: bool = False) -> ModelProcess:
        """Load the model as it was loaded last, or else lighter; `lighter`: it ran out of memory that way.

        Each attempt has a process of its own, which has ended before the next begins: nothing of a failed attempt stays
        in a device's memory. Raises OutOfMemory or another EngineError after the lightest one.
        """
        first = self._loaded + (lighter and self.has_lighter)
        for index, attempt in enumerate(self._attempts[first:], first):
            try:
                process = ModelProcess(replace(self._options, load=attempt.options), on_progress)
            except (OutOfMemory, DiedLoading) as error:
                if isinstance(error, DiedLoading) and not attempt.options.gpu_layers:
                    raise
                failure = error
            else:
                self._loaded = index
                return process
        also = f", not even {attempt.fallback}" if attempt.fallback else ""
        raise type(failure)(
            f"{failure.message.removesuffix('.')}{also}.",
            f"{failure.advice} The Models page shows how much memory {self._name} needs.",
        ) from failure

    def placement(self, process: ModelProcess) -> Placement:
        """Describe how the model was loaded, and which devices hold it."""
        (load, fallback), loaded = self.attempt, process.loaded
        return Placement(loaded.shares, load.batch, loaded.threads, load.kv_type.name.lower(), fallback, load.parallel)


def first_layers(header: GgufHeader, options: LoadOptions) -> int:
    """Return the GPU layers of the first attempt: as chosen, or as many as fit; 0 without a GPU backend."""
    if not has_gpu_backend():
        return 0
    if options.gpu_layers >= 0:
        return min(options.gpu_layers, header.block_count + 1)
    devices = find_devices()
    if not devices.gpus:
        return 0
    return fit(estimate(header, options), devices).layers


def attempts(options: LoadOptions, layers: int) -> Iterator[Attempt]:
    """Yield ways to load a model, lighter and lighter. `layers`: on a GPU in the first attempt, 0 without one.

    A smaller batch comes first: it frees hundreds of megabytes of a GPU for a little speed, where layers in RAM cost
    much. Without a GPU nothing but the batch can shrink.
    """
    yield Attempt(options, "")
    smaller = ""
    if options.parallel <= SMALLER_BATCH < options.batch:  # llama.cpp asserts room for one token of every sequence
        options = options.model_copy(update={"batch": SMALLER_BATCH})
        smaller = f"a batch of {SMALLER_BATCH} tokens"
        yield Attempt(options, f"with {smaller}")
    for fewer in sorted({layers * 3 // 4, layers // 2, layers // 4, 0} - {layers}, reverse=True):
        fallback = f"with {fewer} of {layers} layers on the GPU" + (f" and {smaller}" if smaller else "")
        yield Attempt(options.model_copy(update={"gpu_layers": fewer}), fallback)
