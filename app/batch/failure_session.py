"""The failures of the batch that is shown: analysed, reviewed by models and noted, off the main thread."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from PySide6.QtCore import QObject, Signal

from baton_reasoning.app.batch.session import BatchSession
from baton_reasoning.app.session.loaded_models import LoadState
from baton_reasoning.app.toolkit.background import LatestTask, StreamTask
from baton_reasoning.core.batch.reporting.failures import analyse
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
from baton_reasoning.core.batch.running.arms import known_arms
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.step_values.estimator import ValueOptions
from baton_reasoning.core.store.batches import Batch, ResultRow
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.opinion import reader_error


class FailureSession(QObject):
    analysed = Signal(object)
    """A FailureAnalysis."""
    read = Signal(object, object)
    """A ResultRow and the Trace of its run."""
    changed = Signal()
    """A review began, got further or ended, or models came or went."""
    failed = Signal(object)
    """A BatonError."""

    def __init__(self, batch: BatchSession, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._batch = batch
        self._analysing = LatestTask(self, "analyse failures", self.failed.emit, one_at_a_time=True)
        self._opening = LatestTask(self, "open a failed answer", self.failed.emit)
        self._arm: str | None = None
        self._reviews: Reviews | None = None
        self._stopped = False
        self.reviewing = False
        """Whether models review answers just now."""
        self.progress: ReviewsProgress | None = None
        batch.models.changed.connect(self.changed)
        batch.changed.connect(self.changed)

    def analyse(self, arm: str | None) -> None:
        """Analyse the failures of one arm, or of all. `analysed` follows."""
        self._arm = arm
        if (store := self._batch.store) and (batch := self._batch.batch):
            self._analysing.run(lambda: analyse(store, batch.id, arm), self.analysed.emit)

    def open(self, row: ResultRow) -> None:
        """Read the trace of an answer; `read` follows, for the newest request only."""
        if store := self._batch.store:
            self._opening.run(lambda: store.runs.trace(row.run), lambda trace: self.read.emit(row, trace))

    @property
    def unavailable_reason(self) -> str:
        """Why no models can review answers now, in a sentence; "" if they can."""
        if self._batch.running:
            return "Wait until the batch is done, or stop it."
        if self._batch.models.state is not LoadState.READY:
            return "The models are not loaded yet."
        return ""

    @property
    def no_opinions_reason(self) -> str:
        """Why the large model cannot read answers now, in a sentence or two; "" if it can."""
        return self.unavailable_reason or str(reader_error(self._batch.models.pair.large) or "")

    def ask_opinions(self) -> None:
        """Let the large model read every wrong answer of the chosen arm that has no opinion yet."""
        if not self.no_opinions_reason:
            self._begin(lambda _: Opinions(), wrong_answers)

    def value_takeovers(self) -> None:
        """Estimate what takeovers were worth in a sample of answers of the chosen arm, where it is not known."""
        if not self.unavailable_reason:
            self._begin(lambda grader: Values(ValueOptions(only_takeovers=True), grader), sample_answers)

    def _begin(
        self,
        review_by: Callable[[Grader], Review],
        chosen: Callable[[Store, Batch, Collection[str]], list[ResultRow]],
    ) -> None:
        """Let the loaded pair review the chosen answers. It reviews arms that ran with the batch's own models; others
        have theirs."""
        store, batch, pair = self._batch.store, self._batch.batch, self._batch.models.pair
        if self.reviewing or store is None or batch is None:
            return
        own = [arm.name for arm in known_arms(batch.arms) if not any(arm.models) and self._arm in (None, arm.name)]

        def run() -> Iterator[ReviewsProgress]:
            with Grader() as grader:
                review = review_by(grader)
                answers = review.missing(answers_of(store, batch, chosen(store, batch, own)))
                self._reviews = Reviews(review, pair, answers)
                if not self._stopped:
                    yield from self._reviews.run()

        self.reviewing, self._stopped = True, False
        self._batch.models.begin_writing(self)
        task = StreamTask(self, "reviews", run, cancel=self.stop)
        task.items(self._show_progress).failure(self.failed.emit).done(self._ended).start()
        self.changed.emit()

    def stop(self) -> None:
        """Stop the reviews; those so far are kept."""
        self._stopped = True
        if self._reviews:
            self._reviews.stop()

    def _show_progress(self, items: list[ReviewsProgress]) -> None:
        self.progress = items[-1]
        self.changed.emit()

    def _ended(self, _: object) -> None:
        if reviews := self._reviews:
            for sentence in reviews.remarks:
                self._batch.noticed.emit(sentence)
        self.reviewing, self.progress, self._reviews = False, None, None
        self._batch.models.end_writing(self)
        self.changed.emit()
        self.analyse(self._arm)
