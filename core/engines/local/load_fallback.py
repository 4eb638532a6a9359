"""What to try when a device is out of memory: fewer layers on the GPU, then smaller batches, then a clear sentence.

The context is never shortened: it decides how long a text can be, and that is a person's choice.
"""

from collections.abc import Iterator
from typing import NamedTuple

from core.errors import OutOfMemory
from core.models.devices import find_devices
from core.models.fit import fit
from core.models.ggml_backends import has_gpu_backend
from core.models.gguf import GgufHeader
from core.models.loading import LoadOptions

SMALLER_BATCHES = (128, 32)


class Attempt(NamedTuple):
    options: LoadOptions
    change: str
    """What is other than a person chose; “” for the first attempt."""


def attempts(options: LoadOptions, layers: int) -> Iterator[Attempt]:
    """Ways to load a model, lighter and lighter. `layers`: how many the first attempt puts on a GPU, 0 without one."""
    yield Attempt(options, "")
    on_gpu = layers
    for fewer in dict.fromkeys((layers * 3 // 4, layers // 2, layers // 4, 0)):
        if fewer < on_gpu:
            on_gpu = fewer
            yield Attempt(_changed(options, gpu_layers=fewer), f"with {fewer} of {layers} layers on the GPU")
    lightest = _changed(options, gpu_layers=0) if layers else options
    for batch in SMALLER_BATCHES:
        # llama.cpp asserts that a batch has room for one token of every sequence.
        if options.parallel <= batch < options.batch:
            yield Attempt(_changed(lightest, batch=batch), f"with a batch of {batch} tokens")


def layers_to_begin_with(header: GgufHeader, options: LoadOptions) -> int:
    """As many as a person chose; where the choice is left to us, as many as fit. 0 without a GPU backend."""
    if not has_gpu_backend():
        return 0
    if options.gpu_layers >= 0:
        return min(options.gpu_layers, header.block_count + 1)
    devices = find_devices()
    if not devices.gpus:
        return 0
    return fit(options.estimate(header), devices).layers


def given_up(name: str, last: OutOfMemory, tried: list[str]) -> OutOfMemory:
    """The sentence after the last attempt."""
    also = f", not even {tried[-1]}" if tried else ""
    return OutOfMemory(
        f"{last.message.removesuffix('.')}{also}.", f"{last.advice} The Models page says what {name} takes."
    )


def _changed(options: LoadOptions, **values: int) -> LoadOptions:
    return options.model_copy(update=values)
