"""Background tasks run beside the window, deliver in order, and end in one way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from PySide6.QtCore import QObject, QTimer

from baton_reasoning.app.toolkit.background import (
    BROKEN,
    BackgroundTask,
    BackgroundTasks,
    LatestTask,
    StreamTask,
    cancel_tasks,
)
from baton_reasoning.core.errors import BatonError


@pytest.fixture
def window(qapp):
    """An object at the top of a tree, as a window is."""
    top = QObject()
    yield top
    BackgroundTasks.of(top).close()


class Outcome:
    """What a task has delivered."""

    def __init__(self, task: StreamTask[Any]) -> None:
        self.items: list[object] = []
        self.errors: list[object] = []
        self.ends: list[object] = []
        task.items(self.items.extend).failure(self.errors.append).done(self.ends.append)


def test_everything_arrives_in_order_before_the_end(window, qtbot):
    task = StreamTask(window, "count", lambda: range(1000))
    outcome = Outcome(task)
    arrived: list[int] = []
    task.done(lambda _: arrived.append(len(outcome.items))).start()
    qtbot.waitUntil(lambda: outcome.ends == [None])
    assert outcome.items == list(range(1000))
    assert arrived == [1000]


def test_a_result_arrives_in_the_thread_of_the_window(window, qtbot):
    threads: list[tuple[threading.Thread, threading.Thread]] = []
    task = BackgroundTask(window, "where", threading.current_thread)
    task.success(lambda worker: threads.append((worker, threading.current_thread()))).start()
    qtbot.waitUntil(lambda: bool(threads))
    ((worker, receiver),) = threads
    assert receiver is threading.main_thread() is not worker


def test_two_tasks_deliver_in_turns_of_their_own(window, qtbot):
    """What the first one brought is painted before the second one's."""
    turn = 0

    def count() -> None:
        nonlocal turn
        turn += 1

    turns = QTimer()
    turns.timeout.connect(count)
    turns.start(0)
    delivered: list[int] = []
    for name in ("one", "other"):
        BackgroundTask(window, name, int).success(lambda _: delivered.append(turn)).start()
    qtbot.waitUntil(lambda: len(delivered) == 2)
    assert delivered[1] > delivered[0] + 1


def test_an_error_of_ours_is_handed_on(window, qtbot):
    failure = BatonError("It broke.", "Repair it.")

    def work() -> Iterator[int]:
        yield 1
        raise failure

    task = StreamTask(window, "break", work)
    outcome = Outcome(task)
    task.start()
    qtbot.waitUntil(lambda: bool(outcome.ends))
    assert (outcome.items, outcome.errors, outcome.ends) == ([1], [failure], [failure])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_any_other_exception_is_shown_as_a_fault_of_the_program(window, qtbot):
    task = BackgroundTask(window, "break", lambda: 1 // 0)
    outcome = Outcome(task)
    task.start()
    qtbot.waitUntil(lambda: bool(outcome.ends))
    assert outcome.errors == [BROKEN]


def test_stopped_work_is_closed_at_its_next_item(window, qtbot):
    closed, go_on = threading.Event(), threading.Event()

    def work() -> Iterator[int]:
        try:
            yield 1
            go_on.wait()
            yield 2
            yield 3
        finally:
            closed.set()

    task = StreamTask(window, "wait", work)
    outcome = Outcome(task)
    task.start()
    qtbot.waitUntil(lambda: outcome.items == [1])
    task.stop()
    go_on.set()
    qtbot.waitUntil(lambda: bool(outcome.ends))
    assert closed.is_set()
    assert outcome.items == [1, 2]


def test_finishing_asks_the_work_to_end_and_delivers_its_last_results_at_once(window):
    asked = threading.Event()

    def work() -> Iterator[str]:
        asked.wait()
        yield "last word"

    task = StreamTask(window, "obedient", work, cancel=asked.set)
    outcome = Outcome(task)
    task.start()
    task.finish()
    task.finish()
    assert outcome.items == ["last word"]
    assert outcome.ends == [None]
    assert not task.running


def test_a_closing_window_cancels_all_tasks_of_its_tree_and_delivers_their_last_results(window):
    stopped = [threading.Event(), threading.Event()]
    results: list[object] = []
    for event in stopped:

        def work(event: threading.Event = event) -> Iterator[str]:
            event.wait()
            yield "last event"

        part = QObject(QObject(window))
        StreamTask(part, "run", work, cancel=event.set).items(results.extend).done(results.append).start()
    BackgroundTasks.of(window).close()
    assert results == ["last event", None] * 2
    assert not BackgroundTasks.of(window).running


def test_a_closed_window_starts_nothing(window):
    BackgroundTasks.of(window).close()
    assert not BackgroundTask(window, "late", int).start().running


def test_a_closing_window_does_not_wait_for_a_silent_server(window):
    answer = threading.Event()
    BackgroundTask(window, "ask a server", answer.wait, waits=False).start()
    BackgroundTasks.of(window).close()
    answer.set()


def test_closing_a_part_of_the_window_cancels_only_its_tasks(window, qtbot):
    cancelled: list[str] = []
    go_on = threading.Event()
    parts = {name: QObject(window) for name in ("one", "other")}
    for name, part in parts.items():
        BackgroundTask(part, name, go_on.wait, cancel=partial(cancelled.append, name)).start()
    cancel_tasks(parts["one"])
    assert cancelled == ["one"]
    go_on.set()
    qtbot.waitUntil(lambda: not BackgroundTasks.of(window).running)


def test_a_newer_request_replaces_an_older_one(window, qtbot):
    latest, answers = LatestTask(window, "search"), list[object]()
    slow = threading.Event()
    latest.run(lambda: "old" if slow.wait() else "", answers.append)
    latest.run(lambda: "new", answers.append)
    qtbot.waitUntil(lambda: answers == ["new"])
    slow.set()
    qtbot.waitUntil(lambda: not BackgroundTasks.of(window).running)
    assert answers == ["new"]


def test_the_error_of_a_request_reaches_its_owner(window, qtbot):
    failure, failures = BatonError("It broke.", "Repair it."), list[BatonError]()

    def fail() -> None:
        raise failure

    LatestTask(window, "break", failures.append).run(fail, lambda _: pytest.fail("It did not fail."))
    qtbot.waitUntil(lambda: failures == [failure])


def test_of_requests_that_come_too_fast_only_the_newest_waits(window, qtbot):
    aligning, answers = LatestTask(window, "align", one_at_a_time=True), list[object]()
    first = threading.Event()
    aligning.run(lambda: 1 if first.wait() else 0, answers.append)
    for number in (2, 3, 4):
        aligning.run(lambda number=number: number, answers.append)  # type: ignore[misc]
    first.set()
    qtbot.waitUntil(lambda: not aligning.busy)
    assert answers == [1, 4]
