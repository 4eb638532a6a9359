"""The answers that wait for their turn, and those that are being written."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from functools import partial

from PySide6.QtCore import QObject, Signal

from app.shared.conversations.answer_task import AnswerTask
from app.shared.conversations.conversation import Exchange
from app.shared.loaded_models import LoadedModels, LoadState
from core.errors import BatonError
from core.thinking.policy import Move


class Activity(Enum):
    IDLE = auto()
    WAITING = auto()
    """For the models to be loaded."""
    WRITING = auto()
    COMPARING = auto()
    """Several answers to one problem are being written. They cannot be steered, or they could not be compared."""


class AnswerQueue(QObject):
    """Writes answers with the loaded models, one after another or several at once."""

    changed = Signal()
    """The activity has changed."""
    begun = Signal(object)
    """An Exchange, before anything is written for it."""
    progressed = Signal(object, list)
    """An Exchange and the Events that its trace has got since the last time."""
    ended = Signal(object, object)
    """An Exchange, and the BatonError that kept it from being written, or None."""

    def __init__(self, models: LoadedModels, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._models = models
        self._running: list[AnswerTask] = []
        self._waiting: list[tuple[Exchange, Move | None]] = []
        self._at_once = 1
        self._compares = False
        self._pace = 0.0
        models.changed.connect(self._models_changed)

    @property
    def activity(self) -> Activity:
        if self._running:
            return Activity.COMPARING if self._compares else Activity.WRITING
        return Activity.WAITING if self._waiting else Activity.IDLE

    @property
    def answering(self) -> AnswerTask | None:
        """The one answer that is being written, which can be steered."""
        return self._running[0] if self.activity is Activity.WRITING else None

    @property
    def first(self) -> Exchange | None:
        """The exchange that is being written, or is next."""
        if self._running:
            return self._running[0].exchange
        return self._waiting[0][0] if self._waiting else None

    def writes(self, exchange: Exchange) -> bool:
        """Whether its answer is being written."""
        return any(task.exchange is exchange for task in self._running)

    def waits(self, exchange: Exchange) -> bool:
        """Whether its answer is still to be begun."""
        return any(waiting is exchange for waiting, _ in self._waiting)

    def write(self, exchange: Exchange, first: Move | None, pace: float) -> None:
        """Write one answer. `first`: its first move, or the policy decides. `pace`: tokens a second, 0 for no limit."""
        self._add([(exchange, first)], compares=False, at_once=1, pace=pace)

    def compare(self, exchanges: Sequence[Exchange], at_once: int) -> None:
        """Write answers to be compared, as many at once; at full speed, since their times are compared."""
        self._add([(exchange, None) for exchange in exchanges], compares=True, at_once=at_once, pace=0)

    def stop(self) -> None:
        """Drop what waits, and stop what is written; its text so far stays."""
        self._waiting.clear()
        for task in self._running:
            task.stop()
        self.changed.emit()

    def _add(self, waiting: list[tuple[Exchange, Move | None]], *, compares: bool, at_once: int, pace: float) -> None:
        self._waiting, self._compares, self._at_once, self._pace = waiting, compares, at_once, pace
        self._start_next()

    def _start_next(self) -> None:
        """Begin what waits, as much of it as may be written at once."""
        is_ready = self._models.state is LoadState.READY
        while is_ready and self._waiting and len(self._running) < self._at_once:
            exchange, first = self._waiting.pop(0)
            self.begun.emit(exchange)
            task = AnswerTask(exchange, self._models.pair, first, self, pace=self._pace)
            task.progressed.connect(partial(self._progressed, task))
            task.ended.connect(partial(self._ended, task))
            self._running.append(task)
            self._models.begin_writing(task)
            task.start()
        self.changed.emit()

    def _progressed(self, task: AnswerTask) -> None:
        self.progressed.emit(task.exchange, task.take_fresh())

    def _ended(self, task: AnswerTask, error: BatonError | None) -> None:
        self._running.remove(task)
        task.deleteLater()  # it holds the whole trace
        self._models.end_writing(task)
        self._start_next()
        self.ended.emit(task.exchange, error)

    def _models_changed(self) -> None:
        if self._waiting and self._models.state is LoadState.READY:
            self._start_next()
        elif self._waiting and self._models.state in (LoadState.FAILED, LoadState.NONE):
            self._waiting.clear()
            self.changed.emit()
