"""Opens a server of unknown kind, and tests a connection for a person."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import NamedTuple

from core.engines.model_card import ModelCard
from core.engines.remote.address import ServerAddress
from core.engines.remote.engine import RemoteEngine, RemoteOptions
from core.engines.remote.failures import KeyRefused, NotReady, UntrustedServer
from core.engines.remote.llama_server import LlamaServerEngine
from core.engines.remote.openai_completions import OpenAICompletionsEngine
from core.engines.remote.state import StatusCallback
from core.engines.remote.transport import HttpConnection
from core.engines.remote.vocabulary import same_vocabulary
from core.errors import BatonError, EngineLost, EngineRefused


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
    reachable: bool
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
    problem: BatonError | None = None
    has_key: bool = False
    """Whether one was sent."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Everything but the problem, as text, in the order of the test."""
        return tuple(self._findings())

    def _findings(self) -> Iterator[Finding]:
        yield Finding(Severity.GOOD, "reachable") if self.reachable else Finding(Severity.BAD, "not reachable")
        if self.key_accepted is not None:
            accepted = "key accepted" if self.has_key else "no key needed"
            yield Finding(Severity.GOOD, accepted) if self.key_accepted else Finding(Severity.BAD, "key not accepted")
        if card := self.card:
            yield Finding(Severity.GOOD, f"serves {card.name}")
            yield Finding(Severity.PLAIN, f"{card.context:,} tokens of context for each text")
            same = self.vocabulary is VocabularyMatch.SAME
            yield Finding(Severity.GOOD if same else Severity.PLAIN, self.vocabulary.value)
        if self.slots:
            free = f"{self.free_slots} of {self.slots} slots free"
            yield Finding(Severity.PLAIN if self.free_slots else Severity.WARNING, free)
        if self.milliseconds is not None:
            yield Finding(Severity.PLAIN, f"answers in {self.milliseconds:.0f} ms")
        for sentence in (*self.cannot, *self.risks):
            yield Finding(Severity.WARNING, sentence)


def open_server(
    address: ServerAddress | str, options: RemoteOptions | None = None, on_status: StatusCallback | None = None
) -> RemoteEngine:
    """Open a llama-server through its own protocol, any other through OpenAI's. Raises EngineLost, EngineRefused."""
    try:
        return LlamaServerEngine(address, options, on_status)
    except (KeyRefused, UntrustedServer):
        raise
    except EngineRefused:
        return OpenAICompletionsEngine(address, options, on_status)


def try_connection(
    address: ServerAddress, options: RemoteOptions | None = None, probe_ids: Sequence[int] = ()
) -> ConnectionReport:
    """Test everything that a run needs; the key is tested at a protected endpoint. Takes a second; writes nothing.

    `probe_ids`: remote.vocabulary.PROBE by the other model's tokenizer, to compare vocabularies.
    """
    report = partial(ConnectionReport, address.host, risks=address.risks, has_key=bool(address.key))
    try:
        engine = open_server(address, options)
    except KeyRefused as error:
        return report(reachable=True, key_accepted=False, problem=error)
    except EngineLost as error:
        return report(reachable=isinstance(error, NotReady), problem=error)
    except BatonError as error:
        return report(reachable=True, problem=error)
    connection = engine.new_connection()
    try:
        slots, free = _slots(connection)
        return report(
            reachable=True,
            key_accepted=True,
            card=engine.card,
            vocabulary=_compare(engine.card, probe_ids),
            slots=slots,
            free_slots=free,
            milliseconds=_latency(connection),
            cannot=_cannot(engine.card),
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
