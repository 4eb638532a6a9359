"""Watches the process of a model while it runs: its heartbeat, and the files that it has mapped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

PAUSE = 1.5
"""Seconds between two checks after which the program itself must have been stopped, or the machine asleep."""


class Heartbeat:
    """Measures how long a process has been silent, without the time in which this program could not listen."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._heard = self._looked = clock()

    def beat(self) -> None:
        self._heard = self._clock()

    def silence(self) -> float:
        """Return the seconds of silence. Call it at least once a second: a longer pause is this program's own, and
        restarts the count."""
        now = self._clock()
        if now - self._looked > PAUSE:
            self._heard = now
        self._looked = now
        return now - self._heard


class _State(NamedTuple):
    device: int
    inode: int
    size: int
    modified: int
    """Nanoseconds."""


class ModelFiles:
    """The files of a model, as they were when its process was started.

    llama.cpp maps them into memory: what is written over a file appears in the weights, so a model whose file was
    overwritten would go on with zeros. A file that another one has replaced stays mapped, but cannot be loaded again.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._states = {path: _state(path) for path in paths}

    def were_overwritten(self) -> bool:
        """Return whether the mapped weights may have changed. Takes microseconds."""
        return any(
            before and (now := _state(path)) and now != before and now[:2] == before[:2]
            for path, before in self._states.items()
        )

    def are_others(self) -> bool:
        """Return whether a file was replaced, changed or deleted."""
        return any(_state(path) != before for path, before in self._states.items())


def _state(path: Path) -> _State | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return _State(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
