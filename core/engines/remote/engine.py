"""A model on a server: `RemoteEngine` opens sessions, a `RemoteSession` reads, writes and judges one text."""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import cast

from baton_reasoning.core.engines import base
from baton_reasoning.core.engines.abilities import Ability
from baton_reasoning.core.engines.base import End, Handoff, Messages, ModelCard, Notice, Token, WriteItem
from baton_reasoning.core.engines.body import Part, parts_before
from baton_reasoning.core.engines.remote import protocol
from baton_reasoning.core.engines.remote.billing import Cap, Prices, UsageMeter
from baton_reasoning.core.engines.remote.connection import HttpConnection, RetryPolicy, RetryState, ServerAddress
from baton_reasoning.core.engines.remote.protocol import Ask, CompletionRequest, Prompt
from baton_reasoning.core.engines.remote.status import (
    RETRYING,
    ServerState,
    ServerStatus,
    StatusCallback,
    StatusTracker,
)
from baton_reasoning.core.engines.remote.stream import StreamedAnswer
from baton_reasoning.core.engines.usage import PrefetchedText, RequestUsage, Usage
from baton_reasoning.core.errors import Cancelled, ContextFull, EngineError, EngineLost, EngineRefused
from baton_reasoning.core.models.overrides import ModelOverrides
from baton_reasoning.core.models.sampling import Sampling
from baton_reasoning.core.models.source import ServerUrls

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
    """None: if the server is another machine, has no prices, and reports what it reuses, since each prefetch sends the
    whole text. True for one on this machine with a device of its own."""
    overrides: ModelOverrides = field(default_factory=ModelOverrides)


class RemoteEngine:
    """An Engine over HTTP. A subclass finds out what its kind of server can do, in `detect`."""

    def __init__(
        self,
        address: ServerAddress,
        options: RemoteOptions | None = None,
        on_status: StatusCallback | None = None,
    ) -> None:
        """Connect. `on_status` is called at each change of state. Raises EngineLost or EngineRefused."""
        self.address = address
        self.options = options or RemoteOptions()
        self.status_tracker = StatusTracker(on_status)
        self._tls = self.address.tls()
        self.meter = UsageMeter(self.options.prices, self.options.cap, self.address.host)
        """Counts the usage of all sessions, closed ones included."""
        self.sessions: set[RemoteSession] = set()
        """Those that are open."""
        self._closing = threading.Event()
        self._connection = HttpConnection(self.address, self.options.retry_policy, self._tls)
        try:
            self.protocol = self.detect(self._connection.ask)
            supports_prefetch = self._supports_prefetch()
        except EngineError:
            self._connection.close()
            raise
        # What the person set for the model takes precedence.
        overrides = self.options.overrides
        self.protocol.card = replace(
            self.card,
            source=ServerUrls((self.address.url,)),
            thinking=overrides.thinking_tags(self.card.thinking),
            overrides=overrides,
        ).with_abilities({Ability.PREFETCH: supports_prefetch})

    def _supports_prefetch(self) -> bool:
        chosen = self.options.supports_prefetch
        if chosen is not None:
            return chosen
        is_free = not self.address.is_this_machine and self.options.prices.are_free
        return is_free and self.protocol.reports_reuse(self._connection.ask)

    def detect(self, ask: Ask) -> protocol.ServerProtocol:
        """Ask the server what it is. Raises EngineError."""
        raise NotImplementedError

    @property
    def card(self) -> ModelCard:
        return self.protocol.card

    @property
    def status(self) -> ServerStatus:
        """What the server is doing for its sessions, with the progress of the prompt."""
        return self.status_tracker.status

    def ping(self) -> None:
        """Ask whether the server is there, so that its status stays true while no session uses it. Blocks a moment."""
        found = ServerStatus()
        with closing(self.new_connection()) as connection:
            try:
                connection.ask("/v1/models")
            except EngineLost as error:
                found = ServerStatus(ServerState.LOST, reason=error.message)
            except EngineError:
                return  # it is there, and refuses this question
        if not self._closing.is_set():
            self.status_tracker.record_ping(found)

    def open(
        self, conversation: Messages, sampling: Sampling, attach: base.Attach = base.ignore, *, thinks: bool = True
    ) -> RemoteSession:
        return RemoteSession(self, conversation, sampling, attach, thinks=thinks)

    def close(self) -> None:
        self._closing.set()
        for session in tuple(self.sessions):
            session.close()
        self._connection.halt()
        self._connection.close()

    def adopt_vocabulary(self, vocabulary: str, probe_ids: Sequence[int]) -> bool:
        """Adopt the name of another model's vocabulary if it is the same, so that token ids can be handed over.

        `vocabulary`: the hash on the other model's card. `probe_ids`: `remote.protocol.PROBE` by its tokenizer,
        control tokens recognised, without BOS. Call it before sessions are opened.
        """
        same = self.card.vocabulary == protocol.fingerprint(probe_ids)
        if same:
            self.protocol.card = replace(self.card, vocabulary=vocabulary)
        return same

    def new_connection(self) -> HttpConnection:
        return HttpConnection(self.address, self.options.retry_policy, self._tls, self._connection.model)


