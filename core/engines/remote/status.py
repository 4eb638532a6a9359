"""The status of a server: what it is doing for this program right now, to be shown to a person."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
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
    """The state of a server, with its progress or failure; by default it is idle."""

    state: ServerState = ServerState.CONNECTED
    share: float | None = None
    """Of the prompt that has been read, 0 to 1; None while nothing is read, or if the server reports no progress."""
    reason: str = ""
    """Why it is reconnecting, refused or lost, in one sentence."""


class StatusTracker:
    """Tracks the status of each session of an engine; the engine's status is the most important of them.

    Thread-safe.
    """

    def __init__(self, on_change: StatusCallback | None = None) -> None:
        self._on_change = on_change
        self._lock = threading.Lock()
        self._sessions: dict[object, ServerStatus] = {}
        self._last_failure = ServerStatus()
        """How the session that was closed last failed; idle if it did not, and after any later success."""
        self.status = ServerStatus()

    def set(self, session: object, status: ServerStatus) -> None:
        """Set the status of a session. The share of a prompt is rounded to percents, each of which is reported once."""
        with self._changing():
            self._last_failure = ServerStatus()
            if status.state is ServerState.CONNECTED:
                self._sessions.pop(session, None)
            else:
                share = None if status.share is None else round(status.share, 2)
                self._sessions[session] = status._replace(share=share)

    def close(self, session: object) -> None:
        """Forget a session. If it was refused or lost its server, that stays visible until the next success."""
        with self._changing():
            left = self._sessions.pop(session, ServerStatus())
            if left.state is ServerState.REFUSED:
                self._last_failure = left
            elif left.state in (ServerState.RECONNECTING, ServerState.LOST):
                self._last_failure = ServerStatus(ServerState.LOST, reason=left.reason)

    def record_ping(self, found: ServerStatus) -> None:
        """Record what a ping found. Open sessions take precedence; a refusal stays visible."""
        with self._changing():
            if self._last_failure.state is not ServerState.REFUSED:
                self._last_failure = found

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Surround a change of the sessions; then find the status, and report it if it is another."""
        with self._lock:
            yield
            before = self.status
            self.status = most_important(self._sessions.values() or (self._last_failure,))
            has_changed = self.status != before
        if has_changed and self._on_change:
            self._on_change(self.status.state)


def most_important(statuses: Iterable[ServerStatus]) -> ServerStatus:
    """Return the most important status of several sessions, or of several servers."""
    return max(statuses, key=lambda status: _RANK[status.state], default=ServerStatus())
