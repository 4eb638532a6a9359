"""Opens a server of unknown kind, tests a connection for a person, and joins several servers to one engine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial, reduce
from typing import NamedTuple

from baton_reasoning.core.engines.base import Attach, Conversation, ignore
from baton_reasoning.core.engines.model_card import ModelCard
from baton_reasoning.core.engines.remote.connection import (
    HttpConnection,
    KeyRefused,
    NotReady,
    ServerAddress,
    UnknownModel,
    UntrustedServer,
)
from baton_reasoning.core.engines.remote.engine import RemoteEngine, RemoteOptions, RemoteSession
from baton_reasoning.core.engines.remote.llama_server import LlamaServerEngine, ModelNotLoaded, load_model
from baton_reasoning.core.engines.remote.openai import OpenAICompletionsEngine, ServedModel, served_models
from baton_reasoning.core.engines.remote.protocol import same_vocabulary
from baton_reasoning.core.engines.remote.status import ServerStatus, StatusCallback, most_important
from baton_reasoning.core.engines.usage import Cap, Usage, UsageMeter
from baton_reasoning.core.errors import BatonError, EngineLost, EngineRefused
from baton_reasoning.core.models.overrides import Sampling
from baton_reasoning.core.models.source import ServerUrls
from baton_reasoning.core.text import one_line


class ServerPool:
    """An Engine made of engines that serve the same model. A batch spreads over them by opening its sessions."""

    def __init__(self, engines: Sequence[RemoteEngine]) -> None:
        """The lowest of their caps applies to all together.

        Raises EngineRefused if they do not all have one vocabulary and one name, and can do the same.
        """
        first, *others = engines
        for engine in others:
            if (engine.card.name, engine.card.vocabulary) != (first.card.name, first.card.vocabulary):
                raise EngineRefused(
                    f"{engine.address.host} serves {engine.card.name}, and {first.address.host} {first.card.name}.",
                    "Servers that share the work have to serve the same model.",
                )
            if _abilities(engine.card) != _abilities(first.card):
                raise EngineRefused(
                    f"{engine.address.host} and {first.address.host} differ in speculative decoding, in the "
                    f"probabilities that they give, or in how {first.card.name} thinks.",
                    "Start servers that share the work with the same options and chat template.",
                )
        self.engines = tuple(engines)
        cap = reduce(Cap.tightest, (engine.options.cap for engine in engines))
        self._meter = UsageMeter(first.options.prices, cap, "all servers together")
        for engine in engines:
            engine.meter.join(self._meter)
        self._lock = threading.Lock()

    @property
    def card(self) -> ModelCard:
        """The card of the server with the smallest context."""
        smallest = min(self.engines, key=lambda engine: engine.card.context)
        return replace(smallest.card, source=ServerUrls(tuple(engine.address.url for engine in self.engines)))

    @property
    def usage(self) -> Usage:
        """Usage of all servers together, at the prices of each."""
        return self._meter.usage

    @property
    def status(self) -> ServerStatus:
        """The most important status among the servers."""
        return most_important(engine.status for engine in self.engines)

    def ping(self) -> None:
        """Ask each server whether it is there."""
        for engine in self.engines:
            engine.ping()

    def open(
        self, conversation: Conversation, sampling: Sampling, attach: Attach = ignore, *, thinks: bool = True
    ) -> RemoteSession:
        """Open a session on the least busy server that answers. Raises EngineLost if none does."""
        lost: EngineLost | None = None
        for engine in self._by_load():
            try:
                return engine.open(conversation, sampling, attach, thinks=thinks)
            except EngineLost as error:
                lost = error
        raise lost or EngineLost("No server is left.", "Start one.")

    def adopt_vocabulary(self, vocabulary: str, probe_ids: Sequence[int]) -> bool:
        """Let each server adopt another model's vocabulary, as `RemoteEngine.adopt_vocabulary` does."""
        return all(engine.adopt_vocabulary(vocabulary, probe_ids) for engine in self.engines)

    def close(self) -> None:
        for engine in self.engines:
            engine.close()

    def _by_load(self) -> list[RemoteEngine]:
        with self._lock:
            return sorted(self.engines, key=lambda engine: len(engine.sessions))


def _abilities(card: ModelCard) -> tuple[object, ...]:
    """Return what a policy relies on, whichever server a session is opened on."""
    return card.drafts, card.returns_alternatives, card.returns_scores, card.thinking, card.switches_thinking


class VocabularyMatch(Enum):
    """Whether the server's vocabulary is the same as the other model's."""

    SAME = "same vocabulary: token ids are handed over"
    OTHER = "another vocabulary: text is handed over"
    UNKNOWN = "vocabulary not known: text is handed over"


class Severity(Enum):
    """How good or bad a finding is."""

    GOOD = "good"
    BAD = "bad"
    WARNING = "warning"
    PLAIN = "plain"


class Finding(NamedTuple):
    severity: Severity
    text: str


