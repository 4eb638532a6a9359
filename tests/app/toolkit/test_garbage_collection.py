"""Reference cycles are collected in the main thread, whichever thread makes them."""

import gc
import threading
import weakref

from baton_reasoning.app.toolkit import garbage_collection
from baton_reasoning.app.toolkit.garbage_collection import MainThreadCollector


class Cycle:
    """An object that refers to itself; notes the thread in which it is destroyed."""

    def __init__(self, destroyed_in: list[threading.Thread]) -> None:
        self.itself = self
        weakref.finalize(self, lambda: destroyed_in.append(threading.current_thread()))


def make_cycles(destroyed_in: list[threading.Thread]) -> None:
    """Many more than the threshold at which Python collects by itself."""
    for _ in range(20 * gc.get_threshold()[0]):
        Cycle(destroyed_in)


def test_cycles_of_a_background_thread_are_destroyed_in_the_main_thread(qtbot, collector):
    destroyed_in: list[threading.Thread] = []
    thread = threading.Thread(target=make_cycles, args=(destroyed_in,))
    thread.start()
    thread.join()
    assert destroyed_in == []
    qtbot.waitUntil(lambda: len(destroyed_in) == 20 * gc.get_threshold()[0])
    assert set(destroyed_in) == {threading.main_thread()}


def test_old_cycles_are_collected_too_but_seldom(collector, monkeypatch):
    monkeypatch.setattr(garbage_collection, "FULL_COLLECTION", 3)
    another = MainThreadCollector()
    destroyed_in: list[threading.Thread] = []
    old = Cycle(destroyed_in)
    gc.collect()  # it is among the old objects now
    del old
    for _ in range(2):
        another.collect()
        assert destroyed_in == []
    another.collect()
    assert len(destroyed_in) == 1
    another.stop()
    gc.disable()  # as the one of the session has it


def test_stopping_returns_to_automatic_collection(qtbot, collector):
    another = MainThreadCollector()
    another.stop()
    assert gc.isenabled()
    gc.disable()  # as the one of the session has it
