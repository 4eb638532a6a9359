"""Python's cyclic garbage collection, in the main thread only.

CPython collects reference cycles in whichever thread happens to allocate. A cycle may hold a widget or a timer, and Qt
destroys these safely only in the thread that they live in; destroyed from a background thread they crash the program.
"""

from __future__ import annotations

import gc

from PySide6.QtCore import QObject, QTimer

INTERVAL_MS = 200


class MainThreadCollector(QObject):
    """While it lives, cycles are collected by a timer of the thread that made it, and by no other thread.

    As with Python's own collector, a generation is collected once its count exceeds its threshold
    (`gc.get_threshold`): the oldest one that is due, since it includes the younger ones. What exists when this is made
    (modules and classes) is left out, so that a full collection is short enough not to be seen.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        gc.disable()
        gc.freeze()
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.collect_due)
        self._timer.start(INTERVAL_MS)

    def collect_due(self) -> int | None:
        """Collect the oldest generation that is due; its number, or None if none is."""
        due = [
            generation
            for generation, (count, threshold) in enumerate(zip(gc.get_count(), gc.get_threshold(), strict=True))
            if threshold and count > threshold
        ]
        if not due:
            return None
        gc.collect(due[-1])
        return due[-1]

    def stop(self) -> None:
        """Return to Python's own automatic collection."""
        self._timer.stop()
        gc.unfreeze()
        gc.enable()
