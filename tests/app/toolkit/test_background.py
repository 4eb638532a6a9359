"""Background tasks run beside the window, deliver in order, and end in one way; cycles die in the main thread."""

import gc
import threading
import weakref
from functools import partial

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

FAILURE = BatonError("It broke.", "Repair it.")


@pytest.fixture
def window(qapp):
    """An object at the top of a tree, as a window is."""
    top = QObject()
    yield top
    BackgroundTasks.of(top).close()


class Outcome:
    """What a task has delivered."""

    def __init__(self, task):
        self.items: list[object] = []
        self.errors: list[BatonError] = []
        self.ends: list[BatonError | None] = []
        task.items(self.items.extend).failure(self.errors.append).done(self.ends.append)


def test_everything_arrives_in_order_before_the_end_in_the_thread_of_the_window(window, qtbot):
    def count():
        yield threading.current_thread()
        yield from range(1000)

    task = StreamTask(window, "count", count)
    outcome, arrived = Outcome(task), []
    task.done(lambda _: arrived.append((len(outcome.items), threading.current_thread()))).start()
    qtbot.waitUntil(lambda: outcome.ends == [None])
    worker, *numbers = outcome.items
    assert numbers == list(range(1000))
    assert arrived == [(1001, threading.main_thread())]
    assert worker is not threading.main_thread()
    assert outcome.errors == []


def test_two_tasks_deliver_in_turns_of_their_own(window, qtbot):
    """What the first one brought is painted before the second one's."""
    turn = 0

    def count():
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


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_error_of_ours_is_handed_on_and_any_other_is_a_fault_of_the_program(window, qtbot):
    def break_off():
        yield 1
        fail()

    for task, items, error in (
        (StreamTask(window, "break", break_off), [1], FAILURE),
        (BackgroundTask(window, "break", lambda: 1 // 0), [], BROKEN),
    ):
        outcome = Outcome(task)
        task.start()
        qtbot.waitUntil(lambda outcome=outcome: bool(outcome.ends))
        assert (outcome.items, outcome.errors, outcome.ends) == (items, [error], [error])


def test_stopped_work_is_closed_at_its_next_item(window, qtbot):
    closed, go_on = threading.Event(), threading.Event()

    def work():
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


def test_a_closing_window_cancels_all_tasks_of_its_tree_delivers_their_last_results_and_starts_nothing(window):
    stopped = [threading.Event(), threading.Event()]
    results: list[object] = []

    def work(event):
        event.wait()
        yield "last event"

    parts = [QObject(QObject(window)) for _ in stopped]
    for part, event in zip(parts, stopped, strict=True):
        task = StreamTask(part, "run", partial(work, event), cancel=event.set)
        task.items(results.extend).done(results.append).start()
    answer = threading.Event()
    BackgroundTask(window, "ask a silent server", answer.wait, waits=False).start()
    cancel_tasks(parts[0])
    assert [each.is_set() for each in stopped] == [True, False], "a part that is closed cancels its own"
    BackgroundTasks.of(window).close()
    assert results == ["last event", None] * 2
    assert [task.name for task in BackgroundTasks.of(window).running] == ["ask a silent server"]
    assert not BackgroundTask(window, "late", int).start().running
    answer.set()


def fail():
    raise FAILURE


def test_a_newer_request_replaces_an_older_one_and_an_error_reaches_its_owner(window, qtbot):
    answers, failures, slow = list[str](), list[BatonError](), threading.Event()
    latest = LatestTask(window, "search", failures.append)
    latest.run(lambda: "old" if slow.wait() else "", answers.append)
    latest.run(lambda: "new", answers.append)
    qtbot.waitUntil(lambda: answers == ["new"])
    slow.set()
    qtbot.waitUntil(lambda: not BackgroundTasks.of(window).running)
    latest.run(lambda: "dropped", answers.append)
    latest.cancel()
    qtbot.waitUntil(lambda: not BackgroundTasks.of(window).running)
    latest.run(fail, answers.append)
    qtbot.waitUntil(lambda: failures == [FAILURE])
    assert answers == ["new"]


def test_of_requests_that_come_too_fast_only_the_newest_waits(window, qtbot):
    aligning, answers = LatestTask(window, "align", one_at_a_time=True), list[int]()
    first = threading.Event()
    aligning.run(lambda: 1 if first.wait() else 0, answers.append)
    for number in (2, 3, 4):
        aligning.run(partial(int, number), answers.append)
    first.set()
    qtbot.waitUntil(lambda: not aligning.busy)
    assert answers == [1, 4]


class Cycle:
    """An object that refers to itself; notes the thread in which it is destroyed."""

    def __init__(self, destroyed_in):
        self.itself = self
        weakref.finalize(self, lambda: destroyed_in.append(threading.current_thread()))


def test_cycles_of_a_background_thread_are_destroyed_in_the_main_thread(qtbot, collector):
    destroyed_in: list[threading.Thread] = []
    many = 20 * gc.get_threshold()[0]  # more than those at which Python collects by itself

    def make_cycles():
        for _ in range(many):
            Cycle(destroyed_in)

    thread = threading.Thread(target=make_cycles)
    thread.start()
    thread.join()
    assert destroyed_in == []
    qtbot.waitUntil(lambda: len(destroyed_in) == many)
    assert set(destroyed_in) == {threading.main_thread()}
