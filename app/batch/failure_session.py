"""The failures of the batch that is shown: analysed, read by the large model and noted, off the main thread."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import QObject, Signal

from baton_reasoning.app.batch.session import BatchSession
from baton_reasoning.app.shared.background import LatestTask, StreamTask
from baton_reasoning.app.shared.loaded_models import LoadState
from baton_reasoning.core.batch.reporting.divergences import BatchOpinions
from baton_reasoning.core.batch.reporting.failures import analyse
from baton_reasoning.core.batch.reporting.reviews import ReviewsProgress
from baton_reasoning.core.batch.running.arms import known_arms
from baton_reasoning.core.store.batches import ResultRow


class FailureSession(QObject):
    analysed = Signal(object)
    """A FailureAnalysis."""
    read = Signal(object, object)
    """A ResultRow and the Trace of its run."""
    changed = Signal()
    """Reading by the large model began, got further or ended, or models came or went."""
    failed = Signal(object)
    """A BatonError."""

    def __init__(self, batch: BatchSession, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._batch = batch
        self._analysing = LatestTask(self, "analyse failures", self.failed.emit, one_at_a_time=True)
        self._opening = LatestTask(self, "open a failed answer", self.failed.emit)
        self._arm: str | None = None
        self._opinions: BatchOpinions | None = None
        self._stopped = False
        self.reading = False
        """Whether the large model reads answers just now."""
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

    def set_note(self, row: ResultRow, note: str) -> None:
        self._batch.set_note(row, note)

    @property
    def unavailable_reason(self) -> str:
        """Why the large model cannot read answers now, in a sentence or two; "" if it can."""
        if self._batch.running:
            return "Wait until the batch is done, or stop it."
        if self._batch.models.state is not LoadState.READY:
            return "The models are not loaded yet."
        large = self._batch.models.pair.large
        if large is None:
            return "A second opinion needs a large model. Choose one first."
        if not large.card.returns_scores:
            return (
                f"{large.card.name} on {large.card.location} gives no log-probabilities of a text that it reads. "
                "Choose a large model on this machine, or serve it with vLLM."
            )
        return ""

    def ask_opinions(self) -> None:
        """Let the large model read every wrong answer of the chosen arm that has no opinion yet."""
        store, batch, models = self._batch.store, self._batch.batch, self._batch.models
        if self.reading or self.unavailable_reason or store is None or batch is None:
            return
        # The loaded pair reads the arms that ran with the batch's own models; others have theirs.
        own = [arm.name for arm in known_arms(batch.arms) if not any(arm.models) and self._arm in (None, arm.name)]
        pair = models.pair

        def read() -> Iterator[ReviewsProgress]:
            self._opinions = BatchOpinions(store, batch.id, pair, own)
            if not self._stopped:
                yield from self._opinions.run()

        self.reading, self._stopped = True, False
        models.begin_writing(self)
        task = StreamTask(self, "second opinions", read, cancel=self.stop)
        task.items(self._show_progress).failure(self.failed.emit).done(self._ended).start()
        self.changed.emit()

    def stop(self) -> None:
        """Stop reading; the opinions so far are kept."""
        self._stopped = True
        if self._opinions:
            self._opinions.stop()

    def _show_progress(self, items: list[ReviewsProgress]) -> None:
        self.progress = items[-1]
        self.changed.emit()

    def _ended(self, _: object) -> None:
        self.reading, self.progress, self._opinions = False, None, None
        self._batch.models.end_writing(self)
        self.changed.emit()
        self.analyse(self._arm)