class RemoteSession:
    """A session on a server, which keeps the KV cache and finds the longest prefix that it has read before."""

    def __init__(
        self, engine: RemoteEngine, conversation: Messages, sampling: Sampling, attach: base.Attach, *, thinks: bool
    ) -> None:
        """`attach` is called before the first question to the server. Raises EngineError."""
        self._engine = engine
        self._thinks = thinks
        self._protocol = engine.protocol
        self._retry_policy = engine.options.retry_policy
        self._sampling = sampling
        self._connection = engine.new_connection()
        self._meter = UsageMeter(engine.options.prices, whole=engine.meter)
        self._show = partial(engine.status_tracker.set, self)
        self._has_read = False
        self._other_model: EngineRefused | None = None
        """Set once the server was found to have been restarted with another model."""
        self._closed = False
        self._prefetch = Prefetch(engine.new_connection(), self._read_ahead)
        self._prefetched: deque[PrefetchedText] = deque()
        """Prefetch requests that have ended, until somebody takes them."""
        self._settled_length = -1
        """Number of the parts that were offered last, if only settled text is offered; −1 if none were."""
        self._last_answer: StreamedAnswer | None = None
        self._last_read: Prompt = ""
        """What the server is known to have read last, as far as it reports what it reuses."""
        try:
            engine.sessions.add(self)
            attach(self)
            self._prompt_builder = self._rendered(conversation)
            if self.prompt_tokens >= self.card.context > 0:
                raise ContextFull(
                    f"The question alone takes {self.prompt_tokens:,} tokens; {self.card.name} holds "
                    f"{self.card.context:,}.",
                    "Shorten it, or start the server with a larger context (-c).",
                )
        except BaseException:
            self.close()
            raise

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
        if self._prefetch.is_closed:
            return
        self._connection.open_ahead()
        abilities = self.card.abilities
        if not (Ability.PREFETCH in abilities or self._prompt_builder.tokenizes(body)):
            return
        if not abilities >= {Ability.PREFETCH, Ability.TRUNCATION}:
            body = settled(body)
            if len(body) == self._settled_length:
                return  # that much was offered before; at first, the conversation alone is read
            self._settled_length = len(body)
        self._prefetch.offer(body)

    def take_prefetched(self) -> tuple[PrefetchedText, ...]:
        """Return the prefetch requests that have ended since the last call."""
        return tuple(self._prefetched.popleft() for _ in range(len(self._prefetched)))

    def write(
        self, body: Sequence[Part], limit: int, seed: int, alternatives: int = 0, position: int = 0, entropy: int = 0
    ) -> Generator[WriteItem, None, None]:
        with self._call():
            listed = max(alternatives, entropy)
            request = CompletionRequest(limit, seed, self._sampling, listed, position=position)
            yield from self._write(body, request)

    def judge(self, body: Sequence[Part], question: str, choices: tuple[str, ...]) -> base.Judgement:
        self._refuse_without(Ability.JUDGEMENTS)
        request = CompletionRequest(1, 0, replace(self._sampling, temperature=0.0), JUDGED_ALTERNATIVES, choices)
        judgement = base.Judgement.none(len(choices))
        with suppress(Cancelled), self._call():
            # Without truncation, a separate request reads the body: the server keeps a checkpoint at the end of each
            # prompt, and goes back to it when the question is dropped.
            before = None if Ability.TRUNCATION in self.card.abilities else self._read(body)
            with closing(self._write(body, request, question)) as items:
                for item in items:
                    if isinstance(item, Handoff):
                        judgement = judgement._replace(handoff=_added(before, item) if before else item)
                    elif isinstance(item, Token):
                        found = protocol.judgement_of(item.alternatives, choices)
                        return found._replace(handoff=judgement.handoff)
        return judgement

    def score(self, body: Sequence[Part], start: int, alternatives: int = 0) -> base.Scores:
        self._refuse_without(Ability.SCORES)
        began = time.perf_counter()
        with suppress(Cancelled), self._call():
            connection = self._connection
            prompt = cast("tuple[int, ...]", self._prompt_builder.with_body(body, connection.ask))
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
            return base.Scores(
                tokens, Handoff(0, len(prompt), seconds, protocol.passing_of(body, self.card.vocabulary))
            )
        return base.Scores()

    def _refuse_without(self, ability: Ability) -> None:
        if ability not in self.card.abilities:
            raise EngineRefused(
                f"{self.card.name} on {self.card.location} {ability.lack}.",
                "Choose a policy that needs none, a model on this machine, or serve it with vLLM.",
            )

    def cancel(self) -> None:
        self._connection.halt()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self.cancel()
        self._prefetch.close()
        self._connection.close()
        self._engine.status_tracker.close(self)
        self._engine.sessions.discard(self)

    # One call after another -----------------------------------------------------------------------------------------

    @contextmanager
    def _call(self) -> Iterator[None]:
        """Surround one call of this session: prefetching stops first, and the status shows how the call ended.

        A call that ends early has cut its connection, so the next one is opened. Once the server is lost, nothing more
        is prefetched for this session.
        """
        if self._closed:
            raise EngineLost("This session was closed.", "Open a new one.")
        self._prefetch.end_reading()
        status = ServerStatus()
        try:
            yield
        except EngineRefused as error:
            status = ServerStatus(ServerState.REFUSED, reason=error.message)
            raise
        except EngineLost as error:
            self._prefetch.close()
            status = ServerStatus(ServerState.LOST, reason=error.message)
            raise
        finally:
            self._show(status)
            if status == ServerStatus():
                self._connection.open_ahead()

    def _read(self, body: Sequence[Part]) -> Handoff:
        items = self._write(body, CompletionRequest(0, 0, self._sampling))
        handoffs = [item for item in items if isinstance(item, Handoff)]
        return handoffs[-1] if handoffs else Handoff(0, 0, 0.0)

    def _write(
        self, body: Sequence[Part], request: CompletionRequest, question: str = ""
    ) -> Generator[WriteItem, None, None]:
        """Read and write. If the connection breaks, a new request continues after the last token that arrived."""
        retries = RetryState(self._retry_policy)

        def attempt(arrived: list[Token]) -> Generator[WriteItem, None, None]:
            if retries.errors:
                self._connection.pause(retries.pause)
                self._protocol.check_model(self._connection.ask)
            so_far = (*body, *protocol.as_parts(arrived, self.card.vocabulary))
            prompt = self._prompt_builder.with_body(so_far, self._connection.ask, question)
            if arrived and len(arrived) >= request.limit:
                yield End(base.Stop.LIMIT)
                return
            rest = replace(request, limit=request.limit - len(arrived), position=request.position + len(arrived))
            yield from self._answer(prompt, rest, protocol.passing_of(body, self.card.vocabulary), retries)

        def repair(error: EngineLost) -> Generator[Notice, None, None]:
            retries.count(error)
            self._show(ServerStatus(ServerState.RECONNECTING, reason=error.message))
            if retries.errors == 1:  # one line in the answer
                yield Notice(f"{error.message} {RETRYING}")

        try:
            yield from base.continued(attempt, repair)
        except Cancelled:
            yield End(base.Stop.CANCELLED)

    def _answer(
        self, prompt: Prompt, request: CompletionRequest, passing: base.Passing, retries: RetryState
    ) -> Generator[WriteItem, None, None]:
        """Send one request and yield a handoff, tokens, an end. Leaving it early closes the socket."""
        allowed = self._meter.allowed(request.limit) if request.limit else 0
        answer = self._new_answer(self._connection, prompt)
        written = 0
        with closing(answer.items(self._protocol, replace(request, limit=allowed), self._meter, passing)) as items:
            for item in items:
                if isinstance(item, Token):
                    written += 1
                    retries.progressed()
                elif item == End(base.Stop.LIMIT) and written < request.limit:
                    self._meter.allowed(1)  # a cap that shortened the write refuses the rest of it
                yield item

    def _new_answer(self, connection: HttpConnection, prompt: Prompt) -> StreamedAnswer:
        if self._last_answer:
            self._last_read = self._last_answer.read_by_report or self._last_read
        policy, earlier = self._retry_policy, self._last_read
        self._last_answer = StreamedAnswer(connection, policy, self._show, self._check_restart, prompt, earlier)
        return self._last_answer

    def _check_restart(self, reused: int | None, connection: HttpConnection) -> None:
        """Ask a server for its model if it reused no token of a text that it has read before: it may have restarted.

        Another session may also have taken the slot, but then the prefill costs more than the question. A refusal is
        raised at every later request too, since the other model may have read the text meanwhile.
        """
        if self._other_model:
            raise self._other_model
        if reused == 0 and self._has_read:
            try:
                with connection.sibling() as sibling:
                    self._protocol.check_model(sibling.ask)
            except EngineRefused as refusal:
                self._other_model = refusal
                raise
        self._has_read = True

    def _read_ahead(self, connection: HttpConnection, body: Sequence[Part]) -> None:
        """Tokenise a body, and read it into the KV cache if it may be prefetched, in a thread. Raises EngineError."""
        prompt = self._prompt_builder.with_body(body, connection.ask)
        if Ability.PREFETCH not in self.card.abilities:
            return
        self._meter.allowed(1)
        if not isinstance(prompt, str):
            prompt = prompt[:-HELD_BACK]
        answer = self._new_answer(connection, prompt)
        try:
            for _ in answer.items(self._protocol, CompletionRequest(0, 0, Sampling()), self._meter):
                pass
        finally:
            self._prefetched.append(answer.as_prefetched())
            self._show(ServerStatus())

    def _rendered(self, conversation: Messages) -> protocol.PromptBuilder:
        """Render the conversation; again while the server is lost or not ready, as often as the policy allows."""
        retries = RetryState(self._retry_policy)
        while True:
            try:
                return self._protocol.prompt_builder(conversation, self._connection.ask, self._thinks)
            except EngineLost as error:
                retries.count(error)
            self._connection.pause(retries.pause)


