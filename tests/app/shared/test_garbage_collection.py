"""Reference cycles are collected in the main thread, whichever thread makes them."""

import gc
import threading
import weakref

from pytestqt.qtbot import QtBot

from app.shared.garbage_collection import MainThreadCollector


class Cycle:
    """An object that refers to itself; notes the thread in which it is destroyed."""

    def __init__(self, destroyed_in: list[threading.Thread]) -> None:
        self.itself = self
        weakref.finalize(self, lambda: destroyed_in.append(threading.current_thread()))


def make_cycles(destroyed_in: list[threading.Thread]) -> None:
    """Many more than the threshold at which Python collects by itself."""
    for _ in range(20 * gc.get_threshold()[0]):
        Cycle(destroyed_in)


def test_cycles_of_a_background_thread_are_destroyed_in_the_main_thread(
    qtbot: QtBot, collector: MainThreadCollector
) -> None:
    destroyed_in: list[threading.Thread] = []
    thread = threading.Thread(target=make_cycles, args=(destroyed_in,))
    thread.start()
    thread.join()
    assert destroyed_in == []
    qtbot.waitUntil(lambda: len(destroyed_in) == 20 * gc.get_threshold()[0])
    assert set(destroyed_in) == {threading.main_thread()}


def test_nothing_is_collected_before_it_is_due(collector: MainThreadCollector) -> None:
    gc.collect()
    assert collector.collect_due() is None


def test_the_oldest_generation_that_is_due_is_collected(collector: MainThreadCollector) -> None:
    gc.collect()
    for _ in range(gc.get_threshold()[1] + 1):
        gc.collect(0)
    kept = [[] for _ in range(gc.get_threshold()[0] + 100)]  # type: ignore[var-annotated]
    assert collector.collect_due() == 1
    assert kept


def make_full_collection_due() -> None:
    for _ in range(gc.get_threshold()[2] + 1):
        gc.collect(1)


def test_a_full_collection_waits_until_there_is_much_to_collect(collector: MainThreadCollector) -> None:
    gc.collect()
    make_full_collection_due()
    collector.collect_due()  # whatever the tests before have left
    make_full_collection_due()
    assert collector.collect_due() != 2
    kept = [[] for _ in range(2 * len(gc.get_objects()))]  # type: ignore[var-annotated]
    make_full_collection_due()
    assert collector.collect_due() == 2
    assert kept


def test_stopping_returns_to_automatic_collection(qtbot: QtBot, collector: MainThreadCollector) -> None:
    another = MainThreadCollector()
    another.stop()
    assert gc.isenabled()
    gc.disable()  # as the one of the session has it
