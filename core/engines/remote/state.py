"""What a server is doing for us right now, for a person to see."""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import Enum


class ServerState(Enum):
    """In order of what matters most to a person when several sessions are at work."""

    CONNECTED = "connected"
    BUSY = "busy"
    READING = "reading"
    WAITING = "waiting for a slot"
    RECONNECTING = "reconnecting"
    REFUSED = "refused"


_RANK = {state: rank for rank, state in enumerate(ServerState)}
Watcher = Callable[[ServerState], None]
"""Called at each change, from whatever thread changed it."""


class StateBoard:
    """The state of each session of an engine, and of the engine as their most telling one."""

    def __init__(self, watcher: Watcher | None = None) -> None:
        self._watcher = watcher
        self._lock = threading.Lock()
        self._states: dict[int, ServerState] = {}
        self._last = ServerState.CONNECTED

    @property
    def state(self) -> ServerState:
        return self._last

    def set(self, session: int, state: ServerState) -> None:
        with self._lock:
            if state is ServerState.CONNECTED:
                self._states.pop(session, None)
            else:
                self._states[session] = state
            telling = max(self._states.values(), key=_RANK.__getitem__, default=ServerState.CONNECTED)
            changed = telling is not self._last
            self._last = telling
        if changed and self._watcher:
            self._watcher(telling)
