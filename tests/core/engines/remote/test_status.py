"""The status of a server that several sessions use, and how long one that fails is waited for."""

from __future__ import annotations

import pytest

from baton_reasoning.core.engines.remote.answers import NotReady
from baton_reasoning.core.engines.remote.connection import RetryPolicy, RetryState
from baton_reasoning.core.engines.remote.status import ServerState, ServerStatus, StatusTracker
from baton_reasoning.core.errors import EngineLost


def test_the_most_important_session_is_shown():
    tracker = StatusTracker()
    tracker.set("one", ServerStatus(ServerState.BUSY))
    tracker.set("other", ServerStatus(ServerState.WAITING))
    assert tracker.status == ServerStatus(ServerState.WAITING)
    tracker.set("other", ServerStatus(ServerState.CONNECTED))
    assert tracker.status == ServerStatus(ServerState.BUSY)


def test_each_percent_of_the_prompt_is_reported_once():
    seen: list[ServerState] = []
    tracker = StatusTracker(seen.append)
    for done in (100, 101, 200):
        tracker.set("session", ServerStatus(ServerState.READING, done / 10_000))
    assert seen == [ServerState.READING, ServerState.READING]
    assert tracker.status == ServerStatus(ServerState.READING, 0.02)


def test_a_server_that_was_given_up_is_not_called_reconnecting():
    tracker = StatusTracker()
    tracker.set("session", ServerStatus(ServerState.RECONNECTING))
    tracker.close("session")
    assert tracker.status == ServerStatus(ServerState.LOST)


def test_a_failure_stays_visible_until_the_next_success_and_no_ping_hides_it():
    tracker = StatusTracker()
    tracker.set("refused", ServerStatus(ServerState.REFUSED))
    tracker.close("refused")
    assert tracker.status == ServerStatus(ServerState.REFUSED)
    tracker.record_ping(18.0)
    assert tracker.status == ServerStatus(ServerState.REFUSED)
    tracker.set("next", ServerStatus(ServerState.READING, 0.5))
    assert tracker.status == ServerStatus(ServerState.READING, 0.5)
    tracker.close("next")
    assert tracker.status == ServerStatus(ServerState.CONNECTED, milliseconds=18.0)


def test_a_ping_shows_whether_the_server_is_there_unless_a_session_uses_it():
    tracker = StatusTracker()
    tracker.record_ping(18.0)
    assert tracker.status == ServerStatus(ServerState.CONNECTED, milliseconds=18.0)
    tracker.record_ping(None)
    assert tracker.status == ServerStatus(ServerState.LOST)
    tracker.set("session", ServerStatus(ServerState.BUSY))
    tracker.record_ping(None)
    assert tracker.status == ServerStatus(ServerState.BUSY)


def test_a_server_that_comes_back_is_asked_soon_and_one_that_stays_away_is_given_up():
    """Each pause is one that a person may wait for after the server is there again."""
    policy = RetryPolicy()
    retries, refused = RetryState(policy), EngineLost("Connection refused.", "Start the server.")
    pauses = []
    for _ in range(policy.tries - 1):
        retries.count(refused)
        pauses.append(retries.pause)
    with pytest.raises(EngineLost):
        retries.count(refused)
    assert max(pauses) <= 3
    assert 15 <= sum(pauses) <= 30


def test_a_server_that_loads_its_model_uses_up_no_tries():
    policy = RetryPolicy(tries=2)
    retries = RetryState(policy)
    for _ in range(20):
        retries.count(NotReady("It is not ready."))
    assert (retries.failures, retries.pause) == (0, policy.longest_pause)
    retries.count(EngineLost("The connection broke."))
    with pytest.raises(EngineLost, match="broke"):
        retries.count(EngineLost("The connection broke."))
