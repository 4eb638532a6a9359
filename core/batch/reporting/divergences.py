"""Finds where wrong answers diverge from what the large model expected: the first strong disagreement in each.

`BatchOpinions` lets the large model read the wrong answers of a batch; `divergence_of` finds the place in one of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from baton_reasoning.core.batch.reporting.reviews import BatchReviews, Review
from baton_reasoning.core.grading.verdict import Outcome
from baton_reasoning.core.run import Pair
from baton_reasoning.core.store.batches import ResultRow
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.events import Event
from baton_reasoning.core.thinking.opinion import Opinion, SecondOpinion, Sequel, opinion_error
from baton_reasoning.core.thinking.trace import Trace

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


class BatchOpinions(BatchReviews):
    """Lets the large model read every wrong answer that has no opinion yet."""

    def __init__(self, store: Store, batch_id: str, pair: Pair, arms: Iterable[str] | None = None) -> None:
        """`arms`: names of the arms to read, those that ran with these models; all, if not given.

        Raises the error of `opinion_error` if it cannot score.
        """
        read = None if arms is None else set(arms)
        rows = (row for row in store.batches.results(batch_id) if read is None or row.arm in read)
        wrong = (row for row in rows if row.outcome is Outcome.WRONG)
        unread = [row for row in wrong if not (row.reviewed and store.runs.trace(row.run).opinion)]
        super().__init__(store, unread)
        self._pair = pair
        if self.rows and (error := opinion_error(pair.large, store.runs.trace(self.rows[0].run))):
            raise error

    def begin(self, row: ResultRow, trace: Trace) -> Review | None:  # noqa: ARG002 - of every answer alike
        if opinion_error(self._pair.large, trace):
            return None
        reading = SecondOpinion(self._pair.large, trace)
        return Review(reading.stop, reading.read())

    def is_kept(self, trace: Trace, event: Event) -> bool:  # noqa: ARG002 - of every answer alike
        """Tell whether it was read to the end: what was stopped would not be read again."""
        return not self.stopped
