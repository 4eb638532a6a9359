"""Timers that run once."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, QTimer


def single_shot_timer(owner: QObject, milliseconds: int, act: Callable[[], object]) -> QTimer:
    """Make a timer that calls `act` once, so long after each `start`. It ends with its owner."""
    timer = QTimer(owner)
    timer.setSingleShot(True)
    timer.setInterval(milliseconds)
    timer.timeout.connect(act)
    return timer
