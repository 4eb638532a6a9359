"""What is seen of a server that several sessions use."""

from core.engines.remote.state import IDLE, ServerState, ServerStatus, StatusTracker


def test_the_most_telling_session_is_shown() -> None:
    board = StatusTracker()
    board.set(1, ServerState.BUSY)
    board.set(2, ServerState.WAITING)
    assert board.doing == ServerStatus(ServerState.WAITING)
    board.set(2, ServerState.CONNECTED)
    assert board.doing == ServerStatus(ServerState.BUSY)


def test_each_percent_that_is_read_is_told_once() -> None:
    seen: list[ServerState] = []
    board = StatusTracker(seen.append)
    for done in (100, 101, 200):
        board.set(1, ServerState.READING, done / 10_000)
    assert seen == [ServerState.READING, ServerState.READING]
    assert board.doing == ServerStatus(ServerState.READING, 0.02)


def test_a_server_that_was_given_up_is_not_called_reconnecting() -> None:
    board = StatusTracker()
    board.set(1, ServerState.RECONNECTING)
    board.leave(1)
    assert board.doing == ServerStatus(ServerState.LOST)


def test_a_bad_end_is_seen_until_there_is_other_news() -> None:
    board = StatusTracker()
    board.set(1, ServerState.REFUSED)
    board.leave(1)
    assert board.doing == ServerStatus(ServerState.REFUSED)
    board.set(2, ServerState.READING, 0.5)
    assert board.doing == ServerStatus(ServerState.READING, 0.5)
    board.leave(2)
    assert board.doing == IDLE


def test_a_look_tells_whether_it_is_there_unless_sessions_know_better() -> None:
    board = StatusTracker()
    board.looked_at(18.0)
    assert board.doing == ServerStatus(ServerState.CONNECTED, milliseconds=18.0)
    board.looked_at(None)
    assert board.doing == ServerStatus(ServerState.LOST)
    board.set(1, ServerState.BUSY)
    board.looked_at(None)
    assert board.doing == ServerStatus(ServerState.BUSY)


def test_what_was_refused_is_still_refused_when_the_server_is_there() -> None:
    board = StatusTracker()
    board.set(1, ServerState.REFUSED)
    board.leave(1)
    board.looked_at(18.0)
    assert board.doing == ServerStatus(ServerState.REFUSED)
