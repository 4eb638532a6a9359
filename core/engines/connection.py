"""Testing a connection with one click, and opening a server without knowing which kind it is."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from core.engines.base import ModelCard
from core.engines.llama_server import LlamaServerEngine
from core.engines.openai_completions import OpenAICompletionsEngine
from core.engines.remote.address import ServerAddress
from core.engines.remote.engine import RemoteEngine, RemoteOptions
from core.engines.remote.failures import KeyRefused, UntrustedWay
from core.engines.remote.line import Line
from core.engines.remote.state import Watcher
from core.engines.remote.vocabulary import same_vocabulary
from core.errors import BatonError, EngineLost, EngineRefused


class Vocabulary(Enum):
    """How the server's vocabulary relates to the other model's."""

    SAME = "same vocabulary: token ids are handed over"
    OTHER = "another vocabulary: text is handed over"
    UNKNOWN = "vocabulary not known: text is handed over"


@dataclass(frozen=True, slots=True)
class ConnectionReport:
    """What a test of a connection found, for a person; it may have failed at any point."""

    host: str
    reachable: bool
    key_accepted: bool | None = None
    """None: not known, since it was not reached."""
    card: ModelCard | None = None
    vocabulary: Vocabulary = Vocabulary.UNKNOWN
    slots: int | None = None
    free_slots: int | None = None
    milliseconds: float | None = None
    """Of a short question and its answer."""
    cannot: tuple[str, ...] = ()
    """What this server cannot do, a sentence each."""
    risks: tuple[str, ...] = ()
    problem: BatonError | None = None


def open_server(
    address: ServerAddress | str, options: RemoteOptions | None = None, watcher: Watcher | None = None
) -> RemoteEngine:
    """A llama-server by its own protocol, any other by OpenAI's. Raises EngineLost or EngineRefused."""
    try:
        return LlamaServerEngine(address, options, watcher)
    except (KeyRefused, UntrustedWay):
        raise
    except EngineRefused:
        return OpenAICompletionsEngine(address, options, watcher)


def try_connection(
    address: ServerAddress, options: RemoteOptions | None = None, probe_ids: Sequence[int] = ()
) -> ConnectionReport:
    """Try everything that a run would need, with a key against a protected page. Takes a second; writes nothing.

    `probe_ids`: remote.vocabulary.PROBE by the other model's tokenizer, to compare vocabularies.
    """
    try:
        engine = open_server(address, options)
    except KeyRefused as error:
        return ConnectionReport(address.host, True, False, risks=address.risks, problem=error)
    except EngineLost as error:
        return ConnectionReport(address.host, False, risks=address.risks, problem=error)
    except BatonError as error:
        return ConnectionReport(address.host, True, risks=address.risks, problem=error)
    line = engine.new_line()
    try:
        slots, free = _slots(line)
        return ConnectionReport(
            address.host,
            reachable=True,
            key_accepted=True,
            card=engine.card,
            vocabulary=_compare(engine.card, probe_ids),
            slots=slots,
            free_slots=free,
            milliseconds=_latency(line),
            cannot=_cannot(engine.card),
            risks=address.risks,
        )
    except EngineLost as error:
        return ConnectionReport(address.host, True, True, engine.card, risks=address.risks, problem=error)
    finally:
        line.close()
        engine.close()


def _slots(line: Line) -> tuple[int | None, int | None]:
    """All and free slots; a llama-server may be started with --no-slots, and others have no such thing."""
    try:
        slots = line.ask_list("/slots")
    except EngineRefused:
        return None, None
    return len(slots), sum(not slot.flag("is_processing") for slot in slots)


def _latency(line: Line) -> float:
    began = time.perf_counter()
    line.ask("/v1/models")
    return (time.perf_counter() - began) * 1000


def _compare(card: ModelCard, probe_ids: Sequence[int]) -> Vocabulary:
    if not probe_ids or not card.vocabulary:
        return Vocabulary.UNKNOWN
    return Vocabulary.SAME if same_vocabulary(card, probe_ids) else Vocabulary.OTHER


def _cannot(card: ModelCard) -> tuple[str, ...]:
    cannot = []
    if not card.gives_ids:
        cannot.append("It gives no token ids: each handoff is text, tokenised anew.")
    if not card.gives_alternatives:
        cannot.append("It gives no log-probabilities: policies by entropy or score are not available.")
    return tuple(cannot)
