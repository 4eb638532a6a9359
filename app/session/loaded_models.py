"""The pair of models that the window works with: which ones, whether they are loaded, and loading them off the main
thread."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from PySide6.QtCore import QObject, Qt, QTimer, Signal

from baton_reasoning.app.toolkit.background import BackgroundTask, BackgroundTasks, LatestTask, StreamTask
from baton_reasoning.core.engines.base import ModelCard
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.remote.status import ServerStatus, StatusCallback
from baton_reasoning.core.errors import BatonError, Busy, Cancelled, SettingsError
from baton_reasoning.core.run import Pair
from baton_reasoning.core.settings import DEMO_OF, ModelChoice

if TYPE_CHECKING:
    from baton_reasoning.core.batch.running.execution import WantedPair
    from baton_reasoning.core.engines.remote.known_servers import KnownServers
    from baton_reasoning.core.model_costs import ModelCosts


class Remark(NamedTuple):
    """What a person should know of the pair that is loaded."""

    text: str


Loading = Generator[str | Remark | Pair, None, None]
"""Yields the status while it loads, remarks, and at the end the pair."""
COALESCE_MS = 100
"""A server's status changes many times a second; the window shows it at most this often."""
RETURN_MS = 200
"""After a loan, before the chat's pair is loaded again: another one may follow."""
CHECK_MS = 15_000
"""Between requests, servers are asked this often whether they are there."""


class Loader(Protocol):
    def __call__(self, choice: ModelChoice, watcher: StatusCallback) -> Loading: ...

    @property
    def servers(self) -> KnownServers:
        """The known servers, with their keys and settings."""
        ...


@runtime_checkable
class ServerEngine(Protocol):
    """An engine on a server, with the status of that server."""

    @property
    def status(self) -> ServerStatus: ...

    def ping(self) -> None:
        """Find out whether it is still there. Blocks a moment."""
        ...


class LoadState(Enum):
    NONE = auto()
    WAITING = auto()
    """Another pair was requested; it loads when the last run releases this one."""
    LOADING = auto()
    READY = auto()
    FAILED = auto()


@dataclass(eq=False)
class Loan:
    """A pair that work in another thread asked for, and keeps until it is over."""

    choice: ModelChoice
    pair: Future[Pair] = field(default_factory=Future)


