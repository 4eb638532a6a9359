"""Chooses with how many threads to decode: all, or fewer while other programs keep cores busy.

The threads of a decode meet at hundreds of barriers, so one that shares its core with another program holds up all.
Therefore a decode has a thread for each core that this process could have: those that it keeps busy and the idle ones.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import psutil

INTERVAL = 0.25
"""Seconds of decoding between two looks at the cores, whose times come in steps of 10 ms."""
MOSTLY = 0.75
"""Share of an interval that decodes take at least. Between them another model may work, whose cores are free later."""


class CpuTimes(NamedTuple):
    """Seconds on a clock, of this process on all its cores, and of idleness of all the CPUs that it may use."""

    clock: float
    own: float
    idle: float


def cpu_times() -> CpuTimes:
    every = psutil.cpu_times(percpu=True)
    process = psutil.Process()
    if hasattr(process, "cpu_affinity"):  # macOS has none
        allowed = process.cpu_affinity()
        every = [times for cpu, times in enumerate(every) if cpu in allowed]
    idle = sum(times.idle + getattr(times, "iowait", 0.0) for times in every)
    return CpuTimes(time.perf_counter(), time.process_time(), idle)


class ThreadChoice:
    """`threads` is the number for the next decode, at most `most`."""

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
