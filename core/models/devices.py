"""Finds what this machine has to hold models: RAM, disk, and the GPUs that llama.cpp's ggml can use.

ggml has no Python binding for devices, so they are read through ctypes (`ggml-backend.h`: `ggml_backend_dev_*`).
Asking a GPU for its free memory initialises the driver, which takes memory and may crash; so a short-lived process
asks, and only where a GPU backend is installed.
"""

import ctypes
import logging
import platform
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from baton_reasoning.core.child_process import NoAnswer, run_in_subprocess
from baton_reasoning.core.models.ggml_backends import has_gpu_backend, log_quietly, registry

log = logging.getLogger(__name__)

SECONDS_TO_ANSWER = 60  # a GPU driver may take its time when it is used for the first time


class DeviceKind(Enum):
    """`enum ggml_backend_dev_type`."""

    CPU = 0
    GPU = 1
    INTEGRATED_GPU = 2
    ACCELERATOR = 3
    SEVERAL = 4


GPUS = (DeviceKind.GPU, DeviceKind.INTEGRATED_GPU)


@dataclass(frozen=True)
class Device:
    """One ggml device; memory in bytes."""

    name: str
    description: str
    kind: DeviceKind
    free_bytes: int
    total_bytes: int

    @property
    def shares_ram(self) -> bool:
        """Whether its memory is the machine's own, as on Apple silicon."""
        apple = sys.platform == "darwin" and platform.machine() == "arm64"
        return self.kind is DeviceKind.INTEGRATED_GPU or (self.kind is DeviceKind.GPU and apple)


@dataclass(frozen=True)
class Devices:
    """The memory of the machine at one moment, in bytes. `gpus` may be empty."""

    ram_total: int
    ram_free: int
    """Available without swapping: free memory, and what the system would reclaim."""
    gpus: tuple[Device, ...] = ()


def find_devices() -> Devices:
    """Query the machine: instant without a GPU backend; with one, a second or two, so not on a main thread."""
    import psutil  # takes 10 ms, which the start of a window would wait for

    memory = psutil.virtual_memory()
    found = ask_in_a_process() if has_gpu_backend() else ()
    return Devices(memory.total, memory.available, offloaded_to(found))


def offloaded_to(found: Iterable[Device]) -> tuple[Device, ...]:
    """Select the devices that llama.cpp would use: GPUs, and integrated ones only if there is no other.

    Source: llama.cpp, `llama_model_load_from_file_impl`.
    """
    gpus = [device for device in found if device.kind in GPUS and device.total_bytes > 0]
    return tuple(gpu for gpu in gpus if gpu.kind is DeviceKind.GPU) or tuple(gpus)


def disk_free(folder: Path) -> int:
    """Return the free bytes on the disk of `folder`, which need not exist yet."""
    import psutil

    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return int(psutil.disk_usage(str(existing)).free)


def ask_in_a_process() -> tuple[Device, ...]:
    """Call `ggml_devices` in a process of its own; empty if that process dies or never answers."""
    try:
        return run_in_subprocess(ggml_devices, seconds=SECONDS_TO_ANSWER)
    except NoAnswer as error:
        log.warning("the devices could not be queried (%s); going on as if there were no GPU", error)
        return ()


def ggml_devices() -> tuple[Device, ...]:
    """List every device of ggml, the CPU included; empty if the native library cannot be loaded."""
    try:
        log_quietly()
        ggml = _registry()
    except (ImportError, OSError, RuntimeError) as error:
        log.warning("ggml cannot be loaded (%s); going on as if there were no GPU", error)
        return ()
    return tuple(_device(ggml, number) for number in range(ggml.ggml_backend_dev_count()))


def gpu_names() -> tuple[str, ...]:
    """List ggml's names of the GPUs without initialising them. For a process that has loaded llama.cpp."""
    if not has_gpu_backend():
        return ()
    ggml = _registry()
    handles = [_handle(ggml, number) for number in range(ggml.ggml_backend_dev_count())]
    return tuple(_name(ggml, handle) for handle in handles if _kind(ggml, handle) in GPUS)


def _device(ggml: ctypes.CDLL, number: int) -> Device:
    handle = _handle(ggml, number)
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    ggml.ggml_backend_dev_memory(handle, ctypes.byref(free), ctypes.byref(total))
    return Device(
        name=_name(ggml, handle),
        description=ggml.ggml_backend_dev_description(handle).decode(errors="replace"),
        kind=_kind(ggml, handle),
        free_bytes=free.value,
        total_bytes=total.value,
    )


def _handle(ggml: ctypes.CDLL, number: int) -> ctypes.c_void_p:
    return ctypes.c_void_p(ggml.ggml_backend_dev_get(ctypes.c_size_t(number)))


def _name(ggml: ctypes.CDLL, handle: ctypes.c_void_p) -> str:
    return str(ggml.ggml_backend_dev_name(handle).decode(errors="replace"))


def _kind(ggml: ctypes.CDLL, handle: ctypes.c_void_p) -> DeviceKind:
    return DeviceKind(ggml.ggml_backend_dev_type(handle))


def _registry() -> ctypes.CDLL:
    ggml = registry()
    ggml.ggml_backend_dev_get.restype = ctypes.c_void_p
    ggml.ggml_backend_dev_name.restype = ctypes.c_char_p
    ggml.ggml_backend_dev_description.restype = ctypes.c_char_p
    return ggml
