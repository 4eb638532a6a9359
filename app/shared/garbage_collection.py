"""Python's cyclic garbage collection, in the main thread only.

CPython collects reference cycles in whichever thread happens to allocate. A cycle may hold a widget or a timer, and Qt
destroys these safely only in the thread that they live in; destroyed from a background thread they crash the program.
"""

from __future__ import annotations

import gc

from PySide6.QtCore import QObject, QTimer

INTERVAL_MS = 100
GROWTH = 1.25
"""A full collection, whose time grows with all objects, waits until the long-lived ones have grown so much."""


class MainThreadCollector(QObject):
    """While it lives, cycles are collected by a timer of the thread that made it, and by no other thread.

    As with Python's own collector, a generation is collected once its count exceeds its threshold
    (`gc.get_threshold`), the oldest one only if there are a quarter more objects in it than after its last collection.
    What exists when this is made (modules and classes) is left out.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        gc.disable()
        gc.freeze()
        self._long_lived = 0
        """Objects that were left by the last full collection."""
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.collect_due)
        self._timer.start(INTERVAL_MS)

    def collect_due(self) -> int | None:
        """Collect the oldest generation that is due, the younger ones with it; its number, or None if none is."""
        counts, thresholds = gc.get_count(), gc.get_threshold()
        due = [generation for generation in range(3) if 0 < thresholds[generation] < counts[generation]]
        if 2 in due and len(gc.get_objects(generation=2)) < GROWTH * self._long_lived:
            due.remove(2)
        if not due:
            return None
        gc.collect(due[-1])
        if due[-1] == 2:
            self._long_lived = len(gc.get_objects(generation=2))
        return due[-1]

    def stop(self) -> None:
        """Return to Python's own automatic collection."""
        self._timer.stop()
        gc.unfreeze()
        gc.enable()
