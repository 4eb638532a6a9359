"""Background tasks: what takes long runs in a thread, and its results reach the window in the main thread.

    BackgroundTask(self, "export", write).success(self._exported).failure(self.failed.emit).start()
    StreamTask(self, "batch", results).items(self._show).done(self._ended).start()

`BackgroundTask` runs a function, which returns one result. `StreamTask` runs a generator; what it yields is delivered
every 30 ms, all of it as one list. The function runs in a thread of its own, so it must not touch a widget: whatever it
needs of one is read before. If it raises a BatonError, `failure` gets it. Any other exception goes to
`threading.excepthook` with its traceback, and `failure` gets `BROKEN`.

The owner is an object of the window. A task whose owner is deleted delivers nothing more. When the window closes,
`BackgroundTasks.close` cancels all tasks in its tree and waits for them; nothing is started afterwards. A cancelled
generator is closed at its next item. Work whose last results must not be lost, such as an answer that is saved while it
is written, passes `cancel`, a function that asks it to end by itself. Work that may hang at a silent server is not
waited for: `waits=False`.

`LatestTask` runs functions of which only the newest result is wanted: a search while a person types.

`MainThreadCollector` keeps Python's cyclic garbage collection out of these threads.
"""

from __future__ import annotations

import gc
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from functools import partial
from typing import ClassVar, Generic, Self, TypeVar

from PySide6.QtCore import QObject, Qt, QTimer, Signal

from baton_reasoning.core.errors import BatonError

FLUSH_MS = 30
"""Thirty deliveries a second look like a stream; at 300 tokens a second the window is busy a tenth of the time."""
APART_MS = 4
"""Between the deliveries of two tasks."""
COLLECT_MS, FULL_COLLECTION = 100, 100
"""Milliseconds between two collections of cycles; after so many, all objects are looked at, not only new ones."""
BROKEN = BatonError("Something went wrong inside Baton.", "What was written so far is kept; please report it.")

Item = TypeVar("Item")
Result = TypeVar("Result")


class StreamTask(QObject, Generic[Item]):
    """A generator in a thread of its own. Its items are delivered in order, and then its end."""

    _arrived = Signal(list)
    _failed = Signal(object)
    _ended = Signal(object)

    _delivered_at: ClassVar = 0.0
    """When any task last delivered something."""

    def __init__(
        self,
        owner: QObject,
        name: str,
        generate: Callable[[], Iterable[Item]],
        *,
        cancel: Callable[[], None] | None = None,
        waits: bool = True,
    ) -> None:
        """`cancel`: asks the work to end by itself. `waits`: whether the closing window waits for it."""
        super().__init__(owner)
        self.name = name
        self.running = False
        """True until the end has been delivered."""
        self.waits = waits
        self._generate = generate
        self._inbox: deque[Item] = deque()
        self._stopping = threading.Event()
        self._cancel = cancel or self._stopping.set
        self._error: BatonError | None = BROKEN
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._timer = QTimer(self)
        self._timer.setInterval(FLUSH_MS)
        self._timer.timeout.connect(self._tick)

    def items(self, callback: Callable[[list[Item]], object]) -> Self:
        """Call this with what was yielded since the last call."""
        self._arrived.connect(callback)
        return self

    def failure(self, callback: Callable[[BatonError], object]) -> Self:
        """Call this with the error if the work fails."""
        self._failed.connect(callback)
        return self

    def done(self, callback: Callable[[BatonError | None], object]) -> Self:
        """Call this last, however the work ended, with its error or None."""
        self._ended.connect(callback)
        return self

    def start(self) -> Self:
        """Start once; does nothing if the window is closed."""
        if not BackgroundTasks.of(self).closed:
            self.running = True
            self._ended.connect(self.deleteLater)
            self._thread.start()
            self._timer.start()
        return self

    def stop(self) -> None:
        """Ask the work to end; its last results and its end follow."""
        self._cancel()

    def finish(self) -> None:
        """Stop, wait for the thread, and deliver what is left, now."""
        if self.running:
            self.stop()
            self._thread.join()
            self._flush()

    def _run(self) -> None:
        try:
            items = self._generate()
            for item in items:
                self._inbox.append(item)
                if self._stopping.is_set():
                    break
            if isinstance(items, Generator):
                items.close()
            self._error = None
        except BatonError as error:
            self._error = error

    def _tick(self) -> None:
        """Deliver, but not right after another task: the window paints what that one delivered first, or three answers
        that are written side by side would stop it for as long as all of them take together."""
        if time.perf_counter() - StreamTask._delivered_at < APART_MS / 1000:
            self._timer.start(APART_MS)
            return
        self._timer.start(FLUSH_MS)
        self._flush()

    def _flush(self) -> None:
        over = not self._thread.is_alive()
        items = [self._inbox.popleft() for _ in range(len(self._inbox))]
        if items:
            self._arrived.emit(items)
            StreamTask._delivered_at = time.perf_counter()
        if over and self.running:
            self._timer.stop()
            self.running = False
            if self._error:
                self._failed.emit(self._error)
            self._ended.emit(self._error)


