"""What one can do in the chat: ask, stop, go on, try again, fork. Views call it and listen; it draws nothing."""

from __future__ import annotations

from enum import Enum, auto

from PySide6.QtCore import QObject, Signal

from app.chat.answering import Answering
from app.chat.archive import Archive
from app.chat.branching import move_of, trace_before
from app.chat.conversation import Conversation, Exchange
from app.models_in_use import ModelsInUse, State
from app.settings.preferences import Preferences
from core.engines.body import Author
from core.errors import BatonError, StoreError
from core.run import RunSettings
from core.settings import matching_preset
from core.thinking.pieces import Piece
from core.thinking.policy import Keep, Move


class Activity(Enum):
    IDLE = auto()
    WAITING = auto()
    """For the models to be loaded."""
    WRITING = auto()


class ChatSession(QObject):
    path_changed = Signal()
    """Other exchanges are shown than before."""
    progressed = Signal(object)
    """An Exchange whose trace has grown, ended, or been read."""
    activity_changed = Signal()
    failed = Signal(object)
    """A BatonError to be shown."""

    def __init__(self, models: ModelsInUse, preferences: Preferences, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.models = models
        self.preferences = preferences
        self.conversation = Conversation()
        self.answering: Answering | None = None
        self._archive: Archive | None = None
        self._waiting: tuple[Exchange, Move | None] | None = None
        models.changed.connect(self._models_changed)

    def use_archive(self, archive: Archive) -> None:
        self._archive = archive
        archive.loaded.connect(self._read)
        archive.failed.connect(self.failed)

    @property
    def activity(self) -> Activity:
        if self.answering:
            return Activity.WRITING
        return Activity.WAITING if self._waiting else Activity.IDLE

    @property
    def ready(self) -> bool:
        """Whether something may be asked now."""
        return self.activity is Activity.IDLE and all(exchange.is_read for exchange in self.conversation.path)

    @property
    def current(self) -> Exchange | None:
        """The exchange that is being written or waits for its models; else the last one."""
        if self.answering:
            return self.answering.exchange
        return self._waiting[0] if self._waiting else self.conversation.leaf

    # Conversations

    def new(self) -> None:
        if self.activity is Activity.IDLE and self.conversation.roots:
            self._open(Conversation())

    def open(self, conversation_id: str, quietly: bool = False) -> None:
        """`quietly`: it need not be there any more."""
        if self.activity is not Activity.IDLE:
            self.failed.emit(BatonError("An answer is being written.", "Stop it, or wait for its end."))
        elif self._archive and conversation_id != self.conversation.id:
            try:
                self._open(self._archive.open(conversation_id))
            except StoreError as error:
                if not quietly:
                    self.failed.emit(error)

    def forget(self, conversation_id: str) -> None:
        """It has been deleted: show it no longer."""
        if conversation_id == self.conversation.id:
            self._open(Conversation())

    def step_aside(self, exchange: Exchange, by: int) -> None:
        """Show the sibling so many places later."""
        siblings = self.conversation.siblings(exchange)
        place = siblings.index(exchange) + by
        if self.activity is Activity.IDLE and 0 <= place < len(siblings):
            self.conversation.show(siblings[place])
            if self._archive:
                self._archive.show(self.conversation)
            self.path_changed.emit()

    # Answers

    def ask(self, problem: str) -> None:
        self._begin(Exchange(problem, self._settings, self.conversation.leaf))

    def ask_again(self, exchange: Exchange, problem: str = "") -> None:
        """The same place in the conversation once more: with another seed, or another problem."""
        settings = self._settings
        if not problem and settings == exchange.settings:
            settings = settings.model_copy(update={"seed": max(self._seeds(exchange)) + 1})
        self._begin(Exchange(problem or exchange.problem, settings, exchange.parent))

    def go_on(self, exchange: Exchange) -> None:
        """Continue after a stop, in the same text."""
        self._start(exchange, Keep() if exchange.trace.pieces else None)

    def fork(self, exchange: Exchange, piece: Piece, author: Author | None = None) -> None:
        """Another answer that begins like this one up to the piece. `author` writes first, or the policy decides."""
        trace = trace_before(exchange.trace, piece)
        self._begin(
            Exchange(exchange.problem, self._settings, exchange.parent, trace), move_of(author) if author else None
        )

    def stop(self) -> None:
        if self.answering:
            self.answering.stop()
        elif self._waiting:
            self._waiting = None
            self.activity_changed.emit()

    def take_over(self, now: bool = True) -> None:
        if self.answering:
            self.answering.control.take_over(now)

    def give_back(self) -> None:
        if self.answering:
            self.answering.control.give_back()

    def rewrite_step(self) -> None:
        if self.answering:
            self.answering.control.rewrite_step()

    def finish(self) -> None:
        """Stop, and see that everything is saved: the window is closing."""
        self._waiting = None
        if self.answering:
            self.answering.finish()
        if self._archive:
            self._archive.finish()

    # -----------------------------------------------------------------------------------------------------------------

    @property
    def _settings(self) -> RunSettings:
        """As chosen. The demo pair's steps are so short that it has its own lengths, unless a person set them."""
        settings = self.preferences.value
        if settings.models.is_demo and matching_preset(settings.run.parameters):
            from core.demo_pair import DEMO_SETTINGS

            lengths = DEMO_SETTINGS.parameters.model_dump(exclude_unset=True)
            parameters = settings.run.parameters.model_copy(update=lengths)
            most = min(settings.run.max_tokens, DEMO_SETTINGS.max_tokens)
            return settings.run.model_copy(update={"parameters": parameters, "max_tokens": most})
        return settings.run

    def _pace(self) -> float:
        """The demo pair would be done before anybody saw it begin."""
        settings = self.preferences.value
        return settings.appearance.demo_pace if settings.models.is_demo else 0

    def _seeds(self, exchange: Exchange) -> list[int]:
        return [sibling.settings.seed for sibling in self.conversation.siblings(exchange)]

    def _open(self, conversation: Conversation) -> None:
        self.conversation = conversation
        self.path_changed.emit()
        self.activity_changed.emit()

    def _begin(self, exchange: Exchange, first: Move | None = None) -> None:
        if not self.ready:
            return
        self.conversation.add(exchange)
        if self._archive:
            try:
                self._archive.add(self.conversation, exchange)
            except StoreError as error:
                self.failed.emit(error)
        self.path_changed.emit()
        self._start(exchange, first)

    def _start(self, exchange: Exchange, first: Move | None = None) -> None:
        if self.models.state is not State.READY:
            self._waiting = (exchange, first)
            self.activity_changed.emit()
            if self.models.state is not State.LOADING:
                self.models.load(self.preferences.value.models)
            return
        self._waiting = None
        self.answering = Answering(exchange, self.models.pair, first, self, pace=self._pace())
        self.answering.progressed.connect(self._progressed)
        self.answering.ended.connect(self._ended)
        self.answering.start()
        self.activity_changed.emit()

    def _progressed(self) -> None:
        if self.answering:
            exchange = self.answering.exchange
            if self._archive:
                try:
                    self._archive.record(exchange, self.answering.take_fresh())
                except StoreError as error:
                    self.failed.emit(error)
            self.progressed.emit(exchange)

    def _ended(self, error: BatonError | None) -> None:
        assert self.answering is not None
        exchange, self.answering = self.answering.exchange, None
        self.conversation.touch()
        if self._archive:
            self._archive.run_ended(exchange)
        self.activity_changed.emit()
        self.progressed.emit(exchange)
        if error:
            self.failed.emit(error)

    def _models_changed(self) -> None:
        if self._waiting and self.models.state is State.READY:
            self._start(*self._waiting)
        elif self._waiting and self.models.state in (State.FAILED, State.NONE):
            self._waiting = None
            self.activity_changed.emit()

    def _read(self, exchange: Exchange) -> None:
        if exchange in self.conversation.path:
            self.progressed.emit(exchange)
            self.activity_changed.emit()
