"""Reviews answers of a batch one after another, and stores each review with its answer at once.

So they go on after a stop: second opinions (divergences.py) and values (worth.py).
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import NamedTuple

from baton_reasoning.core.errors import ContextFull
from baton_reasoning.core.step_values.estimator import ValuesProgress
from baton_reasoning.core.store.batches import ResultRow
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.events import Event, OpinionGiven, ValuesEstimated
from baton_reasoning.core.thinking.opinion import OpinionProgress
from baton_reasoning.core.thinking.trace import Trace


class ReviewsProgress(NamedTuple):
    done: int
    """Answers that have been reviewed."""
    total: int
    share: float
    """Of all the work, 0 to 1, with the answer that is being reviewed."""


class Review(NamedTuple):
    """The review of one answer: what stops it, from any thread, and its progress and result."""

    stop: Callable[[], None]
    items: Iterator[OpinionProgress | OpinionGiven | ValuesProgress | ValuesEstimated]


class BatchReviews(ABC):
    def __init__(self, store: Store, rows: Sequence[ResultRow]) -> None:
        """`rows`: the answers to review."""
        self.rows = rows
        self.too_long: list[ResultRow] = []
        """Answers that were left out, because they do not fit into the model's context."""
        self._store = store
        self._stopped = threading.Event()
        self._stop_current: Callable[[], None] = lambda: None

    @abstractmethod
    def begin(self, row: ResultRow, trace: Trace) -> Review | None:
        """Begin the review of an answer; None if it cannot be reviewed."""

    @abstractmethod
    def is_kept(self, trace: Trace, event: Event) -> bool:
        """Tell whether a result is to be stored."""

    @property
    def stopped(self) -> bool:
        return self._stopped.is_set()

    def stop(self) -> None:
        """Stop from any thread; the reviews so far are kept."""
        self._stopped.set()
        self._stop_current()

    def run(self) -> Generator[ReviewsProgress, None, None]:
        """Review the answers, and yield progress before the first, within each and after it.

        Raises EngineError, EngineLost, EngineRefused, StoreError.
        """
        total = len(self.rows)
        yield ReviewsProgress(0, total, 0.0)
        for done, row in enumerate(self.rows):
            trace = self._store.runs.trace(row.run)
            if not self.stopped and (review := self.begin(row, trace)):
                for part in self._carried_out(row, trace, review):
                    yield ReviewsProgress(done, total, (done + part) / total)
            if self.stopped:
                return
            yield ReviewsProgress(done + 1, total, (done + 1) / total)

    def _carried_out(self, row: ResultRow, trace: Trace, review: Review) -> Iterator[float]:
        """Yield the share that is done, and store the result."""
        self._stop_current = review.stop
        if self.stopped:
            review.stop()
        try:
            for item in review.items:
                if isinstance(item, ValuesProgress):
                    yield item.done / item.total
                elif isinstance(item, OpinionProgress):
                    yield item.tokens / item.total
                elif self.is_kept(trace, item):
                    self._store.runs.append(row.run, [item]).result()
        except ContextFull:
            self.too_long.append(row)
