"""Pauses, finishes and stops a batch, from any thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue

from baton_reasoning.core.batch.running.progress import BatchEvent, Finishing


class BatchControl:
    """What whoever watches a batch, and whoever writes its answers, share."""

    def __init__(self) -> None:
        self.ending = False
        """Whether `finish` or `stop` was called: no other answer begins."""
        self.under_way = 0
        """Answers that are being written or graded."""
        self.events: SimpleQueue[BatchEvent | None] = SimpleQueue()
        """What the writing threads report; None as each of them ends."""
        self._may_begin = threading.Event()
        self._may_begin.set()
        self._stopped = False
        self._lock = threading.RLock()  # a signal may call `stop` while its thread holds it
        self._stops: dict[object, Callable[[], object]] = {}

    def pause(self) -> None:
        """Begin no other answer until `resume`; answers under way are completed."""
        self._may_begin.clear()

    def resume(self) -> None:
        self._may_begin.set()

    @property
    def paused(self) -> bool:
        return not self._may_begin.is_set()

    def finish(self) -> None:
        """Complete the answers under way, then end; stop if there is none."""
        with self._lock:
            self.ending = True
            answers = self.under_way
        if not answers:
            self.stop()
            return
        self.events.put(Finishing(answers))
        self._may_begin.set()

    def stop(self) -> None:
        """Stop every text at its next token, and the loading of models. A resume writes these answers anew."""
        with self._lock:
            self.ending = self._stopped = True
            stops = list(self._stops.values())
        for stop in stops:
            stop()
        self._may_begin.set()

    @contextmanager
    def stopping(self, stop: Callable[[], object]) -> Iterator[None]:
        """Call `stop` if the batch is stopped during the block, at once if it was before."""
        key = object()
        with self._lock:
            self._stops[key] = stop
            if self._stopped:
                stop()
        try:
            yield
        finally:
            with self._lock:
                del self._stops[key]

    @contextmanager
    def answering(self) -> Iterator[bool]:
        """Wait while the batch is paused, and count an answer as under way; yields whether it may begin."""
        self._may_begin.wait()
        with self._lock:
            self.under_way += 1
        try:
            yield not self.ending
        finally:
            with self._lock:
                self.under_way -= 1
