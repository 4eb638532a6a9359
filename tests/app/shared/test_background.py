"""Background tasks run beside the window, deliver in order, and end in one way."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from PySide6.QtCore import QObject, QTimer
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.shared.background import (
    BROKEN,
    BackgroundTask,
    BackgroundTasks,
    LatestTask,
    SteadyTask,
    cancel_background,
    run_in_background,
)
from core.errors import BatonError


def collected(task: BackgroundTask) -> list[object]:
    arrived: list[object] = []
    task.arrived.connect(arrived.extend)
    return arrived


def test_everything_arrives_in_order_before_the_end(qtbot: QtBot) -> None:
    task = BackgroundTask("count", lambda: (number for number in range(1000)))
    arrived = collected(task)
    with qtbot.waitSignal(task.ended) as ended:
        task.start()
    assert arrived == list(range(1000))
    assert ended.args == [None]


def test_results_arrive_in_the_thread_of_the_window(qtbot: QtBot) -> None:
    task = BackgroundTask("where", lambda: (threading.current_thread() for _ in range(1)))
    threads: list[threading.Thread] = []
    task.arrived.connect(lambda _: threads.append(threading.current_thread()))
    with qtbot.waitSignal(task.ended):
        task.start()
    assert threads == [threading.main_thread()]


def test_two_tasks_deliver_in_turns_of_their_own(qtbot: QtBot) -> None:
    """What the first one brought is painted before the second one's."""
    turn = 0

    def count() -> None:
        nonlocal turn
        turn += 1

    turns = QTimer()
    turns.timeout.connect(count)
    turns.start(0)
    delivered: list[int] = []
    tasks = [BackgroundTask(name, lambda: (number for number in (1,))) for name in ("one", "other")]
    for task in tasks:
        task.arrived.connect(lambda _: delivered.append(turn))
        task.start()
    qtbot.waitUntil(lambda: len(delivered) == 2)
    assert delivered[1] > delivered[0] + 1


def test_an_error_of_ours_is_handed_on(qtbot: QtBot) -> None:
    failure = BatonError("It broke.", "Repair it.")

    def work() -> Iterator[int]:
        yield 1
        raise failure

    task = BackgroundTask("break", work)  # type: ignore[arg-type]
    arrived = collected(task)
    with qtbot.waitSignal(task.ended) as ended:
        task.start()
    assert arrived == [1]
    assert ended.args == [failure]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_any_other_exception_is_shown_as_a_fault_of_the_program(qtbot: QtBot) -> None:
    task = BackgroundTask("break", lambda: (1 // number for number in (1, 0)))
    with qtbot.waitSignal(task.ended) as ended:
        task.start()
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

    task = BackgroundTask("wait", work)  # type: ignore[arg-type]
    arrived = collected(task)
    task.start()
    qtbot.waitUntil(lambda: arrived == [1])
    task.stop()
    go_on.set()
    qtbot.waitUntil(lambda: not task.running)
    assert closed.is_set()
    assert arrived == [1, 2]


def test_work_that_can_end_by_itself_is_asked_to(qtbot: QtBot) -> None:
    asked = threading.Event()

    def work() -> Iterator[str]:
        asked.wait()
        yield "last word"

    task = BackgroundTask("obedient", work, cancel=asked.set)  # type: ignore[arg-type]
    arrived = collected(task)
    task.start()
    task.finish()
    assert arrived == ["last word"]
    assert not task.running


def test_finishing_delivers_the_end_at_once(qapp: QApplication) -> None:
    task = BackgroundTask("short", lambda: (number for number in range(3)))
    ends: list[object] = []
    task.ended.connect(ends.append)
    task.start()
    task.finish()
    task.finish()
    assert ends == [None]


@pytest.fixture
def window(qapp: QApplication) -> Iterator[QObject]:
    """An object at the top of a tree, as a window is."""
    top = QObject()
    yield top
    BackgroundTasks.of(top).close()


def test_a_closing_window_cancels_all_tasks_of_its_tree_and_delivers_their_last_results(window: QObject) -> None:
    stopped = [threading.Event(), threading.Event()]
    results: list[object] = []
    for event in stopped:

        def work(event: threading.Event = event) -> Iterator[str]:
            event.wait()
            yield "last event"

        part = QObject(QObject(window))
        run_in_background(part, "run", work, arrived=results.extend, ended=results.append, cancel=event.set)  # type: ignore[arg-type]
    BackgroundTasks.of(window).close()
    assert results == ["last event", None] * 2
    assert not BackgroundTasks.of(window).running


def test_a_closed_window_starts_nothing(window: QObject) -> None:
    BackgroundTasks.of(window).close()
    task = run_in_background(window, "late", lambda: (number for number in range(3)))
    assert not task.running


def test_a_closing_window_does_not_wait_for_a_silent_server(window: QObject) -> None:
    answer = threading.Event()

    def work() -> Iterator[bool]:
        yield answer.wait()

    run_in_background(window, "ask a server", work, waits=False)  # type: ignore[arg-type]
    BackgroundTasks.of(window).close()
    answer.set()


def test_closing_a_part_of_the_window_cancels_only_its_tasks(window: QObject, qtbot: QtBot) -> None:
    cancelled: list[str] = []
    go_on = threading.Event()

    def waiting() -> Iterator[bool]:
        yield go_on.wait()

    parts = {name: QObject(window) for name in ("one", "other")}
    for name, part in parts.items():
        run_in_background(part, name, waiting, cancel=lambda name=name: cancelled.append(name))  # type: ignore[arg-type, misc]
    cancel_background(parts["one"])
    assert cancelled == ["one"]
    go_on.set()
    qtbot.waitUntil(lambda: not BackgroundTasks.of(window).running)


def test_a_newer_request_replaces_an_older_one(window: QObject, qtbot: QtBot) -> None:
    latest, answers = LatestTask(window), list[object]()
    slow = threading.Event()
    latest.ask(lambda: slow.wait() and "old", answers.append)
    latest.ask(lambda: "new", answers.append)
    qtbot.waitUntil(lambda: answers == ["new"])
    slow.set()
    qtbot.waitUntil(lambda: not BackgroundTasks.of(window).running)
    assert answers == ["new"]


def test_the_error_of_a_request_reaches_its_owner(window: QObject, qtbot: QtBot) -> None:
    failure, failures = BatonError("It broke.", "Repair it."), list[BatonError]()

    def fail() -> None:
        raise failure

    LatestTask(window, failures.append).ask(fail, pytest.fail)
    qtbot.waitUntil(lambda: failures == [failure])


def test_of_requests_that_come_too_fast_only_the_newest_waits(window: QObject, qtbot: QtBot) -> None:
    steady, answers = SteadyTask(window, "align"), list[object]()
    first = threading.Event()
    steady.ask(lambda: first.wait() and 1, answers.append)
    for number in (2, 3, 4):
        steady.ask(lambda number=number: number, answers.append)  # type: ignore[misc]
    first.set()
    qtbot.waitUntil(lambda: not steady.busy)
    assert answers == [1, 4]
