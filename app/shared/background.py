"""Background tasks: whatever takes long runs in a thread, and its results arrive in the main thread in batches.

    thread   for item in work(): inbox.append(item)
    window   every 30 ms: everything in the inbox, as one `arrived`; when the work is over, one `ended`

`run_in_background` starts a task. Each window has one `BackgroundTasks`, which cancels them all when it closes.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Any, ClassVar

from PySide6.QtCore import QObject, Qt, QTimer, Signal

from core.errors import BatonError

FLUSH_MS = 30
"""Thirty batches a second look like a stream, and leave the window nine tenths of its time at 300 tokens a second."""
APART_MS = 4
"""Between two tasks that deliver something."""

Work = Callable[[], Generator[Any, None, None]]
"""Runs in the thread and yields results. Cancelled, it is closed at its next item."""
Arrived = Callable[[list[Any]], object]
Ended = Callable[[BatonError | None], object]

BROKEN = BatonError("Something went wrong inside Baton.", "What was written so far is kept; please report it.")


class BackgroundTask(QObject):
    """One piece of work in a thread of its own. It is started once."""

    arrived = Signal(list)
    """What the work has yielded since the last time, in order."""
    ended = Signal(object)
    """A BatonError if the work failed, else None. Comes once, after everything has arrived."""

    _delivered_at: ClassVar = 0.0
    """When any of the tasks last delivered something."""

    def __init__(
        self, name: str, work: Work, cancel: Callable[[], None] | None = None, parent: QObject | None = None
    ) -> None:
        """`cancel`: asks work to end by itself, where its last results must not be lost (a run)."""
        super().__init__(parent)
        self.name = name
        self.running = False
        """True until `ended` has been emitted."""
        self.waits = True
        """Whether the closing window waits for it."""
        self._work = work
        self._inbox: deque[Any] = deque()
        self._stopping = threading.Event()
        self._cancel = cancel or self._stopping.set
        self._failure: BatonError | None = BROKEN
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._timer = QTimer(self)
        self._timer.setInterval(FLUSH_MS)
        self._timer.timeout.connect(self._tick)

    def start(self) -> BackgroundTask:
        self.running = True
        self._thread.start()
        self._timer.start()
        return self

    def stop(self) -> None:
        """Ask the work to end; `ended` follows."""
        self._cancel()

    def finish(self) -> None:
        """Stop, wait for the thread, and deliver what is left, now."""
        if self.running:
            self.stop()
            self._thread.join()
            self._flush()

    def _run(self) -> None:
        try:
            with closing(self._work()) as items:
                for item in items:
                    self._inbox.append(item)
                    if self._stopping.is_set():
                        break
            self._failure = None
        except BatonError as error:
            self._failure = error
        # Any other exception goes to threading.excepthook with its traceback, and the window shows BROKEN.

    def _tick(self) -> None:
        """Deliver, but not right after another task: what that one brought is painted first, or three answers that are
        written side by side would be shown in one long turn."""
        if time.perf_counter() - BackgroundTask._delivered_at < APART_MS / 1000:
            self._timer.start(APART_MS)
            return
        self._timer.start(FLUSH_MS)
        self._flush()

    def _flush(self) -> None:
        over = not self._thread.is_alive()
        batch = [self._inbox.popleft() for _ in range(len(self._inbox))]
        if batch:
            self.arrived.emit(batch)
            BackgroundTask._delivered_at = time.perf_counter()
        if over and self.running:
            self._timer.stop()
            self.running = False
            self.ended.emit(self._failure)


class BackgroundTasks(QObject):
    """The background work of one window: the tasks of all objects in its tree. After `close` nothing starts."""

    def __init__(self, window: QObject) -> None:
        super().__init__(window)
        self._window = window
        self.closed = False

    @staticmethod
    def of(owner: QObject) -> BackgroundTasks:
        """The tasks of the window that the owner belongs to: of the object at the top of its tree."""
        top = owner
        while parent := top.parent():
            top = parent
        known = top.findChild(BackgroundTasks, options=Qt.FindChildOption.FindDirectChildrenOnly)
        return known if isinstance(known, BackgroundTasks) else BackgroundTasks(top)

    @property
    def running(self) -> list[BackgroundTask]:
        return [task for task in self._window.findChildren(BackgroundTask) if task.running]

    def close(self) -> None:
        """Cancel everything, wait for it, and deliver what is left. A silent server is not waited for."""
        self.closed = True
        tasks = self.running
        for task in tasks:
            task.stop()
        for task in tasks:
            if task.waits:
                task.finish()


def run_in_background(
    owner: QObject,
    name: str,
    work: Work,
    *,
    arrived: Arrived | None = None,
    ended: Ended | None = None,
    cancel: Callable[[], None] | None = None,
    waits: bool = True,
) -> BackgroundTask:
    """Run work for an object of a window. If the owner is deleted, nothing more is delivered.

    `arrived` takes what was yielded, in batches; `ended` the error or None, once. `cancel` asks work to end by itself.
    `waits`: whether the closing window waits for the work, as it must where something is saved.
    """
    task = BackgroundTask(name, work, cancel, owner)
    task.waits = waits
    if BackgroundTasks.of(owner).closed:
        return task
    if arrived:
        task.arrived.connect(arrived)
    if ended:
        task.ended.connect(ended)
    task.ended.connect(task.deleteLater)
    return task.start()


def cancel_background(part: QObject) -> None:
    """Cancel the tasks of a part of the window that is being closed; they are not waited for."""
    for task in part.findChildren(BackgroundTask):
        task.stop()


class LatestTask(QObject):
    """Computes one answer at a time; a newer request replaces an older one, whose answer is dropped."""

    def __init__(self, owner: QObject, failed: Callable[[BatonError], object] | None = None) -> None:
        """`failed`: called with the error of a request that was not replaced."""
        super().__init__(owner)
        self._failed = failed
        self._newest: BackgroundTask | None = None

    @property
    def busy(self) -> bool:
        return self._newest is not None

    def ask(self, question: Callable[[], Any], answered: Callable[[Any], object]) -> None:
        """Call `question` in a thread, and `answered` with what it returns."""

        def work() -> Generator[Any, None, None]:
            yield question()

        task = run_in_background(
            self,
            "question",
            work,
            arrived=lambda answers: answered(answers[0]) if task is self._newest else None,
            ended=lambda error: self._ended(task, error),
            waits=False,
        )
        self._newest = task

    def cancel(self) -> None:
        """Drop the answer that is still to come. A silent server is not waited for."""
        if self._newest:
            self._newest.stop()
            self._newest = None

    def _ended(self, task: BackgroundTask, error: BatonError | None) -> None:
        if task is self._newest:
            self._newest = None
            if error and self._failed:
                self._failed(error)


class SteadyTask(QObject):
    """Computes one answer at a time; while it does, only the newest request waits. Every computed answer is used.

    For what changes faster than it can be computed, such as the alignment of texts that are being written.
    """

    def __init__(self, owner: QObject, name: str, failed: Callable[[BatonError], object] | None = None) -> None:
        super().__init__(owner)
        self._name = name
        self._failed = failed
        self._task: BackgroundTask | None = None
        self._next: tuple[Callable[[], Any], Callable[[Any], object]] | None = None

    @property
    def busy(self) -> bool:
        return self._task is not None

    def ask(self, question: Callable[[], Any], answered: Callable[[Any], object]) -> None:
        """Call `question` in a thread once the one before is done, and `answered` with what it returns."""
        if self._task:
            self._next = question, answered
            return

        def work() -> Generator[Any, None, None]:
            yield question()

        self._task = run_in_background(
            self, self._name, work, arrived=lambda answers: answered(answers[0]), ended=self._ended
        )

    def cancel(self) -> None:
        """Forget the request that waits."""
        self._next = None

    def _ended(self, error: BatonError | None) -> None:
        self._task = None
        if error and self._failed:
            self._failed(error)
        if self._next:
            request, self._next = self._next, None
            self.ask(*request)
