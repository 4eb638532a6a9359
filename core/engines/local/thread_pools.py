"""Gives contexts threads that stay, where llama.cpp was built without OpenMP, as on a Mac.

Such a build starts its threads anew for each decode, unless it is given a pool of them: on two cores a model of 135M
wrote 83 tokens a second without and 116 with one, a model of 1.5B 26 and 27. By default the threads of a pool poll for
0.2 s after each decode, which takes the cores from the other model. One step of polling, some milliseconds, is as fast.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

from llama_cpp import llama_cpp as ll

from baton_reasoning.core.models.devices import registry

POLL = 1


class _Params(ctypes.Structure):
    """`ggml_threadpool_params` (ggml.h). Zeros are its defaults, apart from `poll`."""

    _fields_ = (
        ("cpumask", ctypes.c_bool * 512),
        ("n_threads", ctypes.c_int),
        ("prio", ctypes.c_int),
        ("poll", ctypes.c_uint32),
        ("strict_cpu", ctypes.c_bool),
        ("paused", ctypes.c_bool),
    )


class ThreadPools:
    """One pool for each number of threads that is used. Contexts that decode in turn share them."""

    def __init__(self) -> None:
        self._pools: dict[int, ctypes.c_void_p] = {}

    def attach(self, context: Any, threads: int) -> None:
        """Let a context decode with a pool of so many threads; with OpenMP, which has one, this does nothing."""
        if uses_openmp():
            return
        if threads not in self._pools:
            self._pools[threads] = _new_pool(threads)
        pool = self._pools[threads]
        ll._lib.llama_attach_threadpool(ctypes.c_void_p(context), pool, pool)  # the binding lacks it


def uses_openmp() -> bool:
    """On Windows every compiler that llama.cpp supports has it."""
    return sys.platform == "win32" or b"OPENMP = 1" in ll.llama_print_system_info()


def _new_pool(threads: int) -> ctypes.c_void_p:
    ggml = registry()
    ggml.ggml_backend_reg_by_name.restype = ctypes.c_void_p
    ggml.ggml_backend_reg_get_proc_address.restype = ctypes.c_void_p
    cpu = ctypes.c_void_p(ggml.ggml_backend_reg_by_name(b"CPU"))
    address = ggml.ggml_backend_reg_get_proc_address(cpu, b"ggml_threadpool_new")
    new = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.POINTER(_Params))(address)
    return ctypes.c_void_p(new(ctypes.byref(_Params(n_threads=threads, poll=POLL))))