class BackgroundTask(StreamTask[Result]):
    """A function in a thread of its own, with one result."""

    def __init__(
        self,
        owner: QObject,
        name: str,
        function: Callable[[], Result],
        *,
        cancel: Callable[[], None] | None = None,
        waits: bool = True,
    ) -> None:
        super().__init__(owner, name, lambda: [function()], cancel=cancel, waits=waits)

    def success(self, callback: Callable[[Result], object]) -> Self:
        """Call this with the result if the function returns."""
        return self.items(lambda results: callback(results[0]))


class LatestTask(QObject):
    """Runs one function after another; only the newest result is wanted.

    A new function starts at once, and the result of the one before is dropped. With `one_at_a_time` it waits for the
    one before, whose result is delivered too; of several that wait, only the newest runs. That is for what changes
    faster than it can be computed, such as the alignment of texts that are being written.
    """

    def __init__(
        self,
        owner: QObject,
        name: str,
        failure: Callable[[BatonError], object] | None = None,
        *,
        one_at_a_time: bool = False,
    ) -> None:
        super().__init__(owner)
        self._name = name
        self._failure = failure
        self._one_at_a_time = one_at_a_time
        self._newest: QObject | None = None
        self._next: Callable[[], None] | None = None

    @property
    def busy(self) -> bool:
        return self._newest is not None

    def run(self, function: Callable[[], Result], success: Callable[[Result], object]) -> None:
        """Call `function` in a thread, and `success` with its result."""
        start = partial(self._start, function, success)
        if self._one_at_a_time and self.busy:
            self._next = start
        else:
            start()

    def cancel(self) -> None:
        """Drop the result that is still to come."""
        self._newest = self._next = None

    def _start(self, function: Callable[[], Result], success: Callable[[Result], object]) -> None:
        task = BackgroundTask(self, self._name, function, waits=self._one_at_a_time)
        task.success(lambda result: success(result) if task is self._newest else None)
        task.done(lambda error: self._done(task, error))
        self._newest = task
        task.start()

    def _done(self, task: QObject, error: BatonError | None) -> None:
        if task is not self._newest:
            return
        self._newest = None
        if error and self._failure:
            self._failure(error)
        if start := self._next:
            self._next = None
            start()


class BackgroundTasks(QObject):
    """The tasks of all objects in the tree of one window."""

    def __init__(self, window: QObject) -> None:
        super().__init__(window)
        self._window = window
        self.closed = False

    @staticmethod
    def of(owner: QObject) -> BackgroundTasks:
        """Return the tasks of the window that the owner belongs to: of the object at the top of its tree."""
        top = owner
        while parent := top.parent():
            top = parent
        known = top.findChild(BackgroundTasks, options=Qt.FindChildOption.FindDirectChildrenOnly)
        return known if isinstance(known, BackgroundTasks) else BackgroundTasks(top)

    @property
    def running(self) -> list[StreamTask[object]]:
        return [task for task in self._window.findChildren(StreamTask) if task.running]

    def close(self) -> None:
        """Cancel everything, wait for it, and deliver what is left. A silent server is not waited for."""
        self.closed = True
        tasks = self.running
        for task in tasks:
            task.stop()
        for task in tasks:
            if task.waits:
                task.finish()


def cancel_tasks(owner: QObject) -> None:
    """Cancel the tasks of a part of the window that is being closed; they are not waited for."""
    for task in owner.findChildren(StreamTask):
        task.stop()


class MainThreadCollector(QObject):
    """While it lives, cycles are collected by a timer of the thread that made it: between frames, and nowhere else.

    CPython collects in whichever thread happens to allocate. A cycle may hold a widget or a timer, which Qt destroys
    safely only in the thread that it lives in. What exists when this is made (modules and classes) is left out.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        gc.disable()
        gc.freeze()
        self._ticks = 0
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.collect)
        self._timer.start(COLLECT_MS)

    def collect(self) -> None:
        """Collect what was made since the last call; at every `FULL_COLLECTION`th, all cycles."""
        self._ticks += 1
        gc.collect(1 if self._ticks % FULL_COLLECTION else 2)

    def stop(self) -> None:
        """Return to Python's own automatic collection."""
        self._timer.stop()
        gc.unfreeze()
        gc.enable()
