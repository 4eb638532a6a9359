"""From a thread to the window: whatever takes long runs as an errand, and its results arrive in batches.

    thread   for item in work(): inbox.append(item)
    window   every 30 ms: everything in the inbox, as one `arrived`; when the work is over, one `ended`

The work is a generator. Stopped, it is closed at its next item; work that ends well by itself when it is told to
(a run, whose last event must not be lost) says so with `cancel`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from core.errors import BatonError

FLUSH_MS = 30
"""Thirty batches a second look like a stream, and leave the window nine tenths of its time at 300 tokens a second."""

Work = Callable[[], Generator[Any, None, None]]

BROKEN = BatonError("Something went wrong inside Baton.", "What was written so far is kept; please report it.")


class BackgroundTask(QObject):
    """One piece of work in a thread of its own. It is started once."""

    arrived = Signal(list)
    """What the work has yielded since the last time, in order."""
    ended = Signal(object)
    """A BatonError if the work failed, else None. Comes once, after everything has arrived."""

    def __init__(
        self, name: str, work: Work, cancel: Callable[[], None] | None = None, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._work = work
        self._inbox: deque[Any] = deque()
        self._stopping = threading.Event()
        self._cancel = cancel or self._stopping.set
        self._failure: BatonError | None = BROKEN
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._timer = QTimer(self)
        self._timer.setInterval(FLUSH_MS)
        self._timer.timeout.connect(self._flush)

    def start(self) -> BackgroundTask:
        self._thread.start()
        self._timer.start()
        return self

    @property
    def running(self) -> bool:
        """True until `ended` has been emitted."""
        return self._timer.isActive()

    def stop(self) -> None:
        """Ask the work to end; `ended` follows."""
        self._cancel()

    def finish(self) -> None:
        """Stop, wait for the thread, and deliver what is left, now. For when the window closes."""
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
        # Any other exception goes to threading.excepthook with its traceback, and the window says BROKEN.

    def _flush(self) -> None:
        over = not self._thread.is_alive()
        batch = [self._inbox.popleft() for _ in range(len(self._inbox))]
        if batch:
            self.arrived.emit(batch)
        if over and self._timer.isActive():
            self._timer.stop()
            self.ended.emit(self._failure)


class LatestTask(QObject):
    """Asks one thing at a time; the answer to a question that was replaced is dropped."""

    def __init__(self, failed: Callable[[BatonError], object], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._failed = failed
        self._errands: list[BackgroundTask] = []

    @property
    def is_open(self) -> bool:
        return bool(self._errands)

    def ask(self, question: Callable[[], Any], answered: Callable[[Any], object]) -> None:
        def work() -> Generator[Any, None, None]:
            yield question()

        errand = BackgroundTask("question", work, parent=self)
        errand.arrived.connect(lambda answers: self._arrived(errand, answers[0], answered))
        errand.ended.connect(lambda error: self._ended(errand, error))
        self._errands.append(errand)
        errand.start()

    def finish(self) -> None:
        """The window is closing: a silent server is not waited for."""
        for errand in self._errands:
            errand.stop()

    def _arrived(self, errand: BackgroundTask, answer: Any, answered: Callable[[Any], object]) -> None:
        if errand is self._errands[-1]:
            answered(answer)

    def _ended(self, errand: BackgroundTask, error: BatonError | None) -> None:
        was_last = errand is self._errands[-1]
        self._errands.remove(errand)
        errand.deleteLater()
        if error is not None and was_last:
            self._failed(error)
