"""The fixture that looks for leaks finds them."""

from __future__ import annotations

import threading

import pytest

from tests.app.conftest import threads_left


@pytest.mark.parametrize("daemon", [True, False])
def test_a_thread_that_does_not_end_is_found_daemon_or_not(daemon):
    before, end = set(threading.enumerate()), threading.Event()
    thread = threading.Thread(target=end.wait, name="forgotten", daemon=daemon)
    thread.start()
    assert threads_left(before, patience=0.01) == ["forgotten"]
    end.set()
    assert threads_left(before) == []


def test_a_thread_that_is_about_to_end_is_waited_for():
    before, end = set(threading.enumerate()), threading.Event()
    thread = threading.Thread(target=end.wait, daemon=True)
    thread.start()
    end.set()
    assert threads_left(before) == []
