"""How many threads a model's process decodes with while other programs are busy, and pools that keep the threads.

As in llama.cpp (`common_cpu_get_num_math`): one for each physical core, of hybrid processors each performance core.
Threads on efficiency cores would hold up the others at each of the hundreds of barriers of a token, and a core's
second hyper-thread adds nothing. Unlike llama.cpp only the cores count that this process may use.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from llama_cpp import llama_cpp as ll

from baton_reasoning.core.models.devices import registry

_SYSFS = Path("/sys")
INTERVAL = 0.25
"""Seconds of decoding between two looks at the cores, whose times come in steps of 10 ms."""
MOSTLY = 0.75
"""Share of an interval that decodes take at least. Between them another model may work, whose cores are free later."""


def default_threads(sysfs: Path = _SYSFS) -> int:
    """Count the physical performance cores that this process may use; at least 1."""
    allowed = _allowed_cpus()
    count = _fast_cores(allowed, sysfs) or _cores_of_a_mac() or psutil.cpu_count(logical=False) or len(allowed)
    return max(1, min(count, len(allowed), _container_quota(sysfs)))


def _allowed_cpus() -> set[int]:
    """The processors, as the system counts them, that this process may use."""
    try:
        return set(psutil.Process().cpu_affinity())
    except AttributeError:  # macOS has no affinity
        return set(range(os.cpu_count() or 1))


def _fast_cores(allowed: set[int], sysfs: Path) -> int:
    """Count the cores by what Linux says of them; 0 if it says nothing."""
    hybrid = _text(sysfs / "devices/cpu_core/cpus")  # the performance cores of a hybrid of Intel's
    cpus = {cpu: sysfs / f"devices/system/cpu/cpu{cpu}" for cpu in allowed & _listed(hybrid) or allowed}
    capacities = {cpu: int(_text(folder / "cpu_capacity") or 0) for cpu, folder in cpus.items()}
    # On ARM the cores are of two or three kinds, and the slowest sets the pace of all.
    fast = [cpu for cpu, capacity in capacities.items() if 3 * capacity >= 2 * max(capacities.values())]
    return len({_text(cpus[cpu] / "topology/thread_siblings_list") for cpu in fast} - {""})


def _listed(cpus: str) -> set[int]:
    """Parse a list of the kernel's such as `0-3,8`."""
    ranges = [part.split("-") for part in cpus.split(",") if part]
    return {cpu for ends in ranges for cpu in range(int(ends[0]), int(ends[-1]) + 1)}


def _cores_of_a_mac() -> int:
    if sys.platform != "darwin":
        return 0
    count, size = ctypes.c_int(0), ctypes.c_size_t(ctypes.sizeof(ctypes.c_int))
    name = b"hw.perflevel0.physicalcpu"
    ctypes.CDLL(None).sysctlbyname(name, ctypes.byref(count), ctypes.byref(size), None, ctypes.c_size_t(0))
    return count.value  # 0 on Intel's, which have one kind


def _container_quota(sysfs: Path) -> int:
    """The whole cores that a container (cgroup v2) may keep busy."""
    quota, _, period = _text(sysfs / "fs/cgroup/cpu.max").partition(" ")
    return max(1, int(quota) // int(period)) if quota.isdigit() else sys.maxsize


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except OSError:
        return ""


class CpuTimes(NamedTuple):
    """Seconds on a clock, of this process on all its cores, and of idleness of all the CPUs that it may use."""

    clock: float
    own: float
    idle: float


def cpu_times() -> CpuTimes:
    allowed = _allowed_cpus()
    every = [times for cpu, times in enumerate(psutil.cpu_times(percpu=True)) if cpu in allowed]
    idle = sum(times.idle + getattr(times, "iowait", 0.0) for times in every)
    return CpuTimes(time.perf_counter(), time.process_time(), idle)


class ThreadChoice:
    """`threads` is the number for the next decode, at most `most`: fewer while other programs keep cores busy.

    The threads of a decode meet at hundreds of barriers, so one that shares its core with another program holds up all.
    Therefore a decode has a thread for each core that this process could have: those that it keeps busy and the idle
    ones.
    """

    def __init__(self, most: int, times: Callable[[], CpuTimes] = cpu_times) -> None:
        self.threads = most
        self._most = most
        self._times = times
        self._before = times()
        self._decoding = 0.0
        """Seconds of decodes since then."""

    def record(self, seconds: float) -> None:
        """Take in what the last decode took, and choose anew if an interval is over."""
        self._decoding += seconds
        if self._decoding < INTERVAL:
            return
        before, now = self._before, self._times()
        elapsed = now.clock - before.clock
        if now.idle and self._decoding >= MOSTLY * elapsed:  # some sandboxes show no idle time at all
            cores = (now.own - before.own + now.idle - before.idle) / elapsed
            self.threads = min(max(round(cores), 1), self._most)
        self._before, self._decoding = now, 0.0


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


def attach_pool(context: Any, threads: int) -> None:
    """Let a context decode with a pool of so many threads; with OpenMP, which has one, this does nothing.

    A build without OpenMP, as on a Mac, starts its threads anew for each decode, unless it is given a pool of them: on
    two cores a model of 135M wrote 83 tokens a second without and 116 with one, a model of 1.5B 26 and 27. By default
    the threads of a pool poll for 0.2 s after each decode, which takes the cores from the other model. One step of
    polling, some milliseconds, is as fast. Contexts that decode in turn share a pool.
    """
    if not uses_openmp():
        pool = _pool(threads)
        ll._lib.llama_attach_threadpool(ctypes.c_void_p(context), pool, pool)  # the binding lacks it


def uses_openmp() -> bool:
    """On Windows every compiler that llama.cpp supports has it."""
    return sys.platform == "win32" or b"OPENMP = 1" in ll.llama_print_system_info()


@cache
def _pool(threads: int) -> ctypes.c_void_p:
    ggml = registry()
    ggml.ggml_backend_reg_by_name.restype = ctypes.c_void_p
    ggml.ggml_backend_reg_get_proc_address.restype = ctypes.c_void_p
    cpu = ctypes.c_void_p(ggml.ggml_backend_reg_by_name(b"CPU"))
    address = ggml.ggml_backend_reg_get_proc_address(cpu, b"ggml_threadpool_new")
    new = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.POINTER(_Params))(address)
    return ctypes.c_void_p(new(ctypes.byref(_Params(n_threads=threads, poll=POLL))))
