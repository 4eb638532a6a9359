"""Opens the registry of ggml's backends (`ggml-backend.h`): the one that llama.cpp uses, with its plug-ins loaded.

A backend is either linked into llama.cpp's libraries or a plug-in, a library that is loaded at run time. The frozen
program has only plug-ins, among them one CPU library for each generation of processors. llama.cpp's own variable
`GGML_BACKEND_PATH` names one more plug-in.
"""

from __future__ import annotations

import ctypes
import logging
import os
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

log = logging.getLogger(__name__)

EXTRA_PLUGIN = "GGML_BACKEND_PATH"
LIBRARY_FOLDER = "LLAMA_CPP_LIB_PATH"  # llama-cpp-python's own variable


@cache
def registry() -> ctypes.CDLL:
    """Load llama_cpp and the plug-ins, and return the library through which the registry is queried.

    The wheel holds each library several times, under names with and without a version. Opening one by its path would
    load a second copy, with a registry that llama.cpp never sees; so llama.cpp's handle is used, which also finds the
    symbols of the libraries it depends on. Windows searches one library only, and has no such copies.

    Raises ImportError or OSError if the native library cannot be loaded.
    """
    from llama_cpp import llama_cpp as llama

    ggml: ctypes.CDLL = ctypes.CDLL(str(library_folder() / "ggml.dll")) if sys.platform == "win32" else llama._lib
    ggml.ggml_backend_dev_count.restype = ctypes.c_size_t
    ggml.ggml_backend_load.restype = ctypes.c_void_p
    if ggml.ggml_backend_dev_count() == 0:  # nothing is linked, not even the CPU: everything is a plug-in
        ggml.ggml_backend_load_all_from_path(os.fsencode(library_folder()))
    elif plugin := os.environ.get(EXTRA_PLUGIN):
        ggml.ggml_backend_load(os.fsencode(plugin))
    return ggml


_LOG_CALLBACKS: list[object] = []
"""Kept alive: llama.cpp calls the last one as long as the process lives."""


@cache
def log_quietly() -> None:
    """Send the messages of this process's llama.cpp and ggml to `logging` instead of standard error.

    For a process that only asks for devices: a model's process parses the log. Raises as `registry`.
    """
    from llama_cpp import llama_cpp as llama

    def write(_level: int, text: bytes, _data: object) -> None:
        log.debug(text.decode(errors="replace").rstrip())

    callback = llama.llama_log_callback(write)
    _LOG_CALLBACKS.append(callback)
    llama.llama_log_set(callback, ctypes.c_void_p(0))


def backend_names() -> tuple[str, ...]:
    """List the names of the backends in the registry. Raises as `registry`."""
    ggml = registry()
    ggml.ggml_backend_reg_get.restype = ctypes.c_void_p
    ggml.ggml_backend_reg_name.restype = ctypes.c_char_p
    ggml.ggml_backend_reg_name.argtypes = [ctypes.c_void_p]
    ggml.ggml_backend_reg_count.restype = ctypes.c_size_t
    handles = [ggml.ggml_backend_reg_get(ctypes.c_size_t(number)) for number in range(ggml.ggml_backend_reg_count())]
    return tuple(ggml.ggml_backend_reg_name(handle).decode(errors="replace") for handle in handles)


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