@dataclass(frozen=True, slots=True)
class ConnectionReport:
    """The result of a connection test; fields after the point of failure are None."""

    host: str
    reachable: bool | None
    """None: nothing was tried, because the server's settings are wrong."""
    key_accepted: bool | None = None
    """None: not known, because the server was not reached."""
    card: ModelCard | None = None
    vocabulary: VocabularyMatch = VocabularyMatch.UNKNOWN
    slots: int | None = None
    free_slots: int | None = None
    milliseconds: float | None = None
    """Latency of a short request."""
    cannot: tuple[str, ...] = ()
    """Missing capabilities, a sentence each."""
    risks: tuple[str, ...] = ()
    models: tuple[ServedModel, ...] = ()
    """All that the server has, if there are several."""
    problem: BatonError | None = None
    has_key: bool = False
    """Whether one was sent."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Everything but the problem, as text, in the order of the test."""
        return tuple(self._findings())

    def _findings(self) -> Iterator[Finding]:
        if self.reachable is not None:
            yield Finding(Severity.GOOD, "reachable") if self.reachable else Finding(Severity.BAD, "not reachable")
        if self.key_accepted is not None:
            accepted = "key accepted" if self.has_key else "no key needed"
            yield Finding(Severity.GOOD, accepted) if self.key_accepted else Finding(Severity.BAD, "key not accepted")
        for model in self.models:
            yield Finding(Severity.PLAIN, f"has {one_line(model.name)}{f' ({model.status})' if model.status else ''}")
        if card := self.card:
            yield Finding(Severity.GOOD, f"serves {card.name}")
            yield Finding(Severity.PLAIN, f"{card.context:,} tokens of context for each text")
            same = self.vocabulary is VocabularyMatch.SAME
            yield Finding(Severity.GOOD if same else Severity.PLAIN, self.vocabulary.value)
            if card.drafting:
                yield Finding(Severity.PLAIN, f"writes by speculative decoding ({card.drafting})")
        if self.slots:
            free = f"{self.free_slots} of {self.slots} slots free"
            yield Finding(Severity.PLAIN if self.free_slots else Severity.WARNING, free)
        if self.milliseconds is not None:
            yield Finding(Severity.PLAIN, f"answers in {self.milliseconds:.0f} ms")
        for sentence in (*self.cannot, *self.risks):
            yield Finding(Severity.WARNING, sentence)


def open_server(
    address: ServerAddress | str,
    options: RemoteOptions | None = None,
    on_status: StatusCallback | None = None,
    on_wait: Callable[[str], object] = lambda _: None,
) -> RemoteEngine:
    """Open a llama-server through its own protocol, any other through OpenAI's.

    A router loads the model first: `on_wait` is called with what is waited for; raising a BatonError there ends the
    wait. Raises EngineLost, EngineRefused.
    """
    address, options = ServerAddress(address) if isinstance(address, str) else address, options or RemoteOptions()
    try:
        return LlamaServerEngine(address, options, on_status)
    except ModelNotLoaded as error:
        load_model(address, error.model, options.retry_policy, on_wait)
        return LlamaServerEngine(address, options, on_status)
    except (KeyRefused, UntrustedServer, UnknownModel):
        raise
    except EngineRefused:
        return OpenAICompletionsEngine(address, options, on_status)


def try_connection(
    address: ServerAddress,
    options: RemoteOptions | None = None,
    probe_ids: Sequence[int] = (),
    on_wait: Callable[[str], object] = lambda _: None,
) -> ConnectionReport:
    """Test everything that a run needs; the key is tested at a protected endpoint. Writes nothing.

    Takes a second, unless a router has to load the model: see `open_server` for `on_wait`.
    `probe_ids`: remote.vocabulary.PROBE by the other model's tokenizer, to compare vocabularies.
    """
    options = options or RemoteOptions()
    report = partial(ConnectionReport, address.host, risks=address.risks, has_key=bool(address.key))
    try:
        engine = open_server(address, options, on_wait=on_wait)
    except KeyRefused as error:
        return report(reachable=True, key_accepted=False, problem=error)
    except UnknownModel as error:
        with closing(HttpConnection(address, options.retry_policy, address.tls())) as connection:
            return report(reachable=True, key_accepted=True, models=served_models(connection.ask), problem=error)
    except EngineLost as error:
        return report(reachable=isinstance(error, NotReady), problem=error)
    except BatonError as error:
        return report(reachable=True, problem=error)
    connection = engine.new_connection()
    try:
        slots, free = _slots(connection)
        models = served_models(connection.ask)
        return report(
            reachable=True,
            key_accepted=True,
            card=engine.card,
            vocabulary=_compare(engine.card, probe_ids),
            slots=slots,
            free_slots=free,
            milliseconds=connection.ping(),
            cannot=_cannot(engine.card),
            models=models if len(models) > 1 else (),
        )
    except EngineLost as error:
        return report(reachable=True, key_accepted=True, card=engine.card, problem=error)
    finally:
        connection.close()
        engine.close()


def _slots(connection: HttpConnection) -> tuple[int | None, int | None]:
    """Count all slots and free slots; None for other servers, and for a llama-server with --no-slots."""
    try:
        slots = connection.ask_list("/slots")
    except EngineRefused:
        return None, None
    return len(slots), sum(not slot.flag("is_processing") for slot in slots)


def _compare(card: ModelCard, probe_ids: Sequence[int]) -> VocabularyMatch:
    if not probe_ids or not card.vocabulary:
        return VocabularyMatch.UNKNOWN
    return VocabularyMatch.SAME if same_vocabulary(card, probe_ids) else VocabularyMatch.OTHER


def _cannot(card: ModelCard) -> tuple[str, ...]:
    cannot = []
    if not card.returns_token_ids:
        cannot.append("It gives no token ids: each handoff passes text, which is tokenised again.")
    if not card.returns_alternatives:
        cannot.append("It gives no log-probabilities: policies by entropy or score are not available.")
    if not card.supports_truncation:
        cannot.append("This server cannot undo tokens, so each handoff reads the last step again (slower).")
    return tuple(cannot)
