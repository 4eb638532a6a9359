"""How long a server that fails again and again is waited for."""

from __future__ import annotations

import pytest

from baton_reasoning.core.engines.remote.retry import RetryPolicy, RetryState
from baton_reasoning.core.errors import EngineLost


def test_a_server_that_comes_back_is_asked_soon_and_one_that_stays_away_is_given_up() -> None:
    """Each pause is one that a person may wait for after the server is there again."""
    policy = RetryPolicy()
    retries, refused = RetryState(policy), EngineLost("Connection refused.", "Start the server.")
    pauses = [retries.pause_after(refused) for _ in range(policy.tries - 1)]
    with pytest.raises(EngineLost):
        retries.pause_after(refused)
    assert max(pauses) <= 3
    assert 15 <= sum(pauses) <= 30
