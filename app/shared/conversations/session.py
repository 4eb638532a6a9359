"""The chat without its views: ask, stop, continue, regenerate, fork, and open conversations."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QObject, Signal

from app.shared.conversations.answer_queue import Activity, AnswerQueue
from app.shared.conversations.answer_task import AnswerTask
from app.shared.conversations.branching import move_of
from app.shared.conversations.conversation import Conversation, Exchange
from app.shared.conversations.repository import ConversationRepository
from app.shared.conversations.reviews import AnswerReviews, Finding
from app.shared.loaded_models import LoadedModels, LoadState
from app.shared.preferences import Preferences
from core.engines.body import Author
from core.errors import BatonError, StoreError
from core.run import RunSettings, effective_settings
from core.thinking.events import Event
from core.thinking.policies.always import Always
from core.thinking.policies.never import Never
from core.thinking.policy import Move
from core.thinking.registry import POLICIES, settings_for
from core.thinking.trace import Piece


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
        self._queue = AnswerQueue(models, self)
        self._queue.changed.connect(self.activity_changed)
        self._queue.begun.connect(self._keep)
        self._queue.progressed.connect(self._progressed)
        self._queue.ended.connect(self._ended)
        self.reviews = AnswerReviews(models, lambda: self.activity is Activity.IDLE, self)
        self.reviews.found.connect(self._keep_finding)
        self.reviews.failed.connect(self.failed)

    def use_repository(self, repository: ConversationRepository) -> None:
        self._repository = repository
        repository.loaded.connect(self._trace_loaded)
        repository.failed.connect(self.failed)

    @property
    def activity(self) -> Activity:
        return self._queue.activity

    @property
    def answering(self) -> AnswerTask | None:
        """The one answer that is being written, which can be steered."""
        return self._queue.answering

    def writes(self, exchange: Exchange) -> bool:
        """Whether its answer is being written."""
        return self._queue.writes(exchange)

    def waits(self, exchange: Exchange) -> bool:
        """Whether its answer is still to be begun."""
        return self._queue.waits(exchange)

    @property
    def ready(self) -> bool:
        """Whether something may be asked now."""
        return self.activity is Activity.IDLE and all(exchange.is_read for exchange in self.conversation.path)

    @property
    def current(self) -> Exchange | None:
        """The exchange that is being written or waits for its models; else the last one."""
        return self._queue.first or self.conversation.leaf

    # Conversations

    def new(self) -> None:
        if self.activity is Activity.IDLE and self.conversation.roots:
            self._open(Conversation())

    def open(self, conversation_id: str, quietly: bool = False) -> None:
        """Open a conversation of the store. `quietly`: do not report that it cannot be read, as it may be gone."""
        if self.activity is not Activity.IDLE:
            self.failed.emit(BatonError("An answer is being written.", "Stop it, or wait for its end."))
        elif self._repository and conversation_id != self.conversation.id:
            try:
                self._open(self._repository.open(conversation_id))
            except StoreError as error:
                if not quietly:
                    self.failed.emit(error)

    def forget(self, conversation_id: str) -> None:
        """Stop showing a conversation that has been deleted."""
        if conversation_id == self.conversation.id:
            self._open(Conversation())

    def show_sibling(self, exchange: Exchange, by: int) -> None:
        """Show the attempt so many places after this one; before it if negative."""
        siblings = self.conversation.siblings(exchange)
        place = siblings.index(exchange) + by
        if 0 <= place < len(siblings):
            self.show(siblings[place])

    def show(self, exchange: Exchange) -> None:
        """Show the path through this exchange."""
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
        """Ask one problem under several settings, as attempts at one place; one after the other, or all `at_once`.

        Each becomes a part of the conversation when its turn comes.
        """
        if not self.ready or not arms:
            return []
        exchanges = [Exchange(problem, settings, parent) for settings in arms]
        self.reviews.stop()  # answers go first
        self._queue.compare(exchanges, len(exchanges) if at_once else 1)
        self._load_models()
        return exchanges

    def ask_again(self, exchange: Exchange, problem: str = "", policy: str = "") -> None:
        """Ask again at the same place in the conversation, with another seed, problem, or policy (by its name)."""
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
        """Begin another answer like this one up to the piece. `author` writes first, or the policy decides."""
        self.fork_at(exchange, piece.position, author)

    def fork_at(self, exchange: Exchange, position: int, author: Author | None = Author.LARGE) -> None:
        """Begin another answer like this one up to a place in its text."""
        settings = self._another_seed(with_author(self.settings, author), exchange)
        move = move_of(author, POLICIES.of(settings.policy).default_writer) if author else None
        trace = exchange.trace.until(position)
        self._begin(Exchange(exchange.problem, settings, exchange.parent, trace), move)

    def stop(self) -> None:
        self._queue.stop()

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
        """The settings of the next answer. The demo pair's steps are short, so it has its own lengths by default."""
        return self._settings_with()

    def _settings_with(self, policy: str = "") -> RunSettings:
        """Return the settings of the next answer, with another policy than the chosen one if one is named."""
        from core.demo_pair import DEMO_SETTINGS

        settings = self.preferences.value
        run = settings.run.model_copy(update={"system": self.system})
        if policy:
            run = run.model_copy(update={"policy": settings_for(policy, run.policy)})
        return effective_settings(run, DEMO_SETTINGS if settings.models.is_demo else None)

    @property
    def pace(self) -> float:
        """Tokens a second at most, 0 for no limit. Without one the demo pair is done before anybody sees it begin."""
        settings = self.preferences.value
        return settings.appearance.demo_pace if settings.models.is_demo else 0

    def _another_seed(self, settings: RunSettings, exchange: Exchange) -> RunSettings:
        """Change the seed if the same settings would write the same answer again."""
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
        """Put it into the conversation, unless it is there."""
        if exchange in self.conversation:
            return
        self.conversation.add(exchange)
        if self._repository:
            self._repository.add(self.conversation, exchange)

    def _start(self, exchange: Exchange, first: Move | None = None) -> None:
        self.reviews.stop()  # an answer goes first
        self._queue.write(exchange, first, self.pace)
        self._load_models()

    def _load_models(self) -> None:
        """Load the models for an answer that waits for them, unless that is under way."""
        if self.activity is Activity.WAITING and self.models.state in (LoadState.NONE, LoadState.FAILED):
            self.models.load(self.preferences.value.models)

    def _progressed(self, exchange: Exchange, events: list[Event]) -> None:
        self._record(exchange, events)
        self.progressed.emit(exchange)

    def _record(self, exchange: Exchange, events: list[Event]) -> None:
        if self._repository and events:
            try:
                self._repository.record(exchange, events)
            except StoreError as error:
                self.failed.emit(error)

    def _ended(self, exchange: Exchange, error: BatonError | None) -> None:
        self.conversation.touch()
        if self._repository:
            self._repository.run_ended(exchange)
        self.progressed.emit(exchange)
        if error:
            self.failed.emit(error)

    def _keep_finding(self, exchange: Exchange, finding: Finding) -> None:
        if self._repository:
            self._repository.append(exchange, [finding])
        self.progressed.emit(exchange)

    def _trace_loaded(self, exchange: Exchange) -> None:
        if any(exchange is known for known in self.conversation):
            self.progressed.emit(exchange)
        if exchange in self.conversation.path:
            self.activity_changed.emit()


def with_author(settings: RunSettings, author: Author | None) -> RunSettings:
    """Return settings under which this model can write: a policy for the other model alone is replaced."""
    needs = POLICIES.of(settings.policy).needs
    if author is Author.LARGE and not needs.large:
        return settings.model_copy(update={"policy": Always.Settings()})
    if author is Author.SMALL and not needs.small:
        return settings.model_copy(update={"policy": Never.Settings()})
    return settings
