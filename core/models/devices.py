"""Finds what this machine has to hold models: RAM, disk, and the GPUs that llama.cpp's ggml can use.

ggml has no Python binding for devices, so they are read through ctypes (`ggml-backend.h`: `ggml_backend_dev_*`).
Asking a GPU for its free memory initialises the driver, which takes memory and may crash; so a short-lived process
asks, and only where a GPU backend is installed.

A backend is either linked into llama.cpp's libraries or a plug-in, a library that is loaded at run time. The frozen
program has only plug-ins, among them one CPU library for each generation of processors. llama.cpp's own variable
`GGML_BACKEND_PATH` names one more plug-in.
"""

from __future__ import annotations

import ctypes
import logging
import os
import platform
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from baton_reasoning.core.child_process import NoAnswer, run_in_subprocess

log = logging.getLogger(__name__)

EXTRA_PLUGIN = "GGML_BACKEND_PATH"
LIBRARY_FOLDER = "LLAMA_CPP_LIB_PATH"  # llama-cpp-python's own variable
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

    paths = (folder.absolute(), *folder.absolute().parents)
    existing = next((path for path in paths if path.is_dir()), folder)  # Windows knows no disk of a file
    return int(psutil.disk_usage(str(existing)).free)


# ggml --------------------------------------------------------------------------------------------------------------


def library_folder() -> Path:
    """Return the folder of llama.cpp's libraries. Loads nothing; raises ImportError if there are none."""
    if folder := os.environ.get(LIBRARY_FOLDER):
        return Path(folder)
    spec = find_spec("llama_cpp")
    if spec is None or spec.origin is None:
        raise ImportError("llama_cpp is not installed")
    return Path(spec.origin).parent / "lib"


def has_gpu_backend() -> bool:
    """Return whether a backend other than the CPU's is installed: CUDA, Metal, Vulkan … Loads nothing."""
    if os.environ.get(EXTRA_PLUGIN):
        return True
    try:
        names = {path.name.split(".")[0].removeprefix("lib") for path in library_folder().glob("*ggml-*")}
    except ImportError:
        return False
    return any(not name.startswith(("ggml-base", "ggml-cpu", "ggml-blas")) for name in names)


class Ggml:
    """ggml's functions, each from the first of these libraries that has it: `ggml.ggml_backend_dev_count()`."""

    def __init__(self, *libraries: ctypes.CDLL) -> None:
        self._libraries = libraries

    def __getattr__(self, name: str) -> Any:
        return getattr(next((each for each in self._libraries if hasattr(each, name)), self._libraries[0]), name)


@cache
def registry() -> Ggml:
    """Load llama_cpp and the plug-ins, and return the functions by which the registry is queried.

    The wheel holds each library several times, under names with and without a version. Opening one by its path would
    load a second copy, with a registry that llama.cpp never sees; so llama.cpp's handle is used, which also finds the
    functions of the libraries it depends on. On Windows a library has only its own functions, and a name without a path
    means the library that llama.cpp has loaded.

    Raises ImportError or OSError if the native library cannot be loaded.
    """
    from llama_cpp import llama_cpp as llama

    windows = sys.platform == "win32"
    ggml = Ggml(ctypes.CDLL("ggml.dll"), ctypes.CDLL("ggml-base.dll")) if windows else Ggml(llama._lib)
    for count in (ggml.ggml_backend_dev_count, ggml.ggml_backend_reg_count):
        count.restype = ctypes.c_size_t
    for get in (ggml.ggml_backend_dev_get, ggml.ggml_backend_reg_get):
        get.argtypes, get.restype = [ctypes.c_size_t], ctypes.c_void_p
    for name in (ggml.ggml_backend_dev_name, ggml.ggml_backend_dev_description, ggml.ggml_backend_reg_name):
        name.argtypes, name.restype = [ctypes.c_void_p], ctypes.c_char_p
    ggml.ggml_backend_dev_type.argtypes = [ctypes.c_void_p]
    ggml.ggml_backend_dev_memory.argtypes = [ctypes.c_void_p] * 3
    ggml.ggml_backend_load.restype = ctypes.c_void_p
    if ggml.ggml_backend_dev_count() == 0:  # nothing is linked, not even the CPU: everything is a plug-in
        ggml.ggml_backend_load_all_from_path(os.fsencode(library_folder()))
    elif plugin := os.environ.get(EXTRA_PLUGIN):
        ggml.ggml_backend_load(os.fsencode(plugin))
    return ggml


def log_quietly() -> None:
    """Keep llama.cpp's messages off standard error, to which llama-cpp-python prints them by the level of this logger.

    For a process that only asks for devices: a model's process parses the log.
    """
    logging.getLogger("llama-cpp-python").setLevel(logging.CRITICAL)


def backend_names() -> tuple[str, ...]:
    """List the names of the backends in the registry. Raises as `registry`."""
    ggml = registry()
    handles = map(ggml.ggml_backend_reg_get, range(ggml.ggml_backend_reg_count()))
    return tuple(ggml.ggml_backend_reg_name(handle).decode(errors="replace") for handle in handles)


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
        ggml = registry()
    except (ImportError, OSError, RuntimeError) as error:
        log.warning("ggml cannot be loaded (%s); going on as if there were no GPU", error)
        return ()
    return tuple(_device(ggml, handle) for handle in _handles(ggml))


def gpu_names() -> tuple[str, ...]:
    """List ggml's names of the GPUs without initialising them. For a process that has loaded llama.cpp."""
    if not has_gpu_backend():
        return ()
    ggml = registry()
    gpus = [handle for handle in _handles(ggml) if DeviceKind(ggml.ggml_backend_dev_type(handle)) in GPUS]
    return tuple(ggml.ggml_backend_dev_name(handle).decode(errors="replace") for handle in gpus)


def _handles(ggml: Ggml) -> list[int]:
    return [ggml.ggml_backend_dev_get(number) for number in range(ggml.ggml_backend_dev_count())]


def _device(ggml: Ggml, handle: int) -> Device:
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    ggml.ggml_backend_dev_memory(handle, ctypes.byref(free), ctypes.byref(total))
    return Device(
        name=ggml.ggml_backend_dev_name(handle).decode(errors="replace"),
        description=ggml.ggml_backend_dev_description(handle).decode(errors="replace"),
        kind=DeviceKind(ggml.ggml_backend_dev_type(handle)),
        free_bytes=free.value,
        total_bytes=total.value,
    )
