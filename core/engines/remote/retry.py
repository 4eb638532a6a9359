"""Decides when a failed request is sent again, and how long to wait for a server.

No retry library fits: a token that arrives resets the count, and a server that loads its model has a budget of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from baton_reasoning.core.engines.remote.failures import NotReady
from baton_reasoning.core.errors import EngineLost


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Time-outs and pauses, all in seconds."""

    connect: float = 5.0
    answer: float = 30.0
    """For a short question (tokenise, properties)."""
    first_token: float = 1800.0
    """Without any progress: other users may occupy all slots, and a long prompt is read for minutes."""
    between_tokens: float = 120.0
    notice_every: float = 10.0
    """While nothing arrives, progress is reported this often."""
    tries: int = 8
    """Failures in a row, without a token in between, before the server is given up."""
    first_pause: float = 0.5
    """Doubled at each failure, up to `longest_pause`."""
    longest_pause: float = 3.0
    loading: float = 300.0
    """In all, while the server answers that it is not ready (503, 429)."""


class RetryState:
    """Counts the failures of one request."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self.failures = 0
        self._waited_for_loading = 0.0

    def progressed(self) -> None:
        self.failures = 0
        self._waited_for_loading = 0.0

    def pause_after(self, error: EngineLost) -> float:
        """Return the seconds until the next attempt. Raises the error after the last attempt that is allowed."""
        policy = self._policy
        pause = min(policy.first_pause * 2.0**self.failures, policy.longest_pause)
        self.failures += 1
        if isinstance(error, NotReady):
            self._waited_for_loading += pause
            if self._waited_for_loading > policy.loading:
                raise error
        elif self.failures >= policy.tries:
            raise error
        return pause
