"""How many threads a model's process decodes with, and how long they wait for each other before they sleep.

As in llama.cpp (`common_cpu_get_num_math`): one for each physical core, of hybrid processors each performance core.
Threads on efficiency cores would hold up the others at each of the hundreds of barriers of a token, and a core's
second hyper-thread adds nothing. Unlike llama.cpp only the cores count that this process may use.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil

_SYSFS = Path("/sys")

SPIN = {"GOMP_SPINCOUNT": "10000", "KMP_BLOCKTIME": "1"}
"""What bounds the spinning of threads that wait, in GCC's and LLVM's OpenMP (there: milliseconds).

By default they spin for milliseconds, which a thread that waits for its core does not get. Measured on two cores with a
model of 1.5B / of 135M, tokens a second: 14 / 180 idle, but 2 beside one busy process. 10,000 rounds, some tenths of a
millisecond, leave 14 / 177 idle, and 5 / 26 beside it. 1,000 leave 7 beside it, but 132 of the 180: the barriers of a
small model are so close that sleeping costs more than waiting. With 100,000 it is 3 / 11.
"""


def spin_variables(environment: Mapping[str, str] = os.environ) -> Mapping[str, str]:
    """Return what a model's process gets in its environment besides: `SPIN`, unless a person chose how threads wait."""
    chosen = any(name in environment for name in ("OMP_WAIT_POLICY", *SPIN))
    return {} if chosen else SPIN


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
