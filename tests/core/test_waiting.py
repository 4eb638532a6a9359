"""Ctrl+C reaches a thread that waits, also where no signal wakes it."""

import _thread
import queue
import signal
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager

import pytest

from baton_reasoning.core import waiting
from baton_reasoning.core.engines.local.messages import Cancel
from baton_reasoning.core.engines.local.process import SentRequest
from baton_reasoning.core.waiting import completed, taken


class QueueOfWindows(queue.Queue):  # type: ignore[type-arg]
    """During a wait on an empty queue Ctrl+C comes, which does not end the wait before its time is over."""

    def get(self, block: bool = True, timeout: float | None = None) -> object:
        if not self.empty():
            return super().get()
        assert timeout is not None, "Ctrl+C would wait for the next item"
        assert timeout <= waiting.STEP
        _thread.interrupt_main()
        raise queue.Empty


@contextmanager
def handled_by(handler) -> Iterator[None]:
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def test_ctrl_c_ends_a_wait_for_a_reply_of_a_model():
    sent = SentRequest(7)
    sent.replies = QueueOfWindows()  # type: ignore[assignment]
    with handled_by(lambda *_: sent.cancel()):
        assert sent.next_reply() == Cancel(7, at_once=True)


@pytest.mark.parametrize("wait", [lambda: taken(queue.SimpleQueue()), lambda: next(completed([Future()]))])
def test_ctrl_c_ends_a_wait_for_an_item_or_a_future(wait, monkeypatch):
    monkeypatch.setattr(queue, "SimpleQueue", QueueOfWindows)
    with handled_by(signal.default_int_handler), pytest.raises(KeyboardInterrupt):
        wait()


def test_a_wait_with_a_limit_ends_there_also_after_several_steps(monkeypatch):
    monkeypatch.setattr(waiting, "STEP", 0.01)
    for seconds in (-1, 0, 0.025):
        with pytest.raises(queue.Empty):
            taken(queue.SimpleQueue(), seconds)


def test_futures_come_as_they_end_and_those_that_have_not_begun_are_cancelled_with_the_wait():
    first, second, third = (Future[int]() for _ in range(3))
    second.set_result(2)
    with closing(completed([first, second, third])) as ends:
        assert next(ends) is second
        first.set_result(1)
        assert next(ends) is first
    assert third.cancelled()
