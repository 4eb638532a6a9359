"""Reviews of answers in the window, of one or of those of a batch: second opinions, or what steps are worth.

One at a time, in the background, by the pair that wrote: if another is loaded, it takes its place for that long.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from baton_reasoning.app.session.loaded_models import LoadedModels, LoadState
from baton_reasoning.app.toolkit.background import StreamTask
from baton_reasoning.core.analysis.opinion import cards_of, several_models_error
from baton_reasoning.core.conversation import Exchange
from baton_reasoning.core.demo_pair.task import expected_answer
from baton_reasoning.core.engines.base import ModelCard
from baton_reasoning.core.run import Pair
from baton_reasoning.core.settings import ModelChoice
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.words.authors import SIGN

if TYPE_CHECKING:
    from baton_reasoning.core.batch.running.execution import WantedPair
    from baton_reasoning.core.grading.grader import Grader
    from baton_reasoning.core.reviews import Answer, Review, Reviewed, Reviews, ReviewsProgress


class ReviewKind(Enum):
    OPINION = "Second opinion"
    VALUES = "Values"


class Reviewer(QObject):
    changed = Signal()
    """A review began, got further or ended, or models came or went."""
    found = Signal(object, object)
    """An Exchange whose trace has got a finding, and the finding, to be saved."""
    ended = Signal()
    failed = Signal(object)
    """A BatonError."""
    noticed = Signal(str)
    """A sentence that a person should know: a model was started again."""

    def __init__(
        self,
        models: LoadedModels,
        choice: Callable[[], ModelChoice],
        is_free: Callable[[], bool],
        parent: QObject | None = None,
    ) -> None:
        """`choice`: returns the models that are chosen for the chat. `is_free`: whether nothing is being written."""
        super().__init__(parent)
        self.exchange: Exchange | None = None
        """The exchange whose answer is being reviewed; None if answers of a batch are."""
        self.kind: ReviewKind | None = None
        """What runs; None for nothing."""
        self.progress: ReviewsProgress | None = None
        self._models, self._choice, self._is_free = models, choice, is_free
        self._reviews: Reviews | None = None
        self._stopped = False
        models.changed.connect(self.changed)

    @property
    def pair(self) -> Pair:
        return self._models.pair

    def is_running(self, exchange: Exchange, kind: ReviewKind) -> bool:
        """Whether this answer is being reviewed in this way just now."""
        return self.kind is kind and self.exchange is exchange

    @property
    def busy_reason(self) -> str:
        """Why no review can begin now, in a sentence; "" if one can."""
        if self.kind:
            return "Another review is running. Wait for its end, or stop it."
        if not self._is_free():
            return "Wait until what is being written is done, or stop it."
        if self._models.state in (LoadState.LOADING, LoadState.WAITING):
            return "The models are not loaded yet."
        return ""

    def unavailable_reason(self, exchange: Exchange) -> str:
        """Why no review of this answer can begin now, whatever it needs, in a sentence; "" if one can."""
        trace = exchange.trace
        if self.busy_reason:
            return self.busy_reason
        if trace.started and not trace.ended and not exchange.is_read:
            return "Wait until the answer is written."
        if error := several_models_error(trace):
            return str(error)
        if self._models.is_lent and self.others(trace):
            return "Other models are in use. Wait until the batch is done, or stop it."
        return ""

    def others(self, trace: Trace) -> str:
        """Say which models are loaded for a review of this answer, since others are now; "" if they are there."""
        models = self._models

        def is_there(card: ModelCard) -> bool:
            sources = [engine.card.source for engine in models.pair.engines.values()]
            return card.source is None or card.source in sources

        missing = [f"{SIGN[author]} {card.label}" for author, card in cards_of(trace).items() if not is_there(card)]
        return f"{' and '.join(missing)} wrote this, and will be loaded first." if missing else ""

    def review(
        self,
        exchange: Exchange | None,
        kind: ReviewKind,
        review_by: Callable[[Grader], Review],
        find: Callable[[], Sequence[Answer]],
    ) -> None:
        """Review the answers that `find` returns, in the thread; `exchange`: of the only one, if it is shown.

        Does nothing while something else is reviewed or written.
        """
        if self.busy_reason:
            return

        def run() -> Generator[ReviewsProgress | Reviewed, None, None]:
            from baton_reasoning.core.grading.grader import Grader  # not at the start of a window, which these delay
            from baton_reasoning.core.reviews import Reviews

            with Grader() as grader:
                review = review_by(grader)
                self._reviews = Reviews(review, find(), self._open_pair)
                if not self._stopped:
                    yield from self._reviews.run()

        self.exchange, self.kind, self._stopped = exchange, kind, False
        task = StreamTask(self, "review", run, cancel=self.stop)
        task.items(self._take).failure(self.failed.emit).done(self._ended).start()
        self.changed.emit()

    def stop(self) -> None:
        """Stop the review; what it has found is kept."""
        self._stopped = True
        if self._reviews:
            self._reviews.stop()

    # -----------------------------------------------------------------------------------------------------------------

    @contextmanager
    def _open_pair(self, wanted: WantedPair) -> Iterator[Pair]:
        """Load the pair that wrote, with room for one text; called in the thread of the review."""
        assert self._reviews
        chosen = self._choice()
        choice = self._models.choice_for(wanted._replace(parallel=1), chosen)
        is_chats = (choice.small, choice.large) == (chosen.small, chosen.large)
        with self._models.lent(choice, self._reviews.control.stopping) as pair:  # no other stands in for an unnamed one
            small, large = (is_chats or bool(name) for name in (wanted.small, wanted.large))
            yield Pair(pair.small if small else None, pair.large if large else None)

    def _take(self, items: list[ReviewsProgress | Reviewed]) -> None:
        from baton_reasoning.core.reviews import Reviewed

        for item in items:
            if not isinstance(item, Reviewed):
                self.progress = item
            elif self.exchange:
                self.exchange.trace.apply(item.finding)
                self.found.emit(self.exchange, item.finding)
        self.changed.emit()

    def _ended(self, _: object) -> None:
        for sentence in self._reviews.remarks if self._reviews else ():
            self.noticed.emit(sentence)
        self.exchange = self.kind = self.progress = self._reviews = None
        self.changed.emit()
        self.ended.emit()


def answer_of(exchange: Exchange) -> Answer:
    """Return the answer of a conversation as what is to be reviewed; what is found is saved by whoever shows it."""
    from baton_reasoning.core.reviews import Answer

    return Answer(lambda: exchange.trace, lambda _: None, expected_answer(exchange.problem))
