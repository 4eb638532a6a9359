"""The chat without its views: the conversation in view, and what can be done with it: ask, stop, continue, fork."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from PySide6.QtCore import QObject, QTimer, Signal

from baton_reasoning.app.session.continuing import ChangedModels, changed_models
from baton_reasoning.app.session.loaded_models import LoadedModels, LoadState
from baton_reasoning.app.session.preferences import Preferences
from baton_reasoning.app.session.repository import ConversationRepository
from baton_reasoning.app.session.reviews import Reviewer
from baton_reasoning.app.session.run_queue import Activity, QueuedRun, RunQueue
from baton_reasoning.app.session.token_readings import TokenReadings
from baton_reasoning.core.conversation import Conversation, Exchange
from baton_reasoning.core.demo_pair import BeyondDemo, check_problem, only_demo_models
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import BatonError, Busy, NotApplicable, SettingsError, StoreError, WrittenElsewhere
from baton_reasoning.core.run import RunSettings, thinks_always
from baton_reasoning.core.thinking.automatic import automatic_choice, is_automatic
from baton_reasoning.core.thinking.events import Event, Finish
from baton_reasoning.core.thinking.interruptions import Intervention
from baton_reasoning.core.thinking.policies.alone import Always, Never
from baton_reasoning.core.thinking.policy import PolicySettings
from baton_reasoning.core.thinking.reasons import PERSON
from baton_reasoning.core.thinking.registry import POLICIES, settings_for
from baton_reasoning.core.thinking.requests import TakeOver, Until, Write

STEP_CAP = 512
"""Tokens that a step may have when the large model is asked to write it again."""
MOST_RECALLED = 200
"""Exchanges whose problems can be recalled."""
LOOK_AGAIN_MS = 2000
"""Milliseconds until an answer that another program is writing is read again."""


class ChatSession(QObject):
    path_changed = Signal()
    """Other exchanges are shown than before."""
    progressed = Signal(object)
    """An Exchange whose trace has grown, ended, or been read; it may be of a conversation that is not in view."""
    activity_changed = Signal()
    """Something in the run list has changed, here or in another conversation."""
    failed = Signal(object)
    """A BatonError to be shown."""
    asked = Signal(str, object)
    """A question to be shown, and what is done if the person agrees."""

    def __init__(self, models: LoadedModels, preferences: Preferences, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.models = models
        self.preferences = preferences
        self.conversation = self._unsent = Conversation()
        self._repository: ConversationRepository | None = None
        self.is_opening = False
        """Whether the history is still being opened. The models are loaded after it, so that it gets every answer."""
        self.runs = RunQueue(models, lambda: preferences.value.models, self)
        self.runs.view(self.conversation)
        self.runs.changed.connect(self.activity_changed)
        self.runs.progressed.connect(self._progressed)
        self.runs.ended.connect(self._ended)
        self.runs.resolved.connect(self._keep_settings)
        self.reviews = Reviewer(models, lambda: preferences.value.models, lambda: self.runs.is_idle, self)
        self.reviews.found.connect(self._keep_finding)
        self.reviews.failed.connect(self.failed)
        self.tokens = TokenReadings(models, self)
        self.tokens.failed.connect(self.failed)

        self._look_again = QTimer(self, singleShot=True, interval=LOOK_AGAIN_MS)
        self._look_again.timeout.connect(self._read_again)

    def use_repository(self, repository: ConversationRepository) -> None:
        self._repository = repository
        repository.loaded.connect(self._trace_loaded)
        repository.renamed.connect(self._renamed)
        repository.failed.connect(self.failed)
        for conversation in self.runs.conversations:  # asked before the history was open
            for exchange in conversation:
                repository.add(conversation, exchange)
        for typed in {self.conversation, self._unsent}:  # before the history was open
            if typed.unsent:
                repository.store.unsent.keep(typed.id, typed.unsent)
        if not (self._unsent.roots or self._unsent.unsent):
            try:
                self._unsent.unsent = repository.store.unsent.take_over(self._unsent.id)
            except StoreError as error:
                self.failed.emit(error)
            if self._unsent.unsent and self._unsent is self.conversation:
                self.path_changed.emit()

    @property
    def activity(self) -> Activity:
        """What is being done in the conversation in view."""
        return self.runs.activity(self.conversation)

    @property
    def answering(self) -> QueuedRun | None:
        """The one answer that is being written in the conversation in view, which can be steered."""
        return self.runs.answering(self.conversation)

    def waiting_text(self, exchange: Exchange) -> str:
        """Say what an answer waits for that is to be begun, or that another Baton writes it; "" for any other."""
        if exchange.is_written_elsewhere:
            return "Another Baton is writing this answer."
        if not self.runs.waits(exchange):
            return ""
        if self.runs.waits_for_loan:
            return "Waiting for the end of a batch or a review, which has other models loaded…"
        if self.models.state is not LoadState.READY:
            return "Waiting for the models…"
        return "Waiting for its turn…"

    @property
    def ready(self) -> bool:
        """Whether something may be asked in the conversation in view."""
        path = self.conversation.path
        return self.activity is Activity.IDLE and all(each.is_read and not each.is_written_elsewhere for each in path)

    def is_ready_or_says_why(self) -> bool:
        """Return `ready`, and report what keeps something from being asked."""
        if self.activity is not Activity.IDLE:
            self.failed.emit(Busy("An answer is being written.", "Stop it, or wait for its end."))
        elif any(exchange.is_written_elsewhere for exchange in self.conversation.path):
            self.failed.emit(Busy("Another Baton is writing an answer here.", "Stop it there, or wait for its end."))
        elif not self.ready:
            self.failed.emit(Busy("The conversation is still being read.", "Try again in a moment."))
        return self.ready

    def takes(self, problem: str) -> bool:
        """Return whether the loaded models can solve this problem, and report why not. The demo pair solves one kind.

        Without models every problem is taken; it is checked again before its answer begins.
        """
        try:
            if only_demo_models(self.models.pair.cards.values()) and not self.runs.waits_for_loan:
                check_problem(problem)
        except BeyondDemo as error:
            # Later: where models have just been loaded, the window removes its earlier errors first.
            QTimer.singleShot(0, self, partial(self.failed.emit, error))
            return False
        return True

    @property
    def current(self) -> Exchange | None:
        """The exchange in view that is being written or waits; else the last one."""
        conversation = self.conversation
        live = self.runs.first(conversation)
        return live if live and (conversation.comparison or live in conversation.path) else conversation.leaf

    # Conversations

    def new(self) -> None:
        if self.conversation.roots:
            self._open(self._new())

    def open(self, conversation_id: str, quietly: bool = False) -> None:
        """Open a conversation of the store. `quietly`: do not report that it cannot be read, as it may be gone."""
        if conversation_id == self.conversation.id:
            return
        if known := self.runs.conversation(conversation_id):
            self._open(known)
        elif self._repository:
            try:
                self._open(self._repository.open(conversation_id))
            except StoreError as error:
                if not quietly:
                    self.failed.emit(error)

    def forget(self, conversation_id: str) -> Callable[[], None]:
        """Stop writing and showing a conversation that has been deleted; return a function that shows it again once
        it is restored."""
        is_shown = conversation_id == self.conversation.id
        conversation = self.conversation if is_shown else self.runs.conversation(conversation_id)
        if conversation:
            self.runs.stop(conversation)
        if is_shown:
            self._open(self._new())
        return lambda: self._open(conversation) if conversation else self.open(conversation_id)

    def keep_unsent(self, conversation: Conversation, text: str) -> None:
        """Keep what is typed in a conversation, also for the next start of the program."""
        if text != conversation.unsent:
            conversation.unsent = text
            if self._repository:
                self._repository.store.unsent.keep(conversation.id, text)

    def last_problems(self) -> list[str]:
        """Return the problems that were asked last, newest first; without a history those of the conversation in
        view."""
        try:
            if self._repository:
                return self._repository.store.conversations.last_problems(MOST_RECALLED)
        except StoreError as error:
            self.failed.emit(error)
        return list(dict.fromkeys([exchange.problem for exchange in self.conversation][::-1]))

    def show_sibling(self, exchange: Exchange, by: int) -> None:
        """Show the attempt so many places after this one; before it if negative."""
        siblings = self.conversation.siblings(exchange)
        place = siblings.index(exchange) + by
        if 0 <= place < len(siblings):
            self.show(siblings[place])

    def show(self, exchange: Exchange) -> None:
        """Show the path through this exchange."""
        self.conversation.comparison = None
        self.conversation.show(exchange)
        self._keep_leaf()
        self.path_changed.emit()

    # Answers

    def ask(self, problem: str) -> None:
        self._begin(Exchange(problem, self.settings, self.conversation.leaf))

    def compare(
        self, problem: str, arms: Sequence[RunSettings], parent: Exchange | None, *, shows: bool
    ) -> list[Exchange]:
        """Ask one problem under several settings, as attempts at one place, one after the other.

        `shows`: the first of them becomes the end of the path. Where they stand side by side is up to the caller.
        """
        if not (arms and self.is_ready_or_says_why() and self.takes(problem)):
            return []
        exchanges = [Exchange(problem, settings, parent) for settings in arms]
        for place, exchange in enumerate(exchanges):
            self._keep(exchange, shows=shows and not place)
        self._keep_leaf()
        self._stop_reading()  # answers go first
        self.runs.compare(self.conversation, exchanges)
        self._load_models()
        return exchanges

    def measure(self, exchange: Exchange, policy: PolicySettings) -> None:
        """Write another attempt at the place of this answer under another policy. What is in view stays there.

        It is stopped as soon as a person begins anything.
        """
        attempt = Exchange(exchange.problem, exchange.settings.model_copy(update={"policy": policy}), exchange.parent)
        self._keep(attempt, shows=False)
        self._keep_leaf()
        self.runs.measure(self.conversation, attempt)

    def ask_again(self, exchange: Exchange, problem: str = "", policy: str = "") -> None:
        """Ask again at the same place in the conversation, with another seed, problem, or policy (by its name)."""
        settings = self._settings_with(policy)
        if not problem:
            settings = self._another_seed(settings, exchange)
        self._begin(Exchange(problem or exchange.problem, settings, exchange.parent))

    def go_on(
        self,
        exchange: Exchange,
        author: Author | None = None,
        more_tokens: bool = False,
        prepare: Callable[[], object] = lambda: None,
        agreed: ChangedModels | None = None,
    ) -> None:
        """Continue the same text where it stands, with its counters.

        `author` writes the next step; `more_tokens`: the answer may have twice as many as before; `prepare` is called
        first. A person is asked before other models go on than those that wrote it, unless they have `agreed`. An
        answer that has come to its end is refused.
        """
        if not (self.is_ready_or_says_why() and self.takes(exchange.problem)):
            return
        if exchange.trace.finish is Finish.END_OF_TEXT:
            self.failed.emit(NotApplicable("This answer is complete.", "Ask the next problem, or answer it again."))
            return
        conversation, anew = self.conversation, partial(self.go_on, exchange, author, more_tokens, prepare)
        if self._asks(conversation, exchange, agreed, anew):
            return
        if self._repository:
            try:
                self._repository.begin(exchange)
            except StoreError as error:
                self.failed.emit(error)
                return
        prepare()
        settings = exchange.settings
        if more_tokens:
            exchange.settings = settings.model_copy(update={"max_tokens": 2 * settings.max_tokens})
        later = partial(self.go_on, exchange, author)
        intervention = intervention_of(author, settings)
        self._start(exchange, intervention, lambda: not self._asks(conversation, exchange, agreed, later))

    def fork(self, exchange: Exchange, position: int, author: Author | None = None) -> None:
        """Begin another answer with the text of this one up to a place.

        `author`: the model that goes on from there; None for the one that the policy chooses.
        """
        settings = self._another_seed(with_author(self.settings, author), exchange)
        trace = exchange.trace.until(position)
        self._begin(Exchange(exchange.problem, settings, exchange.parent, trace), intervention_of(author, settings))

    def edit(self, exchange: Exchange, position: int, text: str) -> bool:
        """Begin another answer like this one, with a person's text from a place on; the models go on after it.

        Returns False, and says why, if that is not possible now.
        """
        if not self.is_ready_or_says_why():
            return False
        try:
            trace = exchange.trace.edited(position, text)
        except StoreError as error:
            self.failed.emit(error)
            return False
        settings = self._another_seed(self.settings, exchange)
        return self._begin(Exchange(exchange.problem, settings, exchange.parent, trace))

    def stop(self) -> None:
        """Stop what is written or waits in the conversation in view."""
        self.runs.stop(self.conversation)

    @property
    def is_thinking(self) -> bool:
        """Whether the answer that is written in the conversation in view has a thinking that is open."""
        return self.answering is not None and self.answering.exchange.trace.is_thinking

    def answer_now(self) -> None:
        """Close the thinking of the answer that is being written, which then answers with what it has."""
        if self.answering:
            self.answering.control.answer_now()

    @property
    def shared(self) -> QueuedRun | None:
        """The answer that is written in the conversation in view, if its policy lets both models write."""
        run = self.answering
        return run if run and len(POLICIES.of(run.exchange.settings.policy).needs.writers) > 1 else None

    def pass_baton(self) -> None:
        """Let the other model write on, if one writes."""
        if run := self.shared:
            run.control.give_back() if run.author is Author.LARGE else run.control.take_over()

    def take_over_at_next_step(self) -> None:
        if self.shared:
            self.shared.control.take_over(now=False)

    def rewrite_step(self) -> None:
        if self.shared:
            self.shared.control.rewrite_step()

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
        settings = self.preferences.value
        run = settings.run.model_copy(update={"system": self.system})
        if policy:
            run = run.model_copy(update={"policy": settings_for(policy, run.policy)})
        run = settings.model_copy(update={"run": run}).effective_run(self.models.cards_of(settings.models))
        return run if run.thinking or not self.thinks_always else run.model_copy(update={"thinking": True})

    @property
    def policy_note(self) -> str:
        """Why the automatic policy is not the usual one, until something is written in the conversation in view; ""
        where it is, where a person chose another, and before the models are loaded."""
        chosen = self.preferences.value
        cards = {} if chosen.models.is_demo else self.models.cards_of(chosen.models)
        if not is_automatic(chosen.run) or any(exchange.trace.pieces for exchange in self.conversation.path):
            return ""
        return automatic_choice(cards, self.settings.thinking).reason

    @property
    def thinks_always(self) -> SettingsError | None:
        """Why the thinking of the loaded models cannot be turned off; None if it can, or none are loaded."""
        return thinks_always(self.models.pair.cards.values())

    def _another_seed(self, settings: RunSettings, exchange: Exchange) -> RunSettings:
        """Change the seed if these settings have written one of the answers at this place, and would write it again."""
        known = [sibling.settings for sibling in self.conversation.siblings(exchange)]
        if settings not in known:
            return settings
        return settings.model_copy(update={"seed": max(each.seed for each in known) + 1})

    def _new(self) -> Conversation:
        """Return the conversation in which nothing was asked yet. There is only one, which keeps what is typed."""
        if self._unsent.roots:
            self._unsent = Conversation()
        return self._unsent

    def _open(self, conversation: Conversation) -> None:
        self.conversation = conversation
        self.runs.view(conversation)
        self.path_changed.emit()
        self.activity_changed.emit()

    def _begin(self, exchange: Exchange, intervention: Intervention | None = None) -> bool:
        """Begin an answer; return False, and say why, if that is not possible now."""
        if not (self.is_ready_or_says_why() and self.takes(exchange.problem)):
            return False
        self.conversation.comparison = None
        self._keep(exchange)
        self.path_changed.emit()
        self._start(exchange, intervention)
        return True

    def _keep(self, exchange: Exchange, shows: bool = True) -> None:
        """Put it into the conversation in view; `shows`: at the end of the path."""
        self.conversation.add(exchange, shows)
        if self._repository:
            self._repository.add(self.conversation, exchange)

    def _stop_reading(self) -> None:
        self.reviews.stop()
        self.tokens.stop()

    def _keep_leaf(self) -> None:
        if self._repository and (leaf := self.conversation.leaf):
            self._repository.store.conversations.show(self.conversation.id, leaf.id)

    def _start(
        self, exchange: Exchange, intervention: Intervention | None = None, may_begin: Callable[[], bool] = lambda: True
    ) -> None:
        self._stop_reading()  # an answer goes first
        self.runs.write(self.conversation, exchange, intervention, lambda: self.takes(exchange.problem) and may_begin())
        self._load_models()

    def _asks(
        self, conversation: Conversation, exchange: Exchange, agreed: ChangedModels | None, go_on: Callable[..., object]
    ) -> bool:
        """Ask before other models go on with an answer than those that wrote it, unless the person `agreed` to these.

        `go_on`: called with what the person agrees to then, with the conversation in view.
        """
        chosen, is_loaded = self.preferences.value.models, self.models.state is LoadState.READY
        sources = {author: chosen.get(author) for author in (Author.SMALL, Author.LARGE)}
        found = changed_models(exchange.trace, exchange.settings, self.models.pair.cards if is_loaded else sources)
        if found is None or (agreed and agreed.sources == found.sources):
            return False

        def begin() -> None:
            if conversation is not self.conversation:
                self._open(conversation)
            go_on(agreed=found)

        self.asked.emit(found.question, begin)
        return True

    def _load_models(self) -> None:
        """Load the models for answers that wait for them, unless that is under way."""
        if not (self.runs.is_idle or self.is_opening) and self.models.state in (LoadState.NONE, LoadState.FAILED):
            self.models.load(self.preferences.value.models)

    def _progressed(self, exchange: Exchange, events: list[Event]) -> None:
        if self._repository and events:
            try:
                self._repository.record(exchange, events)
            except StoreError as error:
                self.failed.emit(error)
                if isinstance(error, WrittenElsewhere):
                    self.runs.stop_answer(exchange)
        self.progressed.emit(exchange)

    def _keep_settings(self, exchange: Exchange) -> None:
        if self._repository:
            self._repository.store.conversations.keep_settings(exchange)

    def _ended(self, run: QueuedRun, error: BatonError | None) -> None:
        run.conversation.touch()
        if self._repository:
            self._repository.run_ended(run.exchange)
        self.progressed.emit(run.exchange)
        if error:
            self.failed.emit(error)

    def _keep_finding(self, exchange: Exchange, finding: Event) -> None:
        if self._repository:
            self._repository.store.runs.append(exchange.id, [finding], exchange.attempt)
        self.progressed.emit(exchange)

    def _renamed(self, conversation_id: str, title: str) -> None:
        for conversation in (self.conversation, self.runs.conversation(conversation_id)):
            if conversation and conversation.id == conversation_id:
                conversation.title = title

    def _trace_loaded(self, exchange: Exchange) -> None:
        if exchange in self.conversation:
            self.progressed.emit(exchange)
        if exchange in self.conversation.path:
            self.activity_changed.emit()
        if exchange.is_written_elsewhere:
            self._look_again.start()

    def _read_again(self) -> None:
        """Read what another Baton has written meanwhile in the conversation in view."""
        if self._repository and (written := [each for each in self.conversation if each.is_written_elsewhere]):
            self._repository.read(written)


def with_author(settings: RunSettings, author: Author | None) -> RunSettings:
    """Return settings under which this model can write: a policy for the other model alone is replaced."""
    needs = POLICIES.of(settings.policy).needs
    if author is Author.LARGE and not needs.large:
        return settings.model_copy(update={"policy": Always.Settings()})
    if author is Author.SMALL and not needs.small:
        return settings.model_copy(update={"policy": Never.Settings()})
    return settings


def intervention_of(author: Author | None, settings: RunSettings) -> Intervention | None:
    """Let this model write the next step; the policy decides from there, or at once if no model is named."""
    if author is None:
        return None
    is_default = author is POLICIES.of(settings.policy).default_writer
    return Intervention(Write() if is_default else TakeOver(STEP_CAP, PERSON, until=Until.STEP, author=author))
