"""What a server is doing for us right now, for a person to see."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from enum import Enum
from typing import NamedTuple


class ServerState(Enum):
    """In order of what matters most to a person when several sessions are at work."""

    CONNECTED = "connected"
    BUSY = "busy"
    READING = "reading"
    WAITING = "waiting for a slot"
    RECONNECTING = "reconnecting"
    REFUSED = "refused"
    LOST = "not answering"
    """It was given up: nobody tries to reconnect any more."""


_RANK = {state: rank for rank, state in enumerate(ServerState)}
StatusCallback = Callable[[ServerState], None]
"""Called at each change of state, and at each percent of a text that is read, from whatever thread it happens in."""


class ServerStatus(NamedTuple):
    """What a server does for us, and how far it is with that."""

    state: ServerState
    share: float | None = None
    """Of the text that it reads, 0 to 1; None where nothing is read, or it does not tell."""
    milliseconds: float | None = None
    """That it took for a short question, when it was last looked at; told while nothing is asked of it."""

    @property
    def rank(self) -> int:
        return _RANK[self.state]


IDLE = ServerStatus(ServerState.CONNECTED)


class StatusTracker:
    """The state of each session of an engine, and of the engine as their most telling one."""

    def __init__(self, watcher: StatusCallback | None = None) -> None:
        self._watcher = watcher
        self._lock = threading.Lock()
        self._doings: dict[int, ServerStatus] = {}
        self._milliseconds: float | None = None
        self._aftermath = IDLE
        """What the session that was closed last ended in, if it ended badly; until there is other news."""
        self._last = IDLE

    @property
    def state(self) -> ServerState:
        return self._last.state

    @property
    def doing(self) -> ServerStatus:
        return self._last

    def set(self, session: int, state: ServerState, share: float | None = None) -> None:
        with self._lock:
            self._aftermath = IDLE
            if state is ServerState.CONNECTED:
                self._doings.pop(session, None)
            else:
                self._doings[session] = ServerStatus(state, None if share is None else round(share, 2))
            changed = self._weigh()
        self._tell(changed)

    def leave(self, session: int) -> None:
        """The session is closed. That it was refused, or lost its server, is to be seen until there is other news."""
        with self._lock:
            left = self._doings.pop(session, IDLE)
            if left.state is ServerState.REFUSED:
                self._aftermath = left
            elif left.state is ServerState.RECONNECTING:
                self._aftermath = ServerStatus(ServerState.LOST)
            changed = self._weigh()
        self._tell(changed)

    def looked_at(self, milliseconds: float | None) -> None:
        """Somebody asked whether the server is there: how long that took, None if it is not. Open sessions know better;
        and what was refused stays refused."""
        with self._lock:
            self._milliseconds = milliseconds
            if self._aftermath.state is not ServerState.REFUSED:
                self._aftermath = IDLE if milliseconds is not None else ServerStatus(ServerState.LOST)
            changed = self._weigh()
        self._tell(changed)

    def _weigh(self) -> bool:
        doings = self._doings.values() or (self._aftermath,)
        before, self._last = self._last, most_telling(doings)
        if self._last == IDLE:
            self._last = ServerStatus(ServerState.CONNECTED, milliseconds=self._milliseconds)
        return self._last != before

    def _tell(self, changed: bool) -> None:
        if changed and self._watcher:
            self._watcher(self._last.state)


def most_telling(doings: Iterable[ServerStatus]) -> ServerStatus:
    """Of several sessions, or several servers."""
    return max(doings, key=lambda doing: doing.rank, default=IDLE)