class LoadedModels(QObject):
    changed = Signal()
    """The state, its text or the pair has changed."""
    ready = Signal()
    """A pair has been loaded; after `changed`."""
    writing_began = Signal(object)
    """What writes: the object that was passed to `begin_writing`."""
    servers_changed = Signal()
    """The status of a server has changed."""
    _status_changed = Signal()
    _loan_wanted, _loan_over = Signal(object), Signal(object)

    def __init__(self, loader: Loader, costs: ModelCosts, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._loader = loader
        self.costs = costs
        """What models on this machine cost."""
        self._coalescing = QTimer(self, singleShot=True, interval=COALESCE_MS)
        self._coalescing.timeout.connect(self.servers_changed.emit)
        # A watcher is called from the thread that talks to its server.
        self._status_changed.connect(self._coalesce, Qt.ConnectionType.QueuedConnection)
        self._loan_wanted.connect(self._lend, Qt.ConnectionType.QueuedConnection)
        self._loan_over.connect(self._take_back, Qt.ConnectionType.QueuedConnection)
        self._waiting: list[Loan] = []
        self._own: ModelChoice | None = None
        """What was chosen, which is loaded again after the loans."""
        self._returning = QTimer(self, singleShot=True, interval=RETURN_MS)
        self._returning.timeout.connect(self._return_to_own)
        self._is_unwanted = False
        """Whether the pair that is being loaded is to be closed."""
        self._pings = LatestTask(self, "check servers")
        self._checking = QTimer(self, interval=CHECK_MS)
        self._checking.timeout.connect(self.check_servers)
        self.changed.connect(self._checking.stop)
        self.ready.connect(self._checking.start)
        self.ready.connect(self.check_servers)
        self._task: StreamTask[str | Remark | Pair] | None = None
        self._wanted: ModelChoice | None = None
        self.choice: ModelChoice | None = None
        """What is loaded, is being loaded, or could not be."""
        self._writers: set[object] = set()
        self.state = LoadState.NONE
        self.status = "No models yet"
        """What is going on, or went wrong, for a person."""
        self.error: BatonError | None = None
        self.remark = ""
        """What a person should know of the pair; may be empty."""
        self.pair = Pair()

    def begin_writing(self, writer: object) -> None:
        """Keep the pair as it is until `end_writing`."""
        self._writers.add(writer)
        self.writing_began.emit(writer)

    def end_writing(self, writer: object) -> None:
        self._writers.discard(writer)
        if self._wanted is not None and not self._writers and self._task is None:
            self._load_wanted()

    def choice_for(self, wanted: WantedPair, chosen: ModelChoice) -> ModelChoice:
        """Return how to load the pair that a batch or an answer names: as the `chosen` one of the chat, but for what is
        wanted. Reads files.

        A model that is not named is the chat's, if that has the other one too; else nothing is loaded for it. Raises
        SettingsError, ModelFileError.
        """
        from baton_reasoning.core.batch.running.batch import without_password
        from baton_reasoning.core.engines.sources import source_of

        named = {Author.SMALL: wanted.small, Author.LARGE: wanted.large}
        sources = {}
        for author, name in named.items():
            own = chosen.get(author)
            if name:  # an address without its password is that of the chat
                is_own = name == without_password(str(own))
                sources[author] = own if is_own else source_of(name, self.servers, DEMO_OF[author])
        if all(source == chosen.get(author) for author, source in sources.items()):
            both = {author.value: chosen.get(author) for author in named}
        else:
            both = {author.value: sources.get(author, next(iter(sources.values()))) for author in named}
        context = wanted.context or chosen.context
        return chosen.model_copy(update={**both, "parallel": wanted.parallel, "context": context})

    @contextmanager
    def lent(
        self, choice: ModelChoice, stopping: Callable[[Callable[[], object]], AbstractContextManager[None]]
    ) -> Iterator[Pair]:
        """Load a pair for work in another thread, which blocks meanwhile, and keep it during the block.

        `stopping`: calls a function if the work is stopped while it waits. Raises Cancelled then, else the error with
        which the pair could not be loaded, and Busy if another was chosen meanwhile.
        """
        loan = Loan(choice)
        try:
            with stopping(loan.pair.cancel):
                self._loan_wanted.emit(loan)
                pair = loan.pair.result()
            yield pair
        except CancelledError as error:
            raise Cancelled from error
        finally:
            self._loan_over.emit(loan)

    def cards_of(self, chosen: ModelChoice) -> dict[Author, ModelCard]:
        """Return the cards of the chosen models if these are loaded, else none."""
        if self.state is not LoadState.READY or self.choice is None:
            return {}
        are_chosen = (self.choice.small, self.choice.large) == (chosen.small, chosen.large)
        return self.pair.cards if are_chosen else {}

    @property
    def is_writing(self) -> bool:
        return bool(self._writers)

    @property
    def is_lent(self) -> bool:
        """Whether work in another thread has the pair."""
        return any(isinstance(writer, Loan) for writer in self._writers)

    @property
    def is_wanted(self) -> bool:
        """Whether work in another thread has the pair, or waits for it."""
        return self.is_lent or bool(self._waiting)

    def load(self, choice: ModelChoice) -> None:
        """Load another pair. The loaded one is closed first, since both rarely fit; while a run uses it, the new pair
        waits for that run to end, so that no text is lost. A pair that is still being loaded is given up."""
        self._own = choice
        self._load(choice)

    def _load(self, choice: ModelChoice) -> None:
        if BackgroundTasks.of(self).closed:
            return
        self._is_unwanted = False
        if self._task is not None:
            self._wanted = choice
            self._task.stop()
            return
        if self._writers:
            self._wanted = choice
            self._set_state(LoadState.WAITING, "Other models are loaded when the answer is written")
            return
        old, self.pair, self.error, self.remark = self.pair, Pair(), None, ""
        self.choice = choice

        def load() -> Loading:
            close_pair(old)
            yield from self._loader(choice, lambda _: self._status_changed.emit())

        self._set_state(LoadState.LOADING, "Loading the models…")
        self._task = StreamTask(self, "load models", load).items(self._take).done(self._ended).start()

    def unload(self) -> None:
        """Close the models, off the main thread; those that are being loaded are given up. Does nothing without any,
        and once the window closes."""
        if self._task is not None:
            self._is_unwanted, self._wanted = True, None
            self._task.stop()
            return
        if self.pair == Pair() or BackgroundTasks.of(self).closed:
            return
        pair, self.pair = self.pair, Pair()
        BackgroundTask(self, "close models", lambda: close_pair(pair)).start()
        self._set_state(LoadState.NONE, "No models yet")

    @property
    def servers(self) -> KnownServers:
        return self._loader.servers

    def server_status(self, author: Author) -> ServerStatus | None:
        """The status of this model's server; None if the model is on this machine."""
        engine = self.pair.get(author)
        return engine.status if isinstance(engine, ServerEngine) else None

    def check_servers(self) -> None:
        """Ask all servers in a thread whether they are there, unless the last request is still waiting."""
        servers = [engine for engine in self.pair.engines.values() if isinstance(engine, ServerEngine)]

        def ping() -> None:
            for server in servers:
                server.ping()

        if servers and not self._pings.busy:
            self._pings.run(ping, lambda _: None)

    def is_lost(self, author: Author) -> bool:
        """Whether the process of this model has died, and was not started again."""
        return getattr(self.pair.get(author), "is_lost", False)

    def close(self) -> None:
        """Close the models, once the background tasks have ended: the window is closing."""
        close_pair(self.pair)
        self.pair = Pair()
        for timer in (self._coalescing, self._checking, self._returning):
            timer.stop()

    def _coalesce(self) -> None:
        if not self._coalescing.isActive():
            self._coalescing.start()

    def _take(self, items: list[str | Remark | Pair]) -> None:
        for item in items:
            if isinstance(item, Pair):
                self.pair = item
            elif isinstance(item, Remark):
                self.remark = item.text
            else:
                self._set_state(LoadState.LOADING, item)

    def _ended(self, error: BatonError | None) -> None:
        self._task = None
        if self._wanted is not None:
            self._load_wanted()
        elif self._is_unwanted:
            self.unload()
            self._set_state(LoadState.NONE, "No models yet")
        elif error:
            self.error = error
            self._set_state(LoadState.FAILED, error.message)
        elif self.pair == Pair():
            self._set_state(LoadState.NONE, "No models yet")
        else:
            self._set_state(LoadState.READY, "Ready")
            self.ready.emit()

    def _load_wanted(self) -> None:
        assert self._wanted is not None
        choice, self._wanted = self._wanted, None
        self._load(choice)

    def _set_state(self, state: LoadState, status: str) -> None:
        self.state, self.status = state, status
        if state in (LoadState.READY, LoadState.FAILED, LoadState.NONE):
            self._answer_loans()
        self.changed.emit()

    def _lend(self, loan: Loan) -> None:
        self._waiting.append(loan)
        if self.state is LoadState.READY and self._fits(loan.choice):
            self._answer_loans()
        else:
            self._load(loan.choice)

    def _answer_loans(self) -> None:
        """Give the pair to whoever waits for it, or tell them why there is none."""
        loans, self._waiting = self._waiting, []
        for loan in loans:
            if not loan.pair.set_running_or_notify_cancel():
                continue
            if self.state is LoadState.READY and self._fits(loan.choice):
                self.begin_writing(loan)
                loan.pair.set_result(self.pair)
            elif self.state is LoadState.READY:
                loan.pair.set_exception(Busy("Other models were chosen meanwhile.", "Begin again to load its own."))
            else:
                missing = SettingsError("There are no models to run.", "Choose two.")
                loan.pair.set_exception(self.error or missing)

    def _take_back(self, loan: Loan) -> None:
        if loan in self._waiting:
            self._waiting.remove(loan)
        self.end_writing(loan)
        if not BackgroundTasks.of(self).closed:
            self._returning.start()

    def _return_to_own(self) -> None:
        """Load what was chosen again, once nothing else is lent."""
        if self._own and not (self.is_wanted or self._has(self._own)):
            self._load(self._own)

    def _has(self, choice: ModelChoice) -> bool:
        """Whether this pair was loaded last, for however many texts at once."""
        return self.choice is not None and self.choice.model_copy(update={"parallel": choice.parallel}) == choice

    def _fits(self, wanted: ModelChoice) -> bool:
        """Whether the loaded pair serves for these, with room for as many texts and as many tokens."""
        has = self.choice
        if has is None or (has.small, has.large) != (wanted.small, wanted.large) or has.parallel < wanted.parallel:
            return False
        held = max((card.context for card in self.pair.cards.values() if card.path), default=wanted.context)
        return wanted.context in (has.context, held)


def close_pair(pair: Pair) -> None:
    for engine in {id(engine): engine for engine in (pair.small, pair.large) if engine}.values():
        engine.close()
