"""Finds where wrong answers diverge from what the large model expected: the first strong disagreement in each.

`BatchOpinions` lets the large model read the wrong answers of a batch; `divergence_of` finds the place in one of them.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Generator, Iterable
from typing import NamedTuple

from core.errors import ContextFull
from core.grading.verdict import Outcome
from core.run import Pair
from core.store.batch_rows import ResultRow
from core.store.store import Store
from core.thinking.events import OpinionGiven
from core.thinking.opinion import Opinion, SecondOpinion, Sequel, opinion_obstacle
from core.thinking.trace import Trace

AROUND = 60
"""Characters of context that are shown before a divergence."""


class Divergence(NamedTuple):
    """The first token of an answer that the large model strongly disagrees with."""

    step: int
    """Index of its step, from 0."""
    steps: int
    position: int
    """Characters of the text before it."""
    before: str
    """The text that leads to it."""
    written: str
    expected: str
    """What the large model would have written."""
    chance: float
    """Its probability, 0 to 1."""
    is_missed: bool
    """The small model went on; no takeover followed."""


class OpinionsProgress(NamedTuple):
    """The number of answers that have been read, the last one, and its divergence."""

    done: int
    total: int
    row: ResultRow | None = None
    divergence: Divergence | None = None


def divergence_of(trace: Trace) -> Divergence | None:
    """Find the divergence; None without an opinion, or if the large model nowhere disagreed strongly."""
    opinion = Opinion.of(trace)
    if opinion is None or not opinion.strong:
        return None
    first, text = opinion.strong[0], trace.text
    return Divergence(
        first.step,
        len(trace.steps),
        first.start,
        " ".join(text[max(0, first.start - AROUND) : first.start].split()),
        text[first.start : first.end],
        first.expected.text,
        math.exp(first.expected.logprob),
        first.sequel is Sequel.MISSED,
    )


class BatchOpinions:
    """Lets the large model read every wrong answer that has no opinion yet; each opinion is stored at once."""

    def __init__(self, store: Store, batch_id: str, pair: Pair, arms: Iterable[str] | None = None) -> None:
        """`arms`: names of the arms to read, those that ran with these models; all, if not given.

        Raises the error of `opinion_obstacle` if it cannot score.
        """
        self._store, self._pair = store, pair
        read = None if arms is None else set(arms)
        rows = (row for row in store.batches.results(batch_id) if read is None or row.arm in read)
        wrong = [row for row in rows if row.outcome is Outcome.WRONG]
        self.rows = [row for row in wrong if store.runs.opinion(row.run) is None]
        if self.rows and (error := opinion_obstacle(pair.large, store.runs.trace(self.rows[0].run))):
            raise error
        self._stopped = threading.Event()
        self._reading: SecondOpinion | None = None

    def stop(self) -> None:
        """Stop from any thread; the opinions so far are kept."""
        self._stopped.set()
        if reading := self._reading:
            reading.stop()

    def run(self) -> Generator[OpinionsProgress, None, None]:
        """Read the answers, and yield progress before the first and after each.

        Raises EngineLost, EngineRefused, StoreError.

        An answer that is too long for the large model's context is left out.
        """
        yield OpinionsProgress(0, len(self.rows))
        for done, row in enumerate(self.rows, 1):
            trace = self._store.runs.trace(row.run)
            if self._stopped.is_set():
                return
            if opinion_obstacle(self._pair.large, trace) is None:
                self._read(row, trace)
            if self._stopped.is_set():
                return
            yield OpinionsProgress(done, len(self.rows), row, divergence_of(trace))

    def _read(self, row: ResultRow, trace: Trace) -> None:
        self._reading = reading = SecondOpinion(self._pair.large, self._pair.small, trace)
        try:
            given = [item for item in reading.read() if isinstance(item, OpinionGiven)]
        except ContextFull:
            return
        finally:
            self._reading = None
        for opinion in given if not self._stopped.is_set() else ():
            trace.apply(opinion)
            self._store.runs.append(row.run, [opinion])
