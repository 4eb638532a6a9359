"""A model on a server: `RemoteEngine` opens sessions, a `RemoteSession` reads, writes and judges one text."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TypeVar

from baton_reasoning.core.engines.base import (
    Attach,
    Conversation,
    End,
    Handoff,
    Judgement,
    ModelCard,
    Notice,
    Passing,
    PrefillProgress,
    Scores,
    Stop,
    Token,
    WriteItem,
    ignore,
)
from baton_reasoning.core.engines.body import Part, parts_before
from baton_reasoning.core.engines.remote.address import ServerAddress
from baton_reasoning.core.engines.remote.prefetch import Prefetch
from baton_reasoning.core.engines.remote.protocol import (
    Ask,
    CompletionRequest,
    Prompt,
    PromptBuilder,
    PromptProgress,
    ServerProtocol,
    StreamEnd,
    as_parts,
    judgement_of,
    no_scores,
    passing_of,
)
from baton_reasoning.core.engines.remote.response_reader import ResponseReader, RestartDetector
from baton_reasoning.core.engines.remote.retry import RetryPolicy, RetryState
from baton_reasoning.core.engines.remote.state import RETRYING, ServerState, ServerStatus, StatusCallback, StatusTracker
from baton_reasoning.core.engines.remote.transport import AnswerStream, HttpConnection
from baton_reasoning.core.engines.remote.vocabulary import same_vocabulary
from baton_reasoning.core.engines.usage import Cap, PrefetchedText, Prices, RequestUsage, Usage, UsageMeter
from baton_reasoning.core.errors import Cancelled, ContextFull, EngineError, EngineLost, EngineRefused
from baton_reasoning.core.models.overrides import ModelOverrides, Sampling
from baton_reasoning.core.models.source import ServerUrls

Result = TypeVar("Result")

SCORE_SECONDS = 600.0
"""Time-out of a request for scores: the whole prompt is read, without progress."""
JUDGED_ALTERNATIVES = 50
"""Likeliest tokens among which the choices of a judgement are looked for."""


@dataclass(frozen=True, slots=True)
class RemoteOptions:
    """How a server is used, and how much of it."""

    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    prices: Prices = field(default_factory=Prices)
    cap: Cap = field(default_factory=Cap)
    """For all sessions of this engine together."""
    template: str | None = None
    """A chat template (Jinja) in place of the server's own; needed if the server reveals none."""
    supports_prefetch: bool | None = None
    """None: if the server is another machine. True for one on this machine with a device of its own."""
    overrides: ModelOverrides = field(default_factory=ModelOverrides)