def _added(first: Handoff, second: Handoff) -> Handoff:
    """Add the costs of two requests for one text: what the first reused, and what both read."""
    read = first.prefilled + second.prefilled
    return Handoff(first.reused, read, first.seconds + second.seconds, second.passing)


_BOUNDARY = re.compile(r"\n[ \t]*\n\s*")
HELD_BACK = 1
"""Last tokens that are not prefetched: later text may retokenise them, and some caches cannot be truncated."""


def settled(body: Sequence[Part]) -> Sequence[Part]:
    """Return the body up to its last step boundary (a run of two or more newlines).

    What follows may be a lookahead that is discarded. A cache that cannot be truncated would then be prefilled from
    the beginning, so only settled text is prefetched into it.
    """
    ends = [match.end() for match in _BOUNDARY.finditer("".join(part.text for part in body))]
    if not ends:
        return ()
    length = 0
    for count, part in enumerate(body):
        length += len(part.text)
        if length > ends[-1]:
            return body[:count]
    return body


class Prefetch:
    """Reads the text so far while the small model writes, in a thread that ends when nothing is left to read.

    It is only a hint: the newest text wins, a real request ends it, and the next request reports its failures.
    """

    def __init__(self, connection: HttpConnection, read: Callable[[HttpConnection, Sequence[Part]], None]) -> None:
        """`connection`: for these requests alone. `read`: sends one, and raises EngineError."""
        self._connection = connection
        self._read = read
        self._lock = threading.Lock()
        self._newest: Sequence[Part] | None = None
        self._thread: threading.Thread | None = None
        """Runs while there is a text to read. After a fault it stays here, so that no other is started."""
        self.is_closed = False

    def offer(self, body: Sequence[Part]) -> None:
        """Offer a text to be read; the newest one wins. Never blocks for longer than a lock is held."""
        with self._lock:
            self._newest = body
            if not (self._thread or self.is_closed):
                self._thread = threading.Thread(
                    target=self._run, name=f"prefetch on {self._connection.host}", daemon=True
                )
                self._thread.start()

    def close(self) -> None:
        self.is_closed = True
        self.end_reading()
        self._connection.close()

    def end_reading(self) -> None:
        """Leave the server to a real request."""
        with self._lock:
            self._newest = None
            thread = self._thread
            if thread:
                self._connection.halt()
        if thread:
            thread.join()
            self._connection.resume()

    def _run(self) -> None:
        while (body := self._next_offer()) is not None:
            try:
                self._read(self._connection, body)
            except EngineRefused:
                self.is_closed = True  # a cap is reached, or the model is another: it would be refused again
            except EngineError:
                continue  # broken or halted: the next offer tries again, the next real request reports it

    def _next_offer(self) -> Sequence[Part] | None:
        """Take the newest text; None, and the thread ends, if there is none or nothing more is to be read."""
        with self._lock:
            body, self._newest = self._newest, None
            if body is None or self.is_closed:
                self._thread = None
                return None
            return body
