"""Limits how often the process of a model is restarted after it died."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

MOST = 6
SECONDS = 600.0


class RestartPolicy:
    """One restart between two successes, and at most `most` in `seconds`; else the process counts as lost.

    A success is a request that ended by itself, or that the caller closed after its first token: a takeover always
    ends that way.
    """

    def __init__(self, most: int = MOST, seconds: float = SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._seconds = seconds
        self._clock = clock
        self._restarts: deque[float] = deque()
        self._succeeded = True

    def allows_restart(self) -> bool:
        """Return whether the process may be restarted now; True counts as a restart."""
        now = self._clock()
        while self._restarts and self._restarts[0] <= now - self._seconds:
            self._restarts.popleft()
        if not self._succeeded or len(self._restarts) >= self._most:
            return False
        self._succeeded = False
        self._restarts.append(now)
        return True

    def succeeded(self) -> None:
        self._succeeded = True