class RemoteEngine:
    """An Engine over HTTP. A subclass finds out what its kind of server can do, in `detect`."""

    def __init__(
        self,
        address: ServerAddress | str,
        options: RemoteOptions | None = None,
        on_status: StatusCallback | None = None,
    ) -> None:
        """Connect. `on_status` is called at each change of state. Raises EngineLost or EngineRefused."""
        self.address = ServerAddress(address) if isinstance(address, str) else address
        self.options = options or RemoteOptions()
        self.status_tracker = StatusTracker(on_status)
        self._tls = self.address.tls()
        self._meter = UsageMeter(self.options.prices, self.options.cap, self.address.host)
        self._lock = threading.Lock()
        self._sessions: set[RemoteSession] = set()
        self._asking = threading.Lock()
        self._closing = threading.Event()
        self._routed_model = ""
        self._connection = self.new_connection()
        self.protocol = self._connect()

    def detect(self, ask: Ask) -> ServerProtocol:
        """Ask the server what it is. Raises EngineError."""
        raise NotImplementedError

    def _connect(self) -> ServerProtocol:
        """Detect the protocol; the person's overrides for the model take precedence on its card."""
        try:
            protocol = self.detect(self._connection.ask)
        except EngineError:
            self._connection.close()
            raise
        overrides, prefetch = self.options.overrides, self.options.supports_prefetch
        protocol.card = replace(
            protocol.card,
            source=ServerUrls((self.address.url,)),
            thinking=overrides.thinking_tags(protocol.card.thinking),
            supports_prefetch=not self.address.is_this_machine if prefetch is None else prefetch,
            overrides=overrides,
        )
        return protocol

    @property
    def card(self) -> ModelCard:
        return self.protocol.card

    @property
    def status(self) -> ServerStatus:
        """What the server is doing for its sessions, with the progress of the prompt or the latency."""
        return self.status_tracker.status

    def ping(self) -> None:
        """Ask whether the server is there, so that its status stays true while no session uses it. Blocks a moment."""
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
        """Usage of all sessions, closed ones included."""
        return self._meter.usage

    def open(
        self, conversation: Conversation, sampling: Sampling, attach: Attach = ignore, *, thinks: bool = True
    ) -> RemoteSession:
        return RemoteSession(self, conversation, sampling, attach, thinks=thinks)

    def close(self) -> None:
        self._closing.set()
        with self._lock:
            sessions = tuple(self._sessions)
        for session in sessions:
            session.close()
        self._connection.halt()
        self._connection.close()

    def adopt_vocabulary(self, vocabulary: str, probe_ids: Sequence[int]) -> bool:
        """Adopt the name of another model's vocabulary if it is the same, so that token ids can be handed over.

        `vocabulary`: the hash on the other model's card. `probe_ids`: `remote.vocabulary.PROBE` by its tokenizer,
        control tokens recognised, without BOS. Call it before sessions are opened.
        """
        same = same_vocabulary(self.card, probe_ids)
        if same:
            self.protocol.card = replace(self.card, vocabulary=vocabulary)
        return same

    def share_meter(self, meter: UsageMeter) -> None:
        """Count all usage in another meter too, whose cap then applies here. Call it before sessions are opened."""
        self._meter.join(meter)

    def route_to(self, model: str) -> None:
        """Name this model of a router in each request; empty: the server is no router."""
        self._routed_model = self._connection.model = model

    # For sessions ---------------------------------------------------------------------------------------------------

    def new_connection(self) -> HttpConnection:
        connection = HttpConnection(self.address, self.options.retry_policy, self._tls)
        connection.model = self._routed_model
        return connection

    def new_meter(self) -> UsageMeter:
        """Make the meter of one session, a part of the engine's."""
        return UsageMeter(self.options.prices, whole=self._meter)

    def render(self, conversation: Conversation, thinks: bool, connection: HttpConnection) -> PromptBuilder:
        """Render the conversation, with retries. Raises EngineError."""
        return self._retry(lambda ask: self.protocol.prompt_builder(conversation, ask, thinks), connection)

    def add(self, session: RemoteSession) -> None:
        with self._lock:
            self._sessions.add(session)

    def remove(self, session: RemoteSession) -> None:
        with self._lock:
            self._sessions.discard(session)

    def _ask(self, question: Callable[[Ask], Result]) -> Result:
        """Ask over the engine's own connection, one question at a time, with retries."""
        with self._asking:
            return self._retry(question, self._connection)

    def _retry(self, question: Callable[[Ask], Result], connection: HttpConnection) -> Result:
        """Repeat a question while the server is lost or not ready, as often as the policy allows."""
        retries = RetryState(self.options.retry_policy)
        while True:
            try:
                return question(connection.ask)
            except EngineLost as error:
                pause = retries.pause_after(error)
            connection.pause(pause)


