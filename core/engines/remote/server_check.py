"""Opens a server of unknown kind, and tests a connection for a person."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import NamedTuple

from baton_reasoning.core.engines.base import ModelCard
from baton_reasoning.core.engines.remote.address import ServerAddress
from baton_reasoning.core.engines.remote.engine import RemoteEngine, RemoteOptions
from baton_reasoning.core.engines.remote.failures import KeyRefused, NotReady, UnknownModel, UntrustedServer
from baton_reasoning.core.engines.remote.llama_server import LlamaServerEngine
from baton_reasoning.core.engines.remote.openai_completions import OpenAICompletionsEngine, ServedModel, served_models
from baton_reasoning.core.engines.remote.router import ModelNotLoaded, load_model
from baton_reasoning.core.engines.remote.state import StatusCallback
from baton_reasoning.core.engines.remote.transport import HttpConnection
from baton_reasoning.core.engines.remote.vocabulary import same_vocabulary
from baton_reasoning.core.errors import BatonError, EngineLost, EngineRefused
from baton_reasoning.core.text import one_line


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
            milliseconds=_latency(connection),
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


def _latency(connection: HttpConnection) -> float:
    began = time.perf_counter()
    connection.ask("/v1/models")
    return (time.perf_counter() - began) * 1000


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
