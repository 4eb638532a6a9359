"""Python's cyclic garbage collection, in the main thread only.

CPython collects reference cycles in whichever thread happens to allocate. A cycle may hold a widget or a timer, and Qt
destroys these safely only in the thread that they live in; destroyed from a background thread they crash the program.
"""

from __future__ import annotations

import gc

from PySide6.QtCore import QObject, QTimer

INTERVAL_MS = 100
FULL_COLLECTION = 100
"""Ticks between two full collections, whose time grows with all objects; the others look at new objects only."""


class MainThreadCollector(QObject):
    """While it lives, cycles are collected by a timer of the thread that made it: between frames, and nowhere else.

    What exists when this is made (modules and classes) is left out.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        gc.disable()
        gc.freeze()
        self._ticks = 0
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.collect)
        self._timer.start(INTERVAL_MS)

    def collect(self) -> None:
        """Collect what was made since the last call; at every `FULL_COLLECTION`th, all cycles."""
        self._ticks += 1
        gc.collect(1 if self._ticks % FULL_COLLECTION else 2)

    def stop(self) -> None:
        """Return to Python's own automatic collection."""
        self._timer.stop()
        gc.unfreeze()
        gc.enable()
