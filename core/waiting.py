"""Waits that Ctrl+C ends on every system.

Python handles a signal in the main thread, between two of its steps. On Windows no signal wakes a thread that waits for
a lock, and so for a queue or a future: it would be heard with the next reply of a model, after minutes perhaps.
"""

from __future__ import annotations

import queue
from collections.abc import Generator, Sequence
from concurrent.futures import Future
from time import monotonic
from typing import TypeVar

Item = TypeVar("Item")

STEP = 0.2
"""Seconds between two moments at which a signal is handled."""


def taken(items: queue.SimpleQueue[Item], seconds: float | None = None) -> Item:
    """Take the next item of a queue. Raises queue.Empty if there is none within `seconds`; None: wait for ever."""
    deadline = None if seconds is None else monotonic() + seconds
    while True:
        left = STEP if deadline is None else max(deadline - monotonic(), 0)
        try:
            return items.get(timeout=min(left, STEP))
        except queue.Empty:
            if left < STEP:
                raise


def completed(futures: Sequence[Future[Item]]) -> Generator[Future[Item], None, None]:
    """Yield futures as they end; if it is closed before, those that have not begun are cancelled."""
    ended: queue.SimpleQueue[Future[Item]] = queue.SimpleQueue()
    for future in futures:
        future.add_done_callback(ended.put)
    try:
        for _ in futures:
            yield taken(ended)
    finally:
        for future in futures:
            future.cancel()
