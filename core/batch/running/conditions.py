"""Measures the conditions under which an answer is written: CPU load by other programs, and threads."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import NamedTuple

import psutil

from baton_reasoning.core.engines.base import Engine
from baton_reasoning.core.run import Pair

_SHORTEST_INTERVAL = 0.25
"""Seconds between two readings: walking through all child processes takes milliseconds."""


class LoadReading(NamedTuple):
    """CPU seconds since the machine started (`busy`) and of this program with its children (`own`), at `time`."""

    time: float
    busy: float
    own: float


class LoadMeter:
    """Measures how busy other programs keep the CPU, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = psutil.Process()
        self._cores = psutil.cpu_count() or 1
        self._before = self._last = self._measure()

    def read(self) -> LoadReading:
        """Take a reading; one from less than a quarter of a second ago is returned again."""
        with self._lock:
            if time.monotonic() - self._last.time >= _SHORTEST_INTERVAL:
                self._before, self._last = self._last, self._measure()
            return self._last

    def others_since(self, start: LoadReading) -> float:
        """Return the share of the whole CPU that other programs used since `start`, 0 to 1."""
        end = self.read()
        if end.time <= start.time:
            start = self._before  # an answer shorter than an interval: take the last interval
        seconds = end.time - start.time
        if seconds <= 0:
            return 0.0
        used = (end.busy - start.busy) - (end.own - start.own)
        return min(1.0, max(0.0, used / (seconds * self._cores)))

    def _measure(self) -> LoadReading:
        times = psutil.cpu_times()
        busy = sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0)
        own = 0.0
        for process in (self._process, *self._children()):
            with suppress(psutil.Error):
                used = process.cpu_times()
                own += used.user + used.system
        return LoadReading(time.monotonic(), busy, own)

    def _children(self) -> list[psutil.Process]:
        try:
            found: list[psutil.Process] = self._process.children(recursive=True)
        except psutil.Error:
            return []
        return found


def threads_of(pair: Pair) -> int:
    """Count the threads of the local model that has most; 0 if both models are on servers or not loaded."""
    return max(_threads(pair.small), _threads(pair.large))


def _threads(engine: Engine | None) -> int:
    return engine.card.placement.threads if engine and engine.card.placement else 0
