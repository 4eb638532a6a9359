"""Reviews of finished answers in the window: a second opinion, or what each step is worth. One at a time, in the
background."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from baton_reasoning.app.session.conversation import Exchange
from baton_reasoning.app.session.loaded_models import LoadedModels, LoadState
from baton_reasoning.app.toolkit.background import StreamTask
from baton_reasoning.core.run import Pair
from baton_reasoning.core.thinking.events import OpinionGiven, ValuesEstimated
from baton_reasoning.core.thinking.opinion import OpinionProgress, SecondOpinion, several_models_error

if TYPE_CHECKING:
    from baton_reasoning.core.step_values.estimator import ValueEstimator, ValueOptions, ValuesProgress

    Progress = OpinionProgress | ValuesProgress

Finding = OpinionGiven | ValuesEstimated
"""What a review adds to a trace."""


class AnswerReviews(QObject):
    """Reviews answers with the loaded models, and puts what is found into their traces."""

    changed = Signal()
    """A review began, got further or ended, or models came or went."""
    found = Signal(object, object)
    """An Exchange whose trace has got a Finding, and the Finding, to be saved."""
    failed = Signal(object)
    """A BatonError."""
    noticed = Signal(str)
    """A sentence that a person should know: a model was started again."""

    def __init__(self, models: LoadedModels, is_free: Callable[[], bool], parent: QObject | None = None) -> None:
        """`is_free`: whether no answer is being written."""
        super().__init__(parent)
        self.exchange: Exchange | None = None
        """The exchange whose answer is being reviewed."""
        self.progress: Progress | None = None
        self._models, self._is_free = models, is_free
        self._review: SecondOpinion | ValueEstimator | None = None
        models.changed.connect(self.changed)

    @property
    def pair(self) -> Pair:
        return self._models.pair

    def is_running(self, exchange: Exchange | None, kind: type[SecondOpinion | ValueEstimator]) -> bool:
        """Whether this answer is being reviewed in this way just now."""
        return self.exchange is not None and self.exchange is exchange and isinstance(self._review, kind)

    def unavailable_reason(self, exchange: Exchange) -> str:
        """Why no review of this answer can begin now, whatever it needs, in a sentence; "" if one can."""
        trace = exchange.trace
        if self.exchange:
            return "Another review is running. Wait for its end, or stop it."
        if not self._is_free() or (trace.started and not trace.ended and not exchange.is_read):
            return "Wait until the answer is written."
        if error := several_models_error(trace):
            return str(error)
        if self._models.state is not LoadState.READY and trace.pieces:
            return "The models are not loaded yet."
        return ""

    def ask_opinion(self, exchange: Exchange) -> None:
        """Let the large model read this answer. Raises the error of `opinion_error`."""
        if not self.unavailable_reason(exchange):
            reading = SecondOpinion(self.pair.large, exchange.trace)
            self._begin(exchange, reading, reading.read)

    def value_steps(self, exchange: Exchange, expected: str, options: ValueOptions) -> None:
        """Estimate what the steps of this answer are worth, or go on with that. Raises SettingsError."""
        if self.unavailable_reason(exchange):
            return
        from baton_reasoning.core.grading.grader import Grader  # not at the start of a window, which these would delay
        from baton_reasoning.core.step_values.estimator import ValueEstimator

        grader = Grader()
        estimator = ValueEstimator(self.pair, exchange.trace, grader, expected, options)

        def run() -> Generator[Progress | Finding | str, None, None]:
            with grader:
                yield from estimator.run()

        self._begin(exchange, estimator, run)

    def stop(self) -> None:
        """Stop the review; what it has found is kept."""
        if self._review:
            self._review.stop()

    def _begin(
        self,
        exchange: Exchange,
        review: SecondOpinion | ValueEstimator,
        run: Callable[[], Iterable[Progress | Finding | str]],
    ) -> None:
        self.exchange, self.progress, self._review = exchange, None, review
        self._models.begin_writing(self)
        task = StreamTask(self, "review", run, cancel=review.stop)
        task.items(self._take).failure(self.failed.emit).done(self._ended).start()
        self.changed.emit()

    def _take(self, items: list[Progress | Finding | str]) -> None:
        for item in items:
            if isinstance(item, str):
                self.noticed.emit(item)
            elif not isinstance(item, OpinionGiven | ValuesEstimated):
                self.progress = item
            elif self.exchange:
                self.exchange.trace.apply(item)
                self.found.emit(self.exchange, item)
        self.changed.emit()

    def _ended(self, _: object) -> None:
        self._models.end_writing(self)
        self.exchange = self.progress = self._review = None
        self.changed.emit()
