"""A folder like /sys/class/powercap whose counters a test sets."""

from __future__ import annotations

import threading
from pathlib import Path

RANGE = 1_000_000_000
"""Microjoules after which the counters begin again."""


class Powercap:
    """One processor with a core zone inside it, and memory apart."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        for zone, name in (("intel-rapl:0", "package-0"), ("intel-rapl:0:0", "core"), ("intel-rapl:0:1", "dram")):
            (folder / zone).mkdir(parents=True)
            (folder / zone / "name").write_text(f"{name}\n")
            (folder / zone / "max_energy_range_uj").write_text(f"{RANGE}\n")
            self.set(zone, 0)

    def set(self, zone: str, microjoules: int) -> None:
        # In one step, as the kernel does: no reader sees an empty file.
        new = self.folder / zone / "new"
        new.write_text(f"{microjoules}\n")
        new.replace(self.folder / zone / "energy_uj")

    def use(self, joules: float) -> None:
        """Let the processor use energy; its core takes half of it."""
        with self._lock:
            for zone, part in (("intel-rapl:0", 1.0), ("intel-rapl:0:0", 0.5)):
                before = int((self.folder / zone / "energy_uj").read_text())
                self.set(zone, (before + round(joules * part * 1e6)) % RANGE)
