"""What one can do in the chat: ask, stop, continue, regenerate, fork. Views call it and listen; it draws nothing."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from functools import partial

from PySide6.QtCore import QObject, Signal

from app.shared.conversations.answer_task import AnswerTask
from app.shared.conversations.branching import move_of, trace_until
from app.shared.conversations.conversation import Conversation, Exchange
from app.shared.conversations.opinions import SecondOpinions
from app.shared.conversations.repository import ConversationRepository
from app.shared.loaded_models import LoadedModels, LoadState
from app.shared.preferences import Preferences
from core.engines.body import Author
from core.errors import BatonError, StoreError
from core.run import RunSettings, effective_settings
from core.thinking.events import Event, OpinionGiven
from core.thinking.policies.always import Always
from core.thinking.policies.never import Never
from core.thinking.policy import Move
from core.thinking.registry import POLICIES, settings_for
from core.thinking.trace import Piece


class Activity(Enum):
    IDLE = auto()
    WAITING = auto()
    """For the models to be loaded."""
    WRITING = auto()
    COMPARING = auto()
    """Several answers to one problem are being written. They cannot be steered, or they could not be compared."""


class ChatSession(QObject):
    path_changed = Signal()
    """Other exchanges are shown than before."""
    progressed = Signal(object)
    """An Exchange whose trace has grown, ended, or been read."""
    activity_changed = Signal()
    failed = Signal(object)
    """A BatonError to be shown."""

    def __init__(self, models: LoadedModels, preferences: Preferences, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.models = models
        self.preferences = preferences
        self.conversation = Conversation()
        self._repository: ConversationRepository | None = None
        self._running: list[AnswerTask] = []
        self._waiting: list[tuple[Exchange, Move | None]] = []
        """For the models, or for their turn."""
        self._at_once = 1
        self._compares = False
        self.opinions = SecondOpinions(models, lambda: self.activity is Activity.IDLE, self)
        self.opinions.given.connect(self._keep_opinion)
        self.opinions.failed.connect(self.failed)
        models.changed.connect(self._models_changed)

    def use_repository(self, repository: ConversationRepository) -> None:
        self._repository = repository
        repository.loaded.connect(self._read)
        repository.failed.connect(self.failed)

    @property
    def activity(self) -> Activity:
        if self._running:
            return Activity.COMPARING if self._compares else Activity.WRITING
        return Activity.WAITING if self._waiting else Activity.IDLE

    @property
    def answering(self) -> AnswerTask | None:
        """The one answer that is being written, which can be steered."""
        return self._running[0] if self.activity is Activity.WRITING else None

    def writes(self, exchange: Exchange) -> bool:
        """Whether its answer is being written just now."""
        return any(answering.exchange is exchange for answering in self._running)

    def waits(self, exchange: Exchange) -> bool:
        """Whether its answer is still to be begun."""
        return any(waiting is exchange for waiting, _ in self._waiting)

    @property
    def ready(self) -> bool:
        """Whether something may be asked now."""
        return self.activity is Activity.IDLE and all(exchange.is_read for exchange in self.conversation.path)

    @property
    def current(self) -> Exchange | None:
        """The exchange that is being written or waits for its models; else the last one."""
        if self._running:
            return self._running[0].exchange
        return self._waiting[0][0] if self._waiting else self.conversation.leaf

    # Conversations

    def new(self) -> None:
        if self.activity is Activity.IDLE and self.conversation.roots:
            self._open(Conversation())

    def open(self, conversation_id: str, quietly: bool = False) -> None:
        """`quietly`: it need not be there any more."""
        if self.activity is not Activity.IDLE:
            self.failed.emit(BatonError("An answer is being written.", "Stop it, or wait for its end."))
        elif self._repository and conversation_id != self.conversation.id:
            try:
                self._open(self._repository.open(conversation_id))
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
        if 0 <= place < len(siblings):
            self.show(siblings[place])

    def show(self, exchange: Exchange) -> None:
        """Show the path through it."""
        if self.activity is Activity.IDLE:
            self.conversation.show(exchange)
            if self._repository:
                self._repository.show(self.conversation)
            self.path_changed.emit()

    # Answers

    def ask(self, problem: str) -> None:
        self._begin(Exchange(problem, self.settings, self.conversation.leaf))

    def compare(
        self, problem: str, arms: Sequence[RunSettings], parent: Exchange | None, at_once: bool = False
    ) -> list[Exchange]:
        """One problem under several settings, as attempts at one place; one after the other, or all `at_once`.

        Each becomes a part of the conversation when its turn comes. They are written as fast as it goes, whatever
        pace a person set: their times are compared.
        """
        if not self.ready or not arms:
            return []
        exchanges = [Exchange(problem, settings, parent) for settings in arms]
        self._compares, self._at_once = True, len(exchanges) if at_once else 1
        self._waiting = [(exchange, None) for exchange in exchanges]
        self._start_next()
        return exchanges

    def ask_again(self, exchange: Exchange, problem: str = "", policy: str = "") -> None:
        """The same place in the conversation once more: with another seed, problem, or policy (by its name)."""
        settings = self._settings_with(policy)
        if not problem:
            settings = self._another_seed(settings, exchange)
        self._begin(Exchange(problem or exchange.problem, settings, exchange.parent))

    def go_on(self, exchange: Exchange, author: Author | None = None, more_tokens: bool = False) -> None:
        """Continue in the same text, as its policy would have without the interruption (core/thinking/resume.py).

        `author` writes the next step; `more_tokens`: the answer may have twice as many as before.
        """
        if not self.ready:
            return
        settings = exchange.settings
        if more_tokens:
            exchange.settings = settings.model_copy(update={"max_tokens": 2 * settings.max_tokens})
        self._start(exchange, move_of(author, POLICIES.of(settings.policy).default_writer) if author else None)

    def fork(self, exchange: Exchange, piece: Piece, author: Author | None = None) -> None:
        """Another answer that begins like this one up to the piece. `author` writes first, or the policy decides."""
        self.fork_at(exchange, piece.position, author)

    def fork_at(self, exchange: Exchange, position: int, author: Author | None = Author.LARGE) -> None:
        """Another answer that begins like this one up to a place in its text."""
        settings = self._another_seed(with_author(self.settings, author), exchange)
        move = move_of(author, POLICIES.of(settings.policy).default_writer) if author else None
        trace = trace_until(exchange.trace, position)
        self._begin(Exchange(exchange.problem, settings, exchange.parent, trace), move)

    def stop(self) -> None:
        self._waiting.clear()
        for answering in self._running:
            answering.stop()
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

    # -----------------------------------------------------------------------------------------------------------------

    @property
    def system(self) -> str:
        """The system prompt of the next answer in this conversation."""
        own = self.conversation.system
        return self.preferences.value.run.system if own is None else own

    def change_system(self, prompt: str) -> None:
        """Set the system prompt of this conversation, from its next answer on."""
        self.conversation.system = prompt
        self.activity_changed.emit()

    @property
    def settings(self) -> RunSettings:
        """As chosen. The demo pair's steps are so short that it has its own lengths, unless a person set them."""
        return self._settings_with()

    def _settings_with(self, policy: str = "") -> RunSettings:
        """The settings of the next answer, with another policy than the chosen one."""
        from core.demo_pair import DEMO_SETTINGS

        settings = self.preferences.value
        run = settings.run.model_copy(update={"system": self.system})
        if policy:
            run = run.model_copy(update={"policy": settings_for(policy, run.policy)})
        return effective_settings(run, DEMO_SETTINGS if settings.models.is_demo else None)

    @property
    def pace(self) -> float:
        """Tokens a second at most; 0 is no limit. The demo pair would be done before anybody saw it begin."""
        settings = self.preferences.value
        return settings.appearance.demo_pace if settings.models.is_demo else 0

    def _another_seed(self, settings: RunSettings, exchange: Exchange) -> RunSettings:
        """The same settings would write the same answer again."""
        if settings != exchange.settings:
            return settings
        seeds = [sibling.settings.seed for sibling in self.conversation.siblings(exchange)]
        return settings.model_copy(update={"seed": max(seeds) + 1})

    def _open(self, conversation: Conversation) -> None:
        self.conversation = conversation
        self.path_changed.emit()
        self.activity_changed.emit()

    def _begin(self, exchange: Exchange, first: Move | None = None) -> None:
        if self.ready:
            self._keep(exchange)
            self.path_changed.emit()
            self._start(exchange, first)

    def _keep(self, exchange: Exchange) -> None:
        self.conversation.add(exchange)
        if self._repository:
            self._repository.add(self.conversation, exchange)

    def _start(self, exchange: Exchange, first: Move | None = None) -> None:
        self._compares, self._at_once = False, 1
        self._waiting = [(exchange, first)]
        self._start_next()

    def _start_next(self) -> None:
        """Begin what waits, as much of it as may be written at once."""
        if self._waiting:
            self.opinions.stop()  # an answer goes first
        is_ready = self.models.state is LoadState.READY
        while is_ready and self._waiting and len(self._running) < self._at_once:
            exchange, first = self._waiting.pop(0)
            if self._compares:
                self._keep(exchange)
            answering = AnswerTask(exchange, self.models.pair, first, self, pace=0 if self._compares else self.pace)
            answering.progressed.connect(partial(self._progressed, answering))
            answering.ended.connect(partial(self._ended, answering))
            self._running.append(answering)
            self.models.begin_writing(answering)
            answering.start()
        self.activity_changed.emit()
        if self._waiting and self.models.state in (LoadState.NONE, LoadState.FAILED):
            self.models.load(self.preferences.value.models)

    def _progressed(self, answering: AnswerTask) -> None:
        self._record(answering.exchange, answering.take_fresh())
        self.progressed.emit(answering.exchange)

    def _record(self, exchange: Exchange, events: list[Event]) -> None:
        if self._repository and events:
            try:
                self._repository.record(exchange, events)
            except StoreError as error:
                self.failed.emit(error)

    def _ended(self, answering: AnswerTask, error: BatonError | None) -> None:
        self._running.remove(answering)
        answering.deleteLater()  # it holds the whole trace
        self.models.end_writing(answering)
        self.conversation.touch()
        if self._repository:
            self._repository.run_ended(answering.exchange)
        self._start_next()
        self.progressed.emit(answering.exchange)
        if error:
            self.failed.emit(error)

    def _keep_opinion(self, exchange: Exchange, opinion: OpinionGiven) -> None:
        if self._repository:
            self._repository.append(exchange, [opinion])
        self.progressed.emit(exchange)

    def _models_changed(self) -> None:
        if self._waiting and self.models.state is LoadState.READY:
            self._start_next()
        elif self._waiting and self.models.state in (LoadState.FAILED, LoadState.NONE):
            self._waiting.clear()
            self.activity_changed.emit()

    def _read(self, exchange: Exchange) -> None:
        if any(exchange is known for known in self.conversation):
            self.progressed.emit(exchange)
        if exchange in self.conversation.path:
            self.activity_changed.emit()


def with_author(settings: RunSettings, author: Author | None) -> RunSettings:
    """The settings under which this model can write: a policy for one model gives way to the other one's."""
    needs = POLICIES.of(settings.policy).needs
    if author is Author.LARGE and not needs.large:
        return settings.model_copy(update={"policy": Always.Settings()})
    if author is Author.SMALL and not needs.small:
        return settings.model_copy(update={"policy": Never.Settings()})
    return settings
