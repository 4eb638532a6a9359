"""Second opinions in the window: one answer at a time is read by the large model, in the background."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, Signal

from app.shared.background import StreamTask
from app.shared.conversations.conversation import Exchange
from app.shared.loaded_models import LoadedModels, LoadState
from core.thinking.events import OpinionGiven
from core.thinking.opinion import OpinionProgress, SecondOpinion, opinion_error


class SecondOpinions(QObject):
    """Reads answers and puts what the large model thinks of them into their traces."""

    changed = Signal()
    """Reading began, got further or ended, or models came or went."""
    given = Signal(object, object)
    """An Exchange whose trace has an opinion now, and the OpinionGiven, to be saved."""
    failed = Signal(object)
    """A BatonError."""

    def __init__(self, models: LoadedModels, is_free: Callable[[], bool], parent: QObject | None = None) -> None:
        """`is_free`: whether no answer is being written."""
        super().__init__(parent)
        self.exchange: Exchange | None = None
        """The exchange whose answer is being read."""
        self.progress: OpinionProgress | None = None
        self._models, self._is_free = models, is_free
        self._reading: SecondOpinion | None = None
        models.changed.connect(self.changed)

    def unavailable_reason(self, exchange: Exchange) -> str:
        """Why it cannot be asked for now, in a sentence or two; "" if it can."""
        trace = exchange.trace
        if self.exchange:
            return "" if self.exchange is exchange else "Another answer is being read."
        if not self._is_free() or (trace.started and not trace.ended and not exchange.is_read):
            return "Wait until the answer is written."
        if self._models.state is not LoadState.READY and trace.pieces:
            return "The models are not loaded yet."
        error = opinion_error(self._models.pair.large, trace)
        return str(error) if error else ""

    def ask(self, exchange: Exchange) -> None:
        """Begin to read this answer; `changed` and `given` follow."""
        if self.exchange or self.unavailable_reason(exchange):
            return
        pair = self._models.pair
        self._reading = reading = SecondOpinion(pair.large, exchange.trace)
        self.exchange, self.progress = exchange, None
        self._models.begin_writing(self)
        task = StreamTask(self, "second opinion", reading.read, cancel=reading.stop)
        task.items(self._take).failure(self.failed.emit).done(self._ended).start()
        self.changed.emit()

    def stop(self) -> None:
        """Stop reading; the opinion so far is kept."""
        if self._reading:
            self._reading.stop()

    def _take(self, items: list[OpinionProgress | OpinionGiven]) -> None:
        for item in items:
            if isinstance(item, OpinionProgress):
                self.progress = item
            elif self.exchange:
                self.exchange.trace.apply(item)
                self.given.emit(self.exchange, item)
        self.changed.emit()

    def _ended(self, _: object) -> None:
        self._models.end_writing(self)
        self.exchange = self.progress = self._reading = None
        self.changed.emit()
