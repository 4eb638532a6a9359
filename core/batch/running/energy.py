"""Measures the energy that the whole machine uses while texts are written: its processors, and NVIDIA GPUs.

Processors: RAPL through Linux's powercap (Documentation/power/powercap/powercap.rst). `energy_uj` counts microjoules,
and begins again at 0 after `max_energy_range_uj`, which may take only minutes. GPUs: NVML's
`nvmlDeviceGetTotalEnergyConsumption`, in millijoules since the driver was loaded.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from baton_reasoning.core.text import counted
from baton_reasoning.core.version import how_to_install

POWERCAP = Path("/sys/class/powercap")
_ONLY_ROOT = "only root may read the counters; to allow it: sudo chmod a+r /sys/class/powercap/*/energy_uj"


class EnergyCounter(NamedTuple):
    read: Callable[[], int]
    """Raises OSError if it is gone."""
    joules: float
    """Of one unit."""
    range: int = 0
    """The highest value, after which it begins again at 0; 0 if it never does."""

    def joules_between(self, before: int, now: int) -> float:
        if now < before:
            now += self.range
        return (now - before) * self.joules


class EnergyCounters(NamedTuple):
    """The counters of a machine; what they measure, and what is not measured and why, both as part of a sentence."""

    counters: tuple[EnergyCounter, ...] = ()
    measured: str = ""
    missing: str = ""


OF_SERVERS = EnergyCounters(missing="a model is on a server, whose energy is not known here")


def find_counters(powercap: Path = POWERCAP) -> EnergyCounters:
    """Find the counters that this program may read."""
    found = [_processors(powercap), _gpus()]
    return EnergyCounters(
        tuple(counter for each in found for counter in each.counters),
        " and ".join(each.measured for each in found if each.measured),
        "; ".join(each.missing for each in found if each.missing),
    )


class EnergyMeter:
    """Shares the energy equally among the texts that are written at the same moment, from any thread.

    Only the energy of a text that was written alone is its own; but all together are what the machine used.
    """

    def __init__(self, counters: tuple[EnergyCounter, ...]) -> None:
        self._counters = counters
        self._lock = threading.Lock()
        self._joules: dict[int, float] = {}
        """Of each text that is being written, by its job."""
        self._last: list[int] = []
        """The values of the counters when they were last read."""
        self.update()

    def begin(self, job: int) -> None:
        self.update()
        with self._lock:
            self._joules[job] = 0.0

    def end(self, job: int) -> float | None:
        """Return the joules of the text since it began; None if they were not measured to the end."""
        self.update()
        with self._lock:
            joules = self._joules.pop(job, None)
            return joules if self._counters else None

    def update(self) -> None:
        """Read the counters. Call it more often than they begin again."""
        with self._lock:
            try:
                now = [counter.read() for counter in self._counters]
            except OSError:
                self._counters, self._last = (), []  # a driver was restarted, or the permission was taken away
                return
            used = sum(
                counter.joules_between(*values)
                for counter, *values in zip(self._counters, self._last or now, now, strict=True)
            )
            self._last = now
            for job in self._joules:
                self._joules[job] += used / len(self._joules)


def _processors(powercap: Path) -> EnergyCounters:
    try:
        counters = tuple(_zones(powercap))
    except PermissionError:
        return EnergyCounters(missing=_ONLY_ROOT)
    except (OSError, ValueError) as error:
        return EnergyCounters(missing=f"the counters of the processor cannot be read ({error})")
    if not counters:
        return EnergyCounters(missing="this system has no counters of the processor's energy (RAPL)")
    return EnergyCounters(counters, "processor by RAPL")


def _zones(powercap: Path) -> Iterator[EnergyCounter]:
    """Yield the counters of processors, and of memory where that is apart; cores are parts of a processor.

    Raises OSError, ValueError for one that cannot be read.
    """
    for zone in sorted(powercap.glob("intel-rapl:*")):
        name = (zone / "name").read_text().strip()
        if name.startswith("package") or name == "dram":
            file = zone / "energy_uj"
            counter = EnergyCounter(partial(_number_in, file), 1e-6, _number_in(zone / "max_energy_range_uj"))
            counter.read()
            yield counter


def _number_in(file: Path) -> int:
    return int(file.read_text())


def _gpus() -> EnergyCounters:
    if not shutil.which("nvidia-smi"):
        return EnergyCounters()  # there is no driver
    try:
        import pynvml
    except ImportError:
        return EnergyCounters(missing=f"the GPU needs a package. {how_to_install('energy')}")

    def read(gpu: Any) -> int:
        try:
            return int(pynvml.nvmlDeviceGetTotalEnergyConsumption(gpu))
        except pynvml.NVMLError as error:
            raise OSError(str(error)) from error

    try:
        pynvml.nvmlInit()
        gpus = [pynvml.nvmlDeviceGetHandleByIndex(number) for number in range(pynvml.nvmlDeviceGetCount())]
        counters = tuple(EnergyCounter(partial(read, gpu), 1e-3) for gpu in gpus)
        for counter in counters:
            counter.read()
    except (pynvml.NVMLError, OSError) as error:
        return EnergyCounters(missing=f"NVML does not tell the energy of the GPU ({error})")
    return EnergyCounters(counters, f"{counted(len(counters), 'GPU')} by NVML" if counters else "")
