"""The status of a server that several sessions use, and how long one that fails is waited for."""

from __future__ import annotations

import pytest

from baton_reasoning.core.engines.remote.connection import RetryPolicy, RetryState
from baton_reasoning.core.engines.remote.status import ServerState, ServerStatus, StatusTracker
from baton_reasoning.core.errors import EngineLost


def test_the_most_important_session_is_shown() -> None:
    tracker = StatusTracker()
    one, other = tracker.new_session(), tracker.new_session()
    one.set(ServerState.BUSY)
    other.set(ServerState.WAITING)
    assert tracker.status == ServerStatus(ServerState.WAITING)
    other.set(ServerState.CONNECTED)
    assert tracker.status == ServerStatus(ServerState.BUSY)


def test_each_percent_of_the_prompt_is_reported_once() -> None:
    seen: list[ServerState] = []
    tracker = StatusTracker(seen.append)
    session = tracker.new_session()
    for done in (100, 101, 200):
        session.set(ServerState.READING, done / 10_000)
    assert seen == [ServerState.READING, ServerState.READING]
    assert tracker.status == ServerStatus(ServerState.READING, 0.02)


def test_a_server_that_was_given_up_is_not_called_reconnecting() -> None:
    tracker = StatusTracker()
    session = tracker.new_session()
    session.set(ServerState.RECONNECTING)
    session.close()
    assert tracker.status == ServerStatus(ServerState.LOST)


def test_a_failure_stays_visible_until_the_next_success_and_no_ping_hides_it() -> None:
    tracker = StatusTracker()
    refused, next_one = tracker.new_session(), tracker.new_session()
    refused.set(ServerState.REFUSED)
    refused.close()
    assert tracker.status == ServerStatus(ServerState.REFUSED)
    tracker.record_ping(18.0)
    assert tracker.status == ServerStatus(ServerState.REFUSED)
    next_one.set(ServerState.READING, 0.5)
    assert tracker.status == ServerStatus(ServerState.READING, 0.5)
    next_one.close()
    assert tracker.status == ServerStatus(ServerState.CONNECTED, milliseconds=18.0)


def test_a_ping_shows_whether_the_server_is_there_unless_a_session_uses_it() -> None:
    tracker = StatusTracker()
    tracker.record_ping(18.0)
    assert tracker.status == ServerStatus(ServerState.CONNECTED, milliseconds=18.0)
    tracker.record_ping(None)
    assert tracker.status == ServerStatus(ServerState.LOST)
    tracker.new_session().set(ServerState.BUSY)
    tracker.record_ping(None)
    assert tracker.status == ServerStatus(ServerState.BUSY)


def test_a_server_that_comes_back_is_asked_soon_and_one_that_stays_away_is_given_up() -> None:
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
