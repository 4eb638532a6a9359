"""A model on a server, ready to open sessions."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TypeVar

from core.engines.base import Attach, Conversation, ignore
from core.engines.model_card import ModelCard
from core.engines.remote.address import ServerAddress
from core.engines.remote.protocol import Ask, PromptBuilder, ServerProtocol
from core.engines.remote.retry import RetryPolicy, RetryState
from core.engines.remote.session import RemoteSession
from core.engines.remote.state import ServerState, ServerStatus, StatusCallback, StatusTracker
from core.engines.remote.transport import HttpConnection
from core.engines.remote.vocabulary import same_vocabulary
from core.engines.usage import Cap, Prices, Usage, UsageMeter
from core.errors import EngineError, EngineLost
from core.models.overrides import ModelOverrides, Sampling
from core.models.source import ServerUrls

Result = TypeVar("Result")
ProtocolT = TypeVar("ProtocolT", bound=ServerProtocol)


@dataclass(frozen=True, slots=True)
class RemoteOptions:
    """How a server is used, and how much of it."""

    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    prices: Prices = field(default_factory=Prices)
    cap: Cap = field(default_factory=Cap)
    """For everything that this engine does."""
    answer_cap: Cap = field(default_factory=Cap)
    """For one session."""
    model: str = ""
    """Where a server has several; empty: the first of its list."""
    template: str | None = None
    """A chat template (Jinja) in place of the server's own; needed if the server reveals none."""
    supports_prefetch: bool | None = None
    """None: if the server is another machine. True for one on this machine with a device of its own."""
    overrides: ModelOverrides = field(default_factory=ModelOverrides)


class RemoteEngine:
    """An Engine over HTTP. A subclass finds out what the server can do, and sets `protocol`."""

    protocol: ServerProtocol

    def __init__(
        self,
        address: ServerAddress | str,
        options: RemoteOptions | None = None,
        on_status: StatusCallback | None = None,
    ) -> None:
        """Connects. `on_status` is called at each change of state. Raises EngineLost or EngineRefused."""
        self.address = ServerAddress(address) if isinstance(address, str) else address
        self.options = options or RemoteOptions()
        self.status_tracker = StatusTracker(on_status)
        self._tls = self.address.tls()
        self._meter = UsageMeter(self.options.prices, self.options.cap, f"{self.address.host}")
        self._lock = threading.Lock()
        self._sessions: set[RemoteSession] = set()
        self._asking = threading.Lock()
        self._closing = threading.Event()
        self._connection = self.new_connection()

    @property
    def card(self) -> ModelCard:
        return self.protocol.card

    @property
    def retry_policy(self) -> RetryPolicy:
        return self.options.retry_policy

    @property
    def state(self) -> ServerState:
        return self.status_tracker.state

    @property
    def status(self) -> ServerStatus:
        """The state, with the progress of the prompt or the latency."""
        return self.status_tracker.status

    def ping(self) -> None:
        """Ask whether the server is there, so that its status is true while no session uses it. Blocks a moment."""
        began = time.perf_counter()
        milliseconds: float | None = None
        with closing(self.new_connection()) as connection:
            try:
                connection.ask("/v1/models")
                milliseconds = (time.perf_counter() - began) * 1000
            except EngineLost:
                pass  # the status then says so
            except EngineError:
                return  # it is there, and refuses this question
        if not self._closing.is_set():
            self.status_tracker.record_ping(milliseconds)

    @property
    def open_sessions(self) -> int:
        with self._lock:
            return len(self._sessions)

    @property
    def usage(self) -> Usage:
        """Of all sessions, closed ones included."""
        return self._meter.usage

    def open(self, conversation: Conversation, sampling: Sampling, attach: Attach = ignore) -> RemoteSession:
        def attached(session: RemoteSession) -> None:
            with self._lock:
                self._sessions.add(session)
            attach(session)

        return RemoteSession(self, conversation, sampling, attached, self._forget)

    def count_tokens(self, text: str) -> int:
        return self._ask(lambda ask: self.protocol.count_tokens(text, ask))

    def close(self) -> None:
        self._closing.set()
        with self._lock:
            sessions = tuple(self._sessions)
        for session in sessions:
            session.close()
        self._connection.halt()
        self._connection.close()

    def adopt_vocabulary(self, vocabulary: str, probe_ids: Sequence[int]) -> bool:
        """Take over the name of another model's vocabulary if it is the same, so that token ids can pass.

        `vocabulary`: the hash on the other model's card. `probe_ids`: `remote.vocabulary.PROBE` by its tokenizer,
        control tokens recognised, without BOS. Call it before sessions are opened.
        """
        same = same_vocabulary(self.card, probe_ids)
        if same:
            self.protocol.card = replace(self.card, vocabulary=vocabulary)
        return same

    def share_meter(self, meter: UsageMeter) -> None:
        """All usage here counts there too, and its cap applies here. Call it before sessions are opened."""
        self._meter.join(meter)

    def connect(self, protocol: Callable[[Ask], ProtocolT]) -> ProtocolT:
        """Ask the server what it is. The person's overrides for its model take precedence. Raises EngineError."""
        try:
            found = protocol(self._connection.ask)
        except EngineError:
            self._connection.close()
            raise
        overrides = self.options.overrides
        found.card = replace(
            found.card,
            source=ServerUrls((self.address.url,)),
            thinking=overrides.thinking_tags(found.card.thinking),
            overrides=overrides,
        )
        return found

    # For sessions ---------------------------------------------------------------------------------------------------

    def new_connection(self) -> HttpConnection:
        return HttpConnection(self.address, self.retry_policy, self._tls)

    def new_meter(self) -> UsageMeter:
        return UsageMeter(self.options.prices, self.options.answer_cap, "this answer", self._meter)

    def begin(self, conversation: Conversation, connection: HttpConnection) -> PromptBuilder:
        return self._retry(lambda ask: self.protocol.prompt_builder(conversation, ask), connection)

    def _forget(self, session: RemoteSession) -> None:
        with self._lock:
            self._sessions.discard(session)

    def _ask(self, question: Callable[[Ask], Result]) -> Result:
        """A short question over the engine's own connection, one at a time, with retries."""
        with self._asking:
            return self._retry(question, self._connection)

    def _retry(self, question: Callable[[Ask], Result], connection: HttpConnection) -> Result:
        """Repeat it while the server is lost or not ready, as often as the policy allows."""
        retries = RetryState(self.retry_policy)
        while True:
            try:
                return question(connection.ask)
            except EngineLost as error:
                pause = retries.pause_after(error)
            connection.pause(pause)

    def supports_prefetch(self) -> bool:
        chosen = self.options.supports_prefetch
        return not self.address.is_this_machine if chosen is None else chosen