class RemoteSession:
    """A session on a server, which keeps the KV cache and finds the longest prefix that it has read before."""

    def __init__(
        self, engine: RemoteEngine, conversation: Conversation, sampling: Sampling, attach: Attach, *, thinks: bool
    ) -> None:
        """`attach` is called before the first question to the server. Raises EngineError."""
        self._engine = engine
        self._thinks = thinks
        self._protocol = engine.protocol
        self._retry_policy = engine.options.retry_policy
        self._sampling = sampling
        self._connection = engine.new_connection()
        self._meter = engine.new_meter()
        self._status = engine.status_tracker.new_session()
        self._restarts = RestartDetector(engine.protocol.check_model)
        self._cancelled = False
        self._closed = False
        self._prefetch: Prefetch | None = None
        try:
            engine.add(self)
            attach(self)
            self._prompt_builder = engine.render(conversation, thinks, self._connection)
            self._refuse_beyond_context(self._prompt_builder.prompt_tokens)
        except BaseException:
            self.close()
            raise
        if self.card.supports_prefetch:
            self._prefetch = Prefetch(
                self._protocol, self._prompt_builder, engine.new_connection(), self._meter, self._status, self._reader
            )

    @property
    def card(self) -> ModelCard:
        card = self._protocol.card
        return card if self._thinks else card.without_thinking()

    @property
    def prompt_tokens(self) -> int:
        return self._prompt_builder.prompt_tokens

    @property
    def usage(self) -> Usage:
        """Usage of this session so far."""
        return self._meter.usage

    def read(self, body: Sequence[Part]) -> Handoff:
        with suppress(Cancelled), self._call():
            return self._read(body)
        return Handoff(0, 0, 0.0)

    def prefetch(self, body: Sequence[Part]) -> None:
        if self._prefetch:
            self._prefetch.offer(body)

    def take_prefetched(self) -> tuple[PrefetchedText, ...]:
        """Return the prefetch requests that have ended since the last call."""
        return self._prefetch.take_finished() if self._prefetch else ()

    def wait_for_prefetch(self) -> None:
        """Wait until what was offered has been read (for measurements and tests)."""
        if self._prefetch:
            self._prefetch.wait()

    def write(
        self, body: Sequence[Part], limit: int, seed: int, alternatives: int = 0, position: int = 0
    ) -> Generator[WriteItem, None, None]:
        with self._call():
            request = CompletionRequest(limit, seed, self._sampling, alternatives, position=position)
            yield from self._write(body, request)

    def judge(self, body: Sequence[Part], question: str, choices: tuple[str, ...]) -> Judgement:
        if not self.card.returns_alternatives:
            raise EngineRefused(
                f"{self.card.name} on {self.card.location} gives no log-probabilities, so it cannot judge.",
                "Choose a policy that needs none, or serve the model with llama-server or vLLM.",
            )
        request = CompletionRequest(1, 0, replace(self._sampling, temperature=0.0), JUDGED_ALTERNATIVES, choices)
        judgement = Judgement.none(len(choices))
        with suppress(Cancelled), self._call():
            before: Handoff | None = None
            if not self.card.supports_truncation:
                # A request of its own for the body: the server keeps a checkpoint at the end of each prompt, and goes
                # back to it when the question is dropped.
                before = self._read(body)
            with closing(self._write(body, request, question)) as items:
                for item in items:
                    if isinstance(item, Handoff):
                        judgement = judgement._replace(handoff=_added(before, item) if before else item)
                    elif isinstance(item, Token):
                        found = judgement_of(item.alternatives, choices, self._protocol.choice_bias)
                        return found._replace(handoff=judgement.handoff)
        return judgement

    def score(self, body: Sequence[Part], start: int, alternatives: int = 0) -> Scores:
        if not self.card.returns_scores:
            raise no_scores(self.card)
        began = time.perf_counter()
        with suppress(Cancelled), self._call():
            connection = self._connection
            prompt = self._prompt_builder.with_body(body, connection.ask)
            before = self._prompt_builder.with_body(parts_before(body, start), connection.ask)
            first = next((n for n, (a, b) in enumerate(zip(prompt, before, strict=False)) if a != b), len(before))
            self._meter.allowed(1)
            sent, received = connection.bytes_sent, connection.bytes_received
            tokens = self._protocol.score(
                prompt, first, alternatives, lambda path, payload: connection.ask(path, payload, SCORE_SECONDS)
            )
            seconds = time.perf_counter() - began
            self._meter.add(
                RequestUsage(
                    sent=len(prompt),
                    read=len(prompt),
                    written=1,
                    bytes_sent=connection.bytes_sent - sent,
                    bytes_received=connection.bytes_received - received,
                    seconds_waited=seconds,
                )
            )
            return Scores(tokens, Handoff(0, len(prompt), seconds, passing_of(body, self.card.vocabulary)))
        return Scores()

    def cancel(self) -> None:
        self._cancelled = True  # before the connection is read: `_call` does it the other way round
        self._connection.halt()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self.cancel()
        if self._prefetch:
            self._prefetch.close()
        self._connection.close()
        self._status.close()
        self._engine.remove(self)

    # One call after another -----------------------------------------------------------------------------------------

    @contextmanager
    def _call(self) -> Iterator[None]:
        """Surround one call of this session: prefetching stops first, and the status shows how the call ended.

        Once the server is lost, nothing more is prefetched for this session.
        """
        if self._closed:
            raise EngineLost("This session was closed.", "Open a new one.")
        if self._prefetch:
            self._connection = self._prefetch.yield_to(self._connection)
        if self._cancelled:
            self._connection.halt()
        try:
            yield
        except EngineRefused as error:
            self._status.fail(ServerState.REFUSED, error.message)
            raise
        except EngineLost as error:
            if self._prefetch:
                self._prefetch.close()
            self._status.fail(ServerState.LOST, error.message)
            raise
        except (EngineError, GeneratorExit):
            self._status.set(ServerState.CONNECTED)
            raise
        else:
            self._status.set(ServerState.CONNECTED)

    def _read(self, body: Sequence[Part]) -> Handoff:
        handoff = Handoff(0, 0, 0.0)
        for item in self._write(body, CompletionRequest(0, 0, self._sampling)):
            if isinstance(item, Handoff):
                handoff = item
        return handoff

    def _write(
        self, body: Sequence[Part], request: CompletionRequest, question: str = ""
    ) -> Generator[WriteItem, None, None]:
        """Read and write. If the connection breaks, a new request continues after the last token that arrived."""
        passing = passing_of(body, self.card.vocabulary)
        kept: list[Token] = []
        retries = RetryState(self._retry_policy)
        is_noticed = False
        end = End(Stop.CANCELLED)
        pause = 0.0
        while True:
            try:
                if retries.failures:
                    self._connection.pause(pause)
                    self._protocol.check_model(self._connection.ask)
                so_far = (*body, *as_parts(kept, self.card.vocabulary))
                prompt = self._prompt_builder.with_body(so_far, self._connection.ask, question)
                if kept and len(kept) >= request.limit:
                    yield End(Stop.LIMIT)
                    return
                rest = replace(request, limit=request.limit - len(kept), position=request.position + len(kept))
                with closing(self._answer(prompt, rest, passing)) as items:
                    for item in items:
                        if isinstance(item, End):
                            end = item
                            break
                        if isinstance(item, Token):
                            kept.append(item)
                            retries.progressed()
                            is_noticed = False
                        yield item
                if end.stop is Stop.LIMIT and len(kept) < request.limit:
                    self._meter.allowed(1)  # a cap that cut the write short refuses the rest of it
                yield end
                return
            except Cancelled:
                yield End(Stop.CANCELLED)
                return
            except EngineLost as error:
                pause = retries.pause_after(error)
                self._status.fail(ServerState.RECONNECTING, error.message, retries.failures, self._retry_policy.tries)
                if not is_noticed:  # one line in the answer; the status shows each attempt
                    is_noticed = True
                    yield Notice(f"{error.message} {RETRYING}")

    def _answer(self, prompt: Prompt, request: CompletionRequest, passing: Passing) -> Generator[WriteItem, None, None]:
        """Send one request and yield a handoff, tokens, an end. Leaving it early closes the socket."""
        if request.limit:
            request = replace(request, limit=self._meter.allowed(request.limit))
        payload = self._protocol.payload(prompt, request, self._connection.ask)
        parser = self._protocol.answer_parser(self._connection.ask)
        reader = self._reader(self._connection, prompt)
        most_events = reader.most_events(request.limit)
        with (
            reader.metered(self._connection, self._meter),
            AnswerStream(self._connection, self._protocol.path, payload, most_events) as stream,
        ):
            written = 0
            for event in reader.events(stream, parser):
                if isinstance(event, Notice):
                    yield event
                    continue
                if isinstance(event, PromptProgress):
                    reused = event.reused or 0
                    if event.done < event.total:
                        yield PrefillProgress(event.done - reused, event.total - reused)
                    continue
                if handoff := reader.handoff(passing):
                    yield handoff
                if isinstance(event, StreamEnd):
                    yield End(event.stop)
                    return
                if written >= request.limit > 0:
                    yield End(Stop.LIMIT)  # the server did not stop there
                    return
                for token in event.tokens[: request.limit - written]:
                    written += 1
                    yield token

    def _reader(self, connection: HttpConnection, prompt: Prompt) -> ResponseReader:
        return ResponseReader(connection, self._retry_policy, self._status, self._restarts, prompt)

    def _refuse_beyond_context(self, tokens: int) -> None:
        if tokens >= self.card.context > 0:
            raise ContextFull(
                f"The question alone takes {tokens:,} tokens; {self.card.name} holds {self.card.context:,}.",
                "Shorten it, or start the server with a larger context (-c).",
            )


def _added(first: Handoff, second: Handoff) -> Handoff:
    """Add the costs of two requests for one text: what the first reused, and what both read."""
    read = first.prefilled + second.prefilled
    return Handoff(first.reused, read, first.seconds + second.seconds, second.passing)
