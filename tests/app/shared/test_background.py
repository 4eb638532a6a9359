"""Errands run beside the window, arrive in order, and end in one way."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.shared.background import BROKEN, BackgroundTask
from core.errors import BatonError


def collected(errand: BackgroundTask) -> list[object]:
    arrived: list[object] = []
    errand.arrived.connect(arrived.extend)
    return arrived


def test_everything_arrives_in_order_before_the_end(qtbot: QtBot) -> None:
    errand = BackgroundTask("count", lambda: (number for number in range(1000)))
    arrived = collected(errand)
    with qtbot.waitSignal(errand.ended) as ended:
        errand.start()
    assert arrived == list(range(1000))
    assert ended.args == [None]


def test_results_arrive_in_the_thread_of_the_window(qtbot: QtBot) -> None:
    errand = BackgroundTask("where", lambda: (threading.current_thread() for _ in range(1)))
    threads: list[threading.Thread] = []
    errand.arrived.connect(lambda _: threads.append(threading.current_thread()))
    with qtbot.waitSignal(errand.ended):
        errand.start()
    assert threads == [threading.main_thread()]


def test_an_error_of_ours_is_handed_on(qtbot: QtBot) -> None:
    failure = BatonError("It broke.", "Mend it.")

    def work() -> Iterator[int]:
        yield 1
        raise failure

    errand = BackgroundTask("break", work)  # type: ignore[arg-type]
    arrived = collected(errand)
    with qtbot.waitSignal(errand.ended) as ended:
        errand.start()
    assert arrived == [1]
    assert ended.args == [failure]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_any_other_exception_is_told_as_a_fault_of_the_program(qtbot: QtBot) -> None:
    errand = BackgroundTask("break", lambda: (1 // number for number in (1, 0)))
    with qtbot.waitSignal(errand.ended) as ended:
        errand.start()
    assert ended.args == [BROKEN]


def test_stopped_work_is_closed_at_its_next_item(qtbot: QtBot) -> None:
    closed, go_on = threading.Event(), threading.Event()

    def work() -> Iterator[int]:
        try:
            yield 1
            go_on.wait()
            yield 2
            yield 3
        finally:
            closed.set()

    errand = BackgroundTask("wait", work)  # type: ignore[arg-type]
    arrived = collected(errand)
    errand.start()
    qtbot.waitUntil(lambda: arrived == [1])
    errand.stop()
    go_on.set()
    qtbot.waitUntil(lambda: not errand.running)
    assert closed.is_set()
    assert arrived == [1, 2]


def test_work_that_can_end_itself_is_told_to(qtbot: QtBot) -> None:
    told = threading.Event()

    def work() -> Iterator[str]:
        told.wait()
        yield "last word"

    errand = BackgroundTask("obedient", work, cancel=told.set)  # type: ignore[arg-type]
    arrived = collected(errand)
    errand.start()
    errand.finish()
    assert arrived == ["last word"]
    assert not errand.running


def test_finishing_delivers_the_end_at_once(qapp: QApplication) -> None:
    errand = BackgroundTask("short", lambda: (number for number in range(3)))
    ends: list[object] = []
    errand.ended.connect(ends.append)
    errand.start()
    errand.finish()
    errand.finish()
    assert ends == [None]
