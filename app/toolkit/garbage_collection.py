"""Python's cyclic garbage collection, in the main thread only.

CPython collects reference cycles in whichever thread happens to allocate. A cycle may hold a widget or a timer, and Qt
destroys these safely only in the thread that they live in; destroyed from a background thread they crash the program.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

from PySide6.QtCore import QObject, QTimer

INTERVAL_MS = 100
GROWTH = 1.25
"""A full collection, whose time grows with all objects, waits until the long-lived ones have grown so much."""
PAUSE_AT_WORK = 60
"""Seconds between two full collections while the program works, when they are seen as a halt: 100 ms with an answer of
20,000 steps. While it rests, none is waited for."""
MIDDLE_THRESHOLD = 2
"""Collections of the youngest generation, after more than which the middle one is due. A tick finds fifty times the
objects that Python's own collector does; after ten of them, as there, the middle one would take 30 ms."""
RESTING = 0.2
"""Seconds of processor time a second below which the program rests."""


class MainThreadCollector(QObject):
    """While it lives, cycles are collected by a timer of the thread that made it, and by no other thread.

    As with Python's own collector, a generation is collected once its count exceeds its threshold
    (`gc.get_threshold`), but the oldest one only if there are a quarter more objects in it than after its last
    collection. What exists when this is made (modules and classes) is left out.
    """

    def __init__(
        self,
        parent: QObject | None = None,
        worked: Callable[[], float] = time.process_time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`worked`: seconds of processor time that this process has taken."""
        super().__init__(parent)
        self._worked, self._clock = worked, clock
        self._last_tick = worked(), clock()
        gc.disable()
        gc.freeze()
        self._own_thresholds = gc.get_threshold()
        gc.set_threshold(self._own_thresholds[0], MIDDLE_THRESHOLD, self._own_thresholds[2])
        self._long_lived = 0
        """Objects that were left by the last full collection."""
        self._counted_at = 0, clock()
        """The oldest generation's count and the time when its objects were last counted."""
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.collect_due)
        self._timer.start(INTERVAL_MS)

    def collect_due(self) -> int | None:
        """Collect the oldest generation that is due, the younger ones with it; its number, or None if none is."""
        rests = self._rests()
        counts, thresholds = gc.get_count(), gc.get_threshold()
        due = [generation for generation in range(3) if 0 < thresholds[generation] < counts[generation]]
        if 2 in due and not self._has_grown(counts[2], rests):
            due.remove(2)
        if not due:
            return None
        gc.collect(due[-1])
        if due[-1] == 2:
            self._long_lived = len(gc.get_objects(generation=2))
            self._counted_at = 0, self._clock()
        return due[-1]

    def _has_grown(self, count: int, rests: bool) -> bool:
        """Whether the long-lived objects have grown so much that a full collection is worth it. To count 300,000 takes
        13 ms, so it is not done again until a younger collection has left some more, nor in the midst of work."""
        now = self._clock()
        counted, then = self._counted_at
        if count == counted or not (rests or now - then >= PAUSE_AT_WORK):
            return False
        self._counted_at = count, now
        return len(gc.get_objects(generation=2)) >= GROWTH * self._long_lived

    def _rests(self) -> bool:
        """Whether the program has done little since the last tick."""
        (worked, then), now = self._last_tick, (self._worked(), self._clock())
        self._last_tick = now
        return now[0] - worked < RESTING * (now[1] - then)

    def stop(self) -> None:
        """Return to Python's own automatic collection."""
        self._timer.stop()
        gc.set_threshold(*self._own_thresholds)
        gc.unfreeze()
        gc.enable()
