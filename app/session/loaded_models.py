"""The pair of models that the window works with: which ones, whether they are loaded, and loading them off the main
thread."""

from __future__ import annotations

from collections.abc import Generator
from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from PySide6.QtCore import QObject, Qt, QTimer, Signal

from baton_reasoning.app.toolkit.background import BackgroundTask, BackgroundTasks, LatestTask, StreamTask
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.remote.status import ServerStatus, StatusCallback
from baton_reasoning.core.errors import BatonError
from baton_reasoning.core.run import Pair
from baton_reasoning.core.settings import ModelChoice

if TYPE_CHECKING:
    from baton_reasoning.core.engines.remote.known_servers import KnownServers
    from baton_reasoning.core.model_costs import ModelCosts


class Remark(NamedTuple):
    """What a person should know of the pair that is loaded."""

    text: str


Loading = Generator[str | Remark | Pair, None, None]
"""Yields the status while it loads, remarks, and at the end the pair."""
COALESCE_MS = 100
"""A server's status changes many times a second; the window shows it at most this often."""
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


class LoadedModels(QObject):
    changed = Signal()
    """The state, its text or the pair has changed."""
    ready = Signal()
    """A pair has been loaded; after `changed`."""
    writing_began = Signal(object)
    """Its writer."""
    servers_changed = Signal()
    """The status of a server has changed."""
    _status_changed = Signal()

    def __init__(self, loader: Loader, costs: ModelCosts, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._loader = loader
        self.costs = costs
        """What models on this machine cost."""
        self._coalescing = QTimer(self, singleShot=True, interval=COALESCE_MS)
        self._coalescing.timeout.connect(self.servers_changed.emit)
        # A watcher is called from the thread that talks to its server.
        self._status_changed.connect(self._coalesce, Qt.ConnectionType.QueuedConnection)
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

    @property
    def is_writing(self) -> bool:
        return bool(self._writers)

    def load(self, choice: ModelChoice) -> None:
        """Load another pair. The loaded one is closed first, since both rarely fit; while a run uses it, the new pair
        waits for that run to end, so that no text is lost. A pair that is still being loaded is given up."""
        if BackgroundTasks.of(self).closed:
            return
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
        """Close the models, off the main thread. Does nothing without any, while some are being loaded, and once the
        window closes."""
        if self.pair == Pair() or self._task is not None or BackgroundTasks.of(self).closed:
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
        self._coalescing.stop()
        self._checking.stop()

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
        self.load(choice)

    def _set_state(self, state: LoadState, status: str) -> None:
        self.state, self.status = state, status
        self.changed.emit()


def close_pair(pair: Pair) -> None:
    for engine in {id(engine): engine for engine in (pair.small, pair.large) if engine}.values():
        engine.close()
