"""The answers that are being written, and those that wait for their turn, whichever conversation is in view.

Answers belong to conversations, not to the page that shows one of them. A page observes the queue, and may show another
conversation meanwhile, or none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial

from PySide6.QtCore import QObject, Signal

from baton_reasoning.app.session.loaded_models import LoadedModels, LoadState
from baton_reasoning.app.toolkit.background import StreamTask
from baton_reasoning.core.conversation import Conversation, Exchange
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import BatonError
from baton_reasoning.core.run import Pair
from baton_reasoning.core.run import run as run_models
from baton_reasoning.core.settings import ModelChoice
from baton_reasoning.core.thinking.automatic import with_policy
from baton_reasoning.core.thinking.events import Event, Finish, HandedOver, RunEnded, WriteStarted
from baton_reasoning.core.thinking.interruptions import Control, Intervention

NO_LIMIT = 1000
"""Parallel requests of models on servers: no limit that matters here."""


class Activity(Enum):
    """What is being done in one conversation."""

    IDLE = auto()
    WAITING = auto()
    """For the models to be loaded, or for other answers."""
    WRITING = auto()
    COMPARING = auto()
    """Several answers to one problem are being written. They cannot be steered, or they could not be compared."""


class RunMark(Enum):
    """What a list of conversations shows beside one; the value is its sign."""

    WRITING = "▶"
    WAITING = "◌"
    UNREAD = "•"
    """An answer was finished while another conversation was in view."""


@dataclass(eq=False)
class QueuedRun:
    """An answer that is being written, or waits."""

    conversation: Conversation
    exchange: Exchange
    intervention: Intervention | None = None
    """What a person wants there first."""
    may_begin: Callable[[], bool] = lambda: True
    """Asked when its turn has come: False drops it."""
    is_compared: bool = False
    """Whether its time is compared, so that nothing else is written meanwhile."""
    gives_way: bool = False
    """Whether it is stopped as soon as a person begins anything. Its conversation counts as idle meanwhile."""
    is_begun: bool = False
    """Whether it is being written, and waits no longer."""
    control: Control = field(default_factory=Control)
    """Steers the writing."""
    author: Author | None = None
    """Who writes just now."""


class RunQueue(QObject):
    """Writes answers with the loaded models: as many at once as these allow, the others in order."""

    resolved = Signal(object)
    """An Exchange whose policy was automatic, and is now that of its models."""
    changed = Signal()
    """A run was added, began or ended."""
    progressed = Signal(object, list)
    """An Exchange, and the Events that its trace has got since the last time."""
    ended = Signal(object, object)
    """A QueuedRun, and the BatonError that kept it from being written, or None."""

    def __init__(self, models: LoadedModels, choice: Callable[[], ModelChoice], parent: QObject | None = None) -> None:
        """`choice`: returns the models that are chosen for answers; a batch or a review may have others loaded."""
        super().__init__(parent)
        self._models, self._choice = models, choice
        self._runs: list[QueuedRun] = []
        self._viewed: Conversation | None = None
        self._unread: dict[str, Conversation] = {}
        models.changed.connect(self._models_changed)
        models.writing_began.connect(self._make_way)

    @property
    def is_idle(self) -> bool:
        return all(run.gives_way for run in self._runs)

    @property
    def waits_for_loan(self) -> bool:
        """Whether a batch or a review has other models loaded than those that are chosen, which no answer may have."""
        loaded, chosen = self._models.choice, self._choice()
        is_other = loaded is not None and (loaded.small, loaded.large) != (chosen.small, chosen.large)
        return self._models.is_lent and is_other

    def activity(self, conversation: Conversation) -> Activity:
        runs = self._of(conversation)
        if not any(run.is_begun for run in runs):
            return Activity.WAITING if runs else Activity.IDLE
        return Activity.COMPARING if any(run.is_compared for run in runs) else Activity.WRITING

    def answering(self, conversation: Conversation) -> QueuedRun | None:
        """Return the one answer that is being written here, which can be steered."""
        return self._of(conversation)[0] if self.activity(conversation) is Activity.WRITING else None

    def first(self, conversation: Conversation) -> Exchange | None:
        """Return the exchange that is being written here, or is next."""
        return next((run.exchange for run in self._of(conversation)), None)

    def writes(self, exchange: Exchange) -> bool:
        """Whether its answer is being written."""
        return any(run.is_begun and run.exchange is exchange for run in self._runs)

    def waits(self, exchange: Exchange) -> bool:
        """Whether its answer is still to be begun."""
        return any(not run.is_begun and run.exchange is exchange for run in self._runs)

    def conversation(self, conversation_id: str) -> Conversation | None:
        """Return a conversation in which something is written, waits or is unread; its traces are newer than those in
        the store."""
        known = {run.conversation.id: run.conversation for run in self._runs} | self._unread
        return known.get(conversation_id)

    @property
    def conversations(self) -> list[Conversation]:
        """Those in which something is written or waits."""
        return list(dict.fromkeys(run.conversation for run in self._runs))

    def marks(self) -> dict[str, RunMark]:
        """Return the mark of each conversation that has one, by id."""
        marks = dict.fromkeys(self._unread, RunMark.UNREAD)
        marks |= {run.conversation.id: RunMark.WAITING for run in self._runs}
        return marks | {run.conversation.id: RunMark.WRITING for run in self._runs if run.is_begun}

    def view(self, conversation: Conversation) -> None:
        """Take note of which conversation a person reads now."""
        self._viewed = conversation
        self._unread.pop(conversation.id, None)

    def write(
        self,
        conversation: Conversation,
        exchange: Exchange,
        intervention: Intervention | None = None,
        may_begin: Callable[[], bool] = lambda: True,
    ) -> None:
        """Write one answer, unless it may not begin any more when its turn has come."""
        self._add([QueuedRun(conversation, exchange, intervention, may_begin)])

    def compare(self, conversation: Conversation, exchanges: Sequence[Exchange]) -> None:
        """Write answers to be compared, each beside nothing else."""
        self._add([QueuedRun(conversation, exchange, is_compared=True) for exchange in exchanges])

    def measure(self, conversation: Conversation, exchange: Exchange) -> None:
        """Write an answer beside nothing else, until a person begins anything."""
        self._add([QueuedRun(conversation, exchange, is_compared=True, gives_way=True)])

    def stop(self, conversation: Conversation | None = None) -> None:
        """Drop what waits, and stop what is written; its text so far stays. `conversation`: only there."""
        self._stop([run for run in self._runs if conversation in (None, run.conversation)])

    def stop_answer(self, exchange: Exchange) -> None:
        """Stop one answer that is being written."""
        for run in self._runs:
            if run.exchange is exchange:
                run.control.stop()

    # -----------------------------------------------------------------------------------------------------------------

    def _of(self, conversation: Conversation) -> list[QueuedRun]:
        return [run for run in self._runs if run.conversation is conversation and not run.gives_way]

    def _make_way(self, writer: object = None) -> None:
        """Stop what gives way, unless it is that which writes."""
        if writer not in self._runs:
            self._stop([run for run in self._runs if run.gives_way])

    def _stop(self, runs: list[QueuedRun]) -> None:
        for run in runs:
            run.control.stop()
        self._drop([run for run in runs if not run.is_begun])

    def _add(self, runs: list[QueuedRun]) -> None:
        self._make_way()
        self._runs += runs
        self._start_next()

    def _start_next(self) -> None:
        """Begin what waits, in order, as much of it as may be written now."""
        refused = []
        for run in [run for run in self._runs if not run.is_begun]:
            if not self._may_start(run):
                break
            if run.may_begin():
                self._start(run)
            else:
                refused.append(run)
        if refused:
            self._drop(refused)
        self.changed.emit()

    def _may_start(self, run: QueuedRun) -> bool:
        running = [each for each in self._runs if each.is_begun]
        if (
            self.waits_for_loan
            or self._models.state is not LoadState.READY
            or len(running) >= texts_at_once(self._models.pair)
        ):
            return False
        return not running or not any(each.is_compared for each in (run, *running))

    def _start(self, run: QueuedRun) -> None:
        exchange, pair, intervention, control = run.exchange, self._models.pair, run.intervention, run.control
        run.is_begun = True
        if (resolved := with_policy(exchange.settings, pair.cards)) is not exchange.settings:
            exchange.settings = resolved  # asked before the models were there
            self.resolved.emit(exchange)
        conversation, settings, trace = exchange.messages(), exchange.settings, exchange.trace

        def write() -> Iterator[Event]:
            return run_models(pair, conversation, settings, control=control, before=trace, intervention=intervention)

        self._models.begin_writing(run)
        task = StreamTask(self, "answer", write, cancel=control.stop)
        task.items(partial(self._apply, run)).done(partial(self._ended, run)).start()

    def _apply(self, run: QueuedRun, events: list[Event]) -> None:
        for event in events:
            run.exchange.trace.apply(event)
            if isinstance(event, WriteStarted | HandedOver):
                run.author = event.author
        self.progressed.emit(run.exchange, events)

    def _ended(self, run: QueuedRun, error: BatonError | None) -> None:
        trace, conversation = run.exchange.trace, run.conversation
        if error and trace.started and not trace.ended:
            # The run broke before it could say so itself: the trace must not look as if it went on for ever.
            self._apply(run, [RunEnded(trace.seconds, Finish.FAILED, str(error))])
        self._runs.remove(run)
        self._models.end_writing(run)
        if conversation is not self._viewed and not run.control.stopped:
            self._unread[conversation.id] = conversation
        self._start_next()
        self.ended.emit(run, error)

    def _drop(self, waiting: list[QueuedRun]) -> None:
        self._runs = [run for run in self._runs if run not in waiting]
        self._start_next()
        for run in waiting:
            self.ended.emit(run, None)

    def _models_changed(self) -> None:
        """Begin what waits or, when no models are loaded and none are on their way, give it up."""
        waiting = [run for run in self._runs if not run.is_begun]
        if self._models.state is LoadState.WAITING:
            self._make_way()  # for other models
        elif self._models.state in (LoadState.FAILED, LoadState.NONE):
            self._drop(waiting)
        elif waiting:
            self._start_next()


def texts_at_once(pair: Pair) -> int:
    """Return how many texts both models can write at the same time."""
    placements = [engine.card.placement for engine in (pair.small, pair.large) if engine]
    return min((placement.parallel for placement in placements if placement), default=NO_LIMIT)
