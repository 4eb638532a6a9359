"""Reference cycles are collected in the main thread, whichever thread makes them."""

import gc
import threading
import weakref
from collections.abc import Iterator

import pytest
from pytestqt.qtbot import QtBot

from baton_reasoning.app.toolkit.garbage_collection import PAUSE_AT_WORK, MainThreadCollector


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


class Program:
    """The clocks of a program between two ticks of its collector."""

    def __init__(self) -> None:
        self.time = self.worked = 0.0

    def rest(self, seconds: float = 0.1) -> None:
        self.time += seconds

    def work(self, seconds: float = 0.1) -> None:
        self.time += seconds
        self.worked += seconds


@pytest.fixture
def program() -> Program:
    return Program()


@pytest.fixture
def own(program: Program, collector: MainThreadCollector) -> Iterator[MainThreadCollector]:
    """A collector whose program rests and works as a test says, after a first full collection."""
    own = MainThreadCollector(worked=lambda: program.worked, clock=lambda: program.time)
    kept = many()
    make_full_collection_due()
    program.rest()
    assert own.collect_due() == 2
    yield own
    assert kept
    own.stop()
    gc.disable()  # as the one of the session has it


def many() -> list[list[int]]:
    """So many that what a test itself makes beside them is next to nothing."""
    return [[] for _ in range(10_000)]


def test_a_full_collection_waits_until_there_is_much_to_collect(own: MainThreadCollector, program: Program) -> None:
    make_full_collection_due()
    program.rest()
    assert own.collect_due() != 2
    kept = many()
    gc.collect(1)
    program.rest()
    assert own.collect_due() == 2
    assert kept


def test_a_full_collection_does_not_interrupt_work(own: MainThreadCollector, program: Program) -> None:
    kept = many()
    make_full_collection_due()
    program.work()
    assert own.collect_due() != 2
    program.rest()
    assert own.collect_due() == 2
    assert kept


def test_work_without_a_rest_is_interrupted_once_a_minute(own: MainThreadCollector, program: Program) -> None:
    kept = many()
    make_full_collection_due()
    program.work(PAUSE_AT_WORK - 1)
    assert own.collect_due() != 2
    program.work(1)
    assert own.collect_due() == 2
    assert kept


def test_stopping_returns_to_automatic_collection(qtbot: QtBot, collector: MainThreadCollector) -> None:
    another = MainThreadCollector()
    another.stop()
    assert gc.isenabled()
    gc.disable()  # as the one of the session has it
