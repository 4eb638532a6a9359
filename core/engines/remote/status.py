"""The status of a server: what it is doing for this program right now, to be shown to a person."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable
from enum import Enum
from typing import NamedTuple

RETRYING = "Trying again from the last token that arrived."
"""Ends the notice of a connection that broke."""


class ServerState(Enum):
    """The states of a server, in order of importance to a person when several sessions are at work."""

    CONNECTED = "connected"
    BUSY = "busy"
    READING = "reading"
    WAITING = "waiting for a slot"
    RECONNECTING = "reconnecting"
    REFUSED = "refused"
    LOST = "not answering"
    """All retries failed; no further attempt is made."""


_RANK = {state: rank for rank, state in enumerate(ServerState)}
StatusCallback = Callable[[ServerState], None]
"""Called at each change of state and at each percent of a prompt that is read, from the thread where it happens."""


class ServerStatus(NamedTuple):
    """The state of a server, with its progress, latency or failure."""

    state: ServerState
    share: float | None = None
    """Of the prompt that has been read, 0 to 1; None while nothing is read, or if the server reports no progress."""
    milliseconds: float | None = None
    """Latency of the last ping; None while a request is running."""
    reason: str = ""
    """Why it is reconnecting, refused or lost, in one sentence."""
    attempt: int = 0
    """Failed attempts so far, while it is reconnecting."""
    attempts: int = 0
    """After so many the server is given up."""

    @property
    def rank(self) -> int:
        return _RANK[self.state]


IDLE = ServerStatus(ServerState.CONNECTED)


class StatusTracker:
    """Tracks the status of each session of an engine; the engine's status is the most important of them.

    Thread-safe.
    """

    def __init__(self, on_change: StatusCallback | None = None) -> None:
        self._on_change = on_change
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._sessions: dict[int, ServerStatus] = {}
        self._milliseconds: float | None = None
        self._last_failure = IDLE
        """How the session that was closed last failed; IDLE if it did not, and after any later success."""
        self._status = IDLE

    @property
    def status(self) -> ServerStatus:
        return self._status

    def new_session(self) -> SessionStatus:
        return SessionStatus(self, next(self._numbers))

    def record_ping(self, milliseconds: float | None) -> None:
        """Record the latency of a ping, None for no answer. Open sessions take precedence; a refusal stays visible."""
        with self._lock:
            self._milliseconds = milliseconds
            if self._last_failure.state is not ServerState.REFUSED:
                self._last_failure = IDLE if milliseconds is not None else ServerStatus(ServerState.LOST)
            changed = self._update()
        self._report(changed)

    def set_session(self, number: int, status: ServerStatus) -> None:
        with self._lock:
            self._last_failure = IDLE
            if status.state is ServerState.CONNECTED:
                self._sessions.pop(number, None)
            else:
                self._sessions[number] = status
            changed = self._update()
        self._report(changed)

    def close_session(self, number: int) -> None:
        """Close a session. If it was refused or lost its server, that stays visible until the next success."""
        with self._lock:
            left = self._sessions.pop(number, IDLE)
            if left.state is ServerState.REFUSED:
                self._last_failure = left
            elif left.state in (ServerState.RECONNECTING, ServerState.LOST):
                self._last_failure = ServerStatus(ServerState.LOST, reason=left.reason)
            changed = self._update()
        self._report(changed)

    def _update(self) -> bool:
        before, self._status = self._status, most_important(self._sessions.values() or (self._last_failure,))
        if self._status == IDLE:
            self._status = ServerStatus(ServerState.CONNECTED, milliseconds=self._milliseconds)
        return self._status != before

    def _report(self, changed: bool) -> None:
        if changed and self._on_change:
            self._on_change(self._status.state)


class SessionStatus:
    """One session's entry in a StatusTracker."""

    def __init__(self, tracker: StatusTracker, number: int) -> None:
        self._tracker = tracker
        self._number = number

    def set(self, state: ServerState, share: float | None = None) -> None:
        rounded = None if share is None else round(share, 2)
        self._tracker.set_session(self._number, ServerStatus(state, rounded))

    def fail(self, state: ServerState, reason: str, attempt: int = 0, attempts: int = 0) -> None:
        """Set a state of failure: reconnecting, refused or lost."""
        status = ServerStatus(state, reason=reason, attempt=attempt, attempts=attempts)
        self._tracker.set_session(self._number, status)

    def close(self) -> None:
        self._tracker.close_session(self._number)


def most_important(statuses: Iterable[ServerStatus]) -> ServerStatus:
    """Return the most important status of several sessions, or of several servers."""
    return max(statuses, key=lambda status: status.rank, default=IDLE)
