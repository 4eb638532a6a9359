"""A model on a server, ready to open sessions."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TypeVar

from core.engines.base import Conversation
from core.engines.model_card import ModelCard
from core.engines.remote.address import ServerAddress
from core.engines.remote.protocol import Ask, ServerProtocol
from core.engines.remote.retry import RetryPolicy, RetryState
from core.engines.remote.session import RemoteSession
from core.engines.remote.state import ServerState, ServerStatus, StatusCallback, StatusTracker
from core.engines.remote.transport import HttpConnection
from core.engines.remote.vocabulary import same_vocabulary
from core.engines.usage import Cap, Prices, Usage, UsageMeter
from core.errors import EngineError, EngineLost
from core.models.overrides import ModelOverrides, Sampling

Result = TypeVar("Result")
D = TypeVar("D", bound=ServerProtocol)


@dataclass(frozen=True, slots=True)
class RemoteOptions:
    """How to use a server, and how much of it."""

    patience: RetryPolicy = field(default_factory=RetryPolicy)
    prices: Prices = field(default_factory=Prices)
    cap: Cap = field(default_factory=Cap)
    """For all that this engine does."""
    answer_cap: Cap = field(default_factory=Cap)
    """For one session."""
    model: str = ""
    """Where a server has several; empty: the first it names."""
    template: str | None = None
    """A chat template (Jinja) in place of the server's own; needed where it tells none."""
    supports_prefetch: bool | None = None
    """None: if the server is another machine. Where it has a device of its own on this one, say True."""
    own: ModelOverrides = field(default_factory=ModelOverrides)


class RemoteEngine:
    """An Engine over HTTP; subclasses find out the dialect and hand it over."""

    dialect: ServerProtocol

    def __init__(
        self, address: ServerAddress | str, options: RemoteOptions | None = None, watcher: StatusCallback | None = None
    ) -> None:
        """`watcher` is told each change of state. Connects, and raises EngineLost or EngineRefused."""
        self.address = ServerAddress(address) if isinstance(address, str) else address
        self.options = options or RemoteOptions()
        self.board = StatusTracker(watcher)
        self._tls = self.address.tls()
        self._meter = UsageMeter(self.options.prices, self.options.cap, f"{self.address.host}")
        self._lock = threading.Lock()
        self._sessions: set[RemoteSession] = set()
        self._asking = threading.Lock()
        self._closing = threading.Event()
        self._line = self.new_line()

    @property
    def card(self) -> ModelCard:
        return self.dialect.card

    @property
    def patience(self) -> RetryPolicy:
        return self.options.patience

    @property
    def state(self) -> ServerState:
        return self.board.state

    @property
    def doing(self) -> ServerStatus:
        """The state, and how far it is with its reading."""
        return self.board.doing

    def look(self) -> None:
        """Ask whether the server is still there, so that its state is true while nobody uses it. Blocks a moment."""
        began = time.perf_counter()
        milliseconds: float | None = None
        with closing(self.new_line()) as line:
            try:
                line.ask("/v1/models")
                milliseconds = (time.perf_counter() - began) * 1000
            except EngineLost:
                pass  # which is what was to be found out
            except EngineError:
                return  # it is there, and says no to this question
        if not self._closing.is_set():
            self.board.looked_at(milliseconds)

    @property
    def open_sessions(self) -> int:
        with self._lock:
            return len(self._sessions)

    @property
    def bill(self) -> Usage:
        """What all sessions have cost, the closed ones too."""
        return self._meter.bill

    def open(self, conversation: Conversation, sampling: Sampling) -> RemoteSession:
        session = RemoteSession(self, conversation, sampling)
        with self._lock:
            self._sessions.add(session)
        return session

    def count_tokens(self, text: str) -> int:
        return self.asking(lambda ask: self.dialect.count_tokens(text, ask))

    def close(self) -> None:
        self._closing.set()
        with self._lock:
            sessions = tuple(self._sessions)
        for session in sessions:
            session.close()
        self._line.close()

    def adopt_vocabulary(self, vocabulary: str, probe_ids: Sequence[int]) -> bool:
        """If the server tokenises the probe just so, it has this vocabulary: its card takes the name, ids can pass.

        `vocabulary`: the hash on the other model's card. `probe_ids`: `remote.vocabulary.PROBE` by its tokenizer,
        control tokens recognised, without BOS. Call it before sessions are opened.
        """
        same = same_vocabulary(self.card, probe_ids)
        if same:
            self.dialect.card = replace(self.card, vocabulary=vocabulary)
        return same

    def share_meter(self, meter: UsageMeter) -> None:
        """All that is spent here counts there as well, and its cap holds here. Call it before sessions are opened."""
        self._meter.join(meter)

    def connect(self, dialect: Callable[[Ask], D]) -> D:
        """Ask the server what it is. What a person set for its model has the last word."""
        try:
            found = dialect(self._line.ask)
        except EngineError:
            self._line.close()
            raise
        own = self.options.own
        found.card = replace(found.card, thinking=own.tags(found.card.thinking), own=own)
        return found

    def asking(self, question: Callable[[Ask], Result]) -> Result:
        """A short question over the engine's own connection, one at a time."""
        with self._asking:
            return self.patiently(lambda: question(self._line.ask))

    # For sessions ---------------------------------------------------------------------------------------------------

    def forget(self, session: RemoteSession) -> None:
        with self._lock:
            self._sessions.discard(session)

    def new_line(self) -> HttpConnection:
        return HttpConnection(self.address, self.patience, self._tls)

    def new_meter(self) -> UsageMeter:
        return UsageMeter(self.options.prices, self.options.answer_cap, "this answer", self._meter)

    def patiently(self, action: Callable[[], Result]) -> Result:
        """Do it again while the server is lost or not ready, as far as patience goes."""
        retrying = RetryState(self.patience)
        while True:
            try:
                return action()
            except EngineLost as error:
                pause = retrying.pause_after(error)
                if self._closing.wait(pause):
                    raise

    def supports_prefetch(self) -> bool:
        wanted = self.options.supports_prefetch
        return not self.address.is_this_machine if wanted is None else wanted
