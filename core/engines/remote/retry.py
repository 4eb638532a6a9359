"""How long a server is waited for, and when it is asked again."""

from __future__ import annotations

from dataclasses import dataclass

from core.engines.remote.failures import NotReady
from core.errors import EngineLost


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """All in seconds."""

    connect: float = 5.0
    answer: float = 30.0
    """For a short question (tokenise, properties)."""
    first_token: float = 1800.0
    """Without any sign of progress: a slot may be long in coming, and a long text is read for minutes."""
    between_tokens: float = 120.0
    notice_every: float = 10.0
    """While nothing comes, a person is told so this often."""
    tries: int = 6
    """Failures in a row, without a token in between, before the server is given up."""
    first_pause: float = 0.5
    """Doubled at each failure, up to `longest_pause`."""
    longest_pause: float = 8.0
    loading: float = 300.0
    """While the server says that it is not ready (503, 429)."""


class RetryState:
    """Counts the failures of one request."""

    def __init__(self, patience: RetryPolicy) -> None:
        self._patience = patience
        self.failures = 0
        self._waited_for_loading = 0.0

    def progressed(self) -> None:
        self.failures = 0
        self._waited_for_loading = 0.0

    def pause_after(self, error: EngineLost) -> float:
        """Seconds to wait before the next try; raises the error if patience is at its end."""
        patience = self._patience
        pause = min(patience.first_pause * 2.0**self.failures, patience.longest_pause)
        self.failures += 1
        if isinstance(error, NotReady):
            self._waited_for_loading += pause
            if self._waited_for_loading > patience.loading:
                raise error
        elif self.failures >= patience.tries:
            raise error
        return pause
