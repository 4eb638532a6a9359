"""What is no longer shown is given back: a day's work does not fill the memory."""

from __future__ import annotations

import gc
import weakref

from tests.app.conftest import last_exchange


def test_the_trace_of_a_conversation_that_was_left_is_given_back(ask, qtbot):
    window = ask("2 + 2?")
    leaf = last_exchange(window)
    trace = weakref.ref(leaf.trace)
    del leaf
    window.session.new()
    ask("3 + 3?")

    def gone() -> bool:
        gc.collect()
        return trace() is None

    qtbot.waitUntil(gone)
