"""Testing a connection with one click, and opening a server without knowing which kind it is."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import NamedTuple

from core.engines.base import ModelCard
from core.engines.llama_server import LlamaServerEngine
from core.engines.openai_completions import OpenAICompletionsEngine
from core.engines.remote.address import ServerAddress
from core.engines.remote.engine import RemoteEngine, RemoteOptions
from core.engines.remote.failures import KeyRefused, NotReady, UntrustedWay
from core.engines.remote.line import Line
from core.engines.remote.state import Watcher
from core.engines.remote.vocabulary import same_vocabulary
from core.errors import BatonError, EngineLost, EngineRefused


class Vocabulary(Enum):
    """How the server's vocabulary relates to the other model's."""

    SAME = "same vocabulary: token ids are handed over"
    OTHER = "another vocabulary: text is handed over"
    UNKNOWN = "vocabulary not known: text is handed over"


class Verdict(Enum):
    """What a finding means for a person who wants to use the server."""

    GOOD = "good"
    BAD = "bad"
    WARNING = "warning"
    PLAIN = "plain"


class Finding(NamedTuple):
    verdict: Verdict
    words: str


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
    has_key: bool = False
    """Whether one was sent."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All of it but the problem in words, one finding a line, in the order in which it was tried."""
        return tuple(self._findings())

    def _findings(self) -> Iterator[Finding]:
        yield Finding(Verdict.GOOD, "reachable") if self.reachable else Finding(Verdict.BAD, "not reachable")
        if self.key_accepted is not None:
            words = "key accepted" if self.has_key else "no key needed"
            yield Finding(Verdict.GOOD, words) if self.key_accepted else Finding(Verdict.BAD, "key not accepted")
        if card := self.card:
            yield Finding(Verdict.GOOD, f"serves {card.name}")
            yield Finding(Verdict.PLAIN, f"{card.context:,} tokens of context for each text")
            same = self.vocabulary is Vocabulary.SAME
            yield Finding(Verdict.GOOD if same else Verdict.PLAIN, self.vocabulary.value)
        if self.slots:
            words = f"{self.free_slots} of {self.slots} slots free"
            yield Finding(Verdict.PLAIN if self.free_slots else Verdict.WARNING, words)
        if self.milliseconds is not None:
            yield Finding(Verdict.PLAIN, f"answers in {self.milliseconds:.0f} ms")
        for sentence in (*self.cannot, *self.risks):
            yield Finding(Verdict.WARNING, sentence)


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
    report = partial(ConnectionReport, address.host, risks=address.risks, has_key=bool(address.key))
    try:
        engine = open_server(address, options)
    except KeyRefused as error:
        return report(reachable=True, key_accepted=False, problem=error)
    except EngineLost as error:
        return report(reachable=isinstance(error, NotReady), problem=error)
    except BatonError as error:
        return report(reachable=True, problem=error)
    line = engine.new_line()
    try:
        slots, free = _slots(line)
        return report(
            reachable=True,
            key_accepted=True,
            card=engine.card,
            vocabulary=_compare(engine.card, probe_ids),
            slots=slots,
            free_slots=free,
            milliseconds=_latency(line),
            cannot=_cannot(engine.card),
        )
    except EngineLost as error:
        return report(reachable=True, key_accepted=True, card=engine.card, problem=error)
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
