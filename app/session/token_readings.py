"""What the loaded models say of the tokens of finished answers in the window: read on demand, one answer at a time."""

from __future__ import annotations

from collections.abc import Mapping
from weakref import WeakKeyDictionary

from PySide6.QtCore import QObject, Signal

from baton_reasoning.app.session.loaded_models import LoadedModels, LoadState
from baton_reasoning.app.toolkit.background import StreamTask
from baton_reasoning.core.analysis.token_choices import ReadProgress, ReadTokens, TokenReading, readers_of
from baton_reasoning.core.conversation import Exchange
from baton_reasoning.core.engines.body import Author


class TokenReadings(QObject):
    """Lets the loaded models read answers, and keeps what they say until other models are loaded."""

    changed = Signal()
    """Tokens are shown or no longer, or a reading began, got further or ended."""
    failed = Signal(object)
    """A BatonError."""

    def __init__(self, models: LoadedModels, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.are_shown = False
        """Whether the answers show how sure each token was."""
        self.exchange: Exchange | None = None
        """The one whose answer is being read."""
        self.progress: ReadProgress | None = None
        self._models = models
        self._reading: TokenReading | None = None
        self._found: WeakKeyDictionary[Exchange, dict[Author, ReadTokens]] = WeakKeyDictionary()
        self._pair = models.pair
        models.changed.connect(self._follow_models)

    def show_tokens(self, shown: bool) -> None:
        """Show how sure each token was, in all answers, or no longer."""
        self.are_shown = shown
        self.changed.emit()

    def of(self, exchange: Exchange) -> Mapping[Author, ReadTokens]:
        """Return what the models that have read this answer say of it."""
        text = exchange.trace.text
        return {author: read for author, read in self._found.get(exchange, {}).items() if text.startswith(read.text)}

    def unavailable_reason(self, exchange: Exchange) -> str:
        """Return why the models cannot read this answer now, in a sentence; "" if they can."""
        if self.exchange:
            return "The models are reading."
        if self._models.is_writing or not exchange.is_read or not exchange.trace.ended:
            return "Wait until nothing is written."
        if self._models.state is not LoadState.READY:
            return "The models are not loaded yet."
        if not readers_of(self._models.pair.small, self._models.pair.large):
            return "These servers do not tell how likely the tokens of a text are."
        return ""

    def progress_of(self, exchange: Exchange) -> ReadProgress | None:
        """Return how far the reading of this answer is; None if it is not being read."""
        return self.progress if exchange is self.exchange else None

    def seconds(self, exchange: Exchange) -> float | None:
        """Return about how long it takes to read this answer; None if that is not known."""
        tokens = exchange.trace.tokens
        readers = readers_of(self._models.pair.small, self._models.pair.large).values()
        costs = [self._models.costs.of(reader.card) for reader in readers]
        return sum(cost.seconds(1, read=tokens) for cost in costs if cost) if all(costs) else None

    def read(self, exchange: Exchange) -> None:
        """Let the models read this answer, if they can now."""
        if self.unavailable_reason(exchange):
            return
        pair = self._models.pair
        reading = TokenReading(readers_of(pair.small, pair.large), exchange.trace)
        self.exchange, self._reading = exchange, reading
        self._models.begin_writing(self)
        task = StreamTask(self, "read tokens", reading.read, cancel=reading.stop)
        task.items(self._take).failure(self.failed.emit).done(self._ended).start()
        self.changed.emit()

    def stop(self) -> None:
        if self._reading:
            self._reading.stop()

    def _take(self, items: list[ReadProgress | tuple[Author, ReadTokens]]) -> None:
        for item in items:
            if isinstance(item, ReadProgress):
                self.progress = item
            elif self.exchange:
                self._found.setdefault(self.exchange, {})[item[0]] = item[1]
        self.changed.emit()

    def _ended(self, _: object) -> None:
        self._models.end_writing(self)
        self.exchange = self.progress = self._reading = None
        self.changed.emit()

    def _follow_models(self) -> None:
        if self._models.pair != self._pair:
            self._pair = self._models.pair
            self._found.clear()
            self.changed.emit()
