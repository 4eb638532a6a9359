"""Lets the loaded models review answers of the batch in view: second opinions, and the worth of takeovers or steps."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from PySide6.QtCore import QObject, Signal

from baton_reasoning.app.batch.session import BatchSession
from baton_reasoning.app.session.actions import WindowActions
from baton_reasoning.app.session.loaded_models import LoadState
from baton_reasoning.app.toolkit.background import StreamTask
from baton_reasoning.core.batch.reporting.reviews import (
    Opinions,
    Review,
    Reviews,
    ReviewsProgress,
    Values,
    answers_of,
    sample_answers,
    wrong_answers,
)
from baton_reasoning.core.batch.running.arms import known_arms, pair_names
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.step_values.estimator import ValueOptions
from baton_reasoning.core.store.batches import Batch, ResultRow
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.opinion import reader_error

Choose = Callable[[Store, Batch, Collection[str]], Sequence[ResultRow]]
"""Chooses answers of these arms of a batch."""


class BatchReviews(QObject):
    """One review at a time; of all answers, those that the batch's own models wrote: other arms have other models."""

    changed = Signal()
    """A review began, got further or ended, or models came or went."""
    ended = Signal()

    def __init__(self, batch: BatchSession, actions: WindowActions, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._batch, self._actions = batch, actions
        self._reviews: Reviews | None = None
        self._stopped = False
        self.running = False
        self.progress: ReviewsProgress | None = None
        batch.models.changed.connect(self.changed)
        batch.changed.connect(self.changed)

    @property
    def unavailable_reason(self) -> str:
        """Why no models can review answers now, in a sentence; "" if they can."""
        if self.running:
            return "Another review is running. Wait for its end, or stop it."
        if self._batch.running:
            return "Wait until the batch is done, or stop it."
        if self._batch.models.state is not LoadState.READY:
            return "The models are not loaded yet."
        return ""

    @property
    def no_opinions_reason(self) -> str:
        """Why the large model cannot read answers now, in a sentence or two; "" if it can."""
        return self.unavailable_reason or str(reader_error(self._batch.models.pair.large) or "")

    @property
    def status(self) -> str:
        """How far the review is: “3 of 18 answers reviewed”; of one answer, its percentage."""
        if not (progress := self.progress):
            return "reading what is to be reviewed"
        if progress.total == 1:
            return f"{progress.share:.0%} reviewed"
        return f"{progress.done:,} of {progress.total:,} answers reviewed"

    def ask_opinions(self, row: ResultRow | None = None) -> None:
        """Let the large model read this answer, or every wrong one that has no opinion yet."""
        if not self.no_opinions_reason:
            self._begin(lambda _: Opinions(), wrong_answers, row)

    def estimate_values(self, row: ResultRow | None = None) -> None:
        """Estimate what each step of this answer was worth, or the takeovers in a sample of answers."""
        if not self.unavailable_reason:
            options = ValueOptions(only_takeovers=row is None)
            self._begin(lambda grader: Values(options, grader), _sample_of_pairs, row)

    def stop(self) -> None:
        """Stop the reviews; those so far are kept."""
        self._stopped = True
        if self._reviews:
            self._reviews.stop()

    def _begin(self, review_by: Callable[[Grader], Review], choose: Choose, row: ResultRow | None) -> None:
        """Review this answer, or those that `choose` finds."""
        store, batch, pair = self._batch.store, self._batch.batch, self._batch.models.pair
        assert batch
        own = [arm.name for arm in known_arms(batch.arms) if not any(arm.models)]

        def run() -> Iterator[ReviewsProgress]:
            with Grader() as grader:
                review = review_by(grader)
                rows = [row] if row else choose(store, batch, own)
                answers = review.missing(answers_of(store, batch, rows))
                self._reviews = Reviews(review, pair, answers)
                if not self._stopped:
                    yield from self._reviews.run()

        self.running, self._stopped = True, False
        self._batch.models.begin_writing(self)
        task = StreamTask(self, "reviews", run, cancel=self.stop)
        task.items(self._take).failure(self._actions.show_error).done(self._end).start()
        self.changed.emit()

    def _take(self, items: list[ReviewsProgress]) -> None:
        self.progress = items[-1]
        self.changed.emit()

    def _end(self, _: object) -> None:
        for sentence in self._reviews.remarks if self._reviews else ():
            self._actions.say(sentence)
        self.running, self.progress, self._reviews = False, None, None
        self._batch.models.end_writing(self)
        self.changed.emit()
        self.ended.emit()


def _sample_of_pairs(store: Store, batch: Batch, arms: Collection[str]) -> Sequence[ResultRow]:
    """Draw answers of those of these arms in which both models write by their policy."""
    return sample_answers(store, batch, set(arms).intersection(pair_names(batch.arms)))
