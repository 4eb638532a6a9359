"""One run for one exchange, from the start of its thread to its last event."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import QObject, Signal

from baton_reasoning.app.session.conversation import Exchange
from baton_reasoning.app.toolkit.background import StreamTask
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import BatonError
from baton_reasoning.core.run import Pair, run
from baton_reasoning.core.thinking.events import Event, Finish, HandedOver, RunEnded, WriteStarted
from baton_reasoning.core.thinking.interruptions import Control, Wish


class AnswerTask(QObject):
    """Writes one answer into the trace of its exchange."""

    progressed = Signal(list)
    """The Events that the trace has got, for the store."""
    ended = Signal(object)
    """The BatonError that kept the run from starting or broke it, or None."""

    def __init__(
        self,
        exchange: Exchange,
        pair: Pair,
        wish: Wish | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.exchange = exchange
        self.control = Control()
        self.author: Author | None = None
        """Who writes just now."""
        self._pair, self._wish = pair, wish

    def start(self) -> None:
        exchange, control = self.exchange, self.control
        conversation, settings, trace = exchange.messages(), exchange.settings, exchange.trace

        def write() -> Iterator[Event]:
            return run(self._pair, conversation, settings, control=control, before=trace, wish=self._wish)

        StreamTask(self, "answer", write, cancel=control.stop).items(self._apply).done(self._end).start()

    def stop(self) -> None:
        """Stop writing; the text so far stays."""
        self.control.stop()

    def _apply(self, events: list[Event]) -> None:
        trace = self.exchange.trace
        for event in events:
            trace.apply(event)
            if isinstance(event, WriteStarted | HandedOver):
                self.author = event.author
        self.progressed.emit(events)

    def _end(self, error: BatonError | None) -> None:
        trace = self.exchange.trace
        if error and trace.started and not trace.ended:
            # The run broke before it could say so itself: the trace must not look as if it went on for ever.
            self._apply([RunEnded(trace.seconds, Finish.FAILED, str(error))])
        self.ended.emit(error)
