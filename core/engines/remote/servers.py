"""Opens a server of unknown kind, tests a connection for a person, and joins several servers to one engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from enum import Enum
from functools import reduce
from typing import NamedTuple

from baton_reasoning.core.engines.abilities import Ability
from baton_reasoning.core.engines.base import Attach, Messages, ModelCard, ignore
from baton_reasoning.core.engines.remote.answers import KeyRefused, NotReady, UntrustedServer
from baton_reasoning.core.engines.remote.billing import Cap, UsageMeter
from baton_reasoning.core.engines.remote.connection import ServerAddress
from baton_reasoning.core.engines.remote.engine import RemoteEngine, RemoteOptions, RemoteSession
from baton_reasoning.core.engines.remote.llama_server import LlamaServerEngine, ModelNotLoaded, load_model
from baton_reasoning.core.engines.remote.ollama import NotOllama, OllamaEngine
from baton_reasoning.core.engines.remote.openai import OpenAICompletionsEngine
from baton_reasoning.core.engines.remote.protocol import ServedModel, UnknownModel, served_models
from baton_reasoning.core.engines.remote.status import ServerStatus, StatusCallback, most_important
from baton_reasoning.core.errors import BatonError, EngineLost, EngineRefused
from baton_reasoning.core.models.sampling import Sampling
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
            if _abilities(engine.card) != _abilities(first.card):
                raise EngineRefused(
                    f"{engine.address.host} does not serve {first.card.name} in the way {first.address.host} does.",
                    "Servers that share the work need the same model, options (drafts included) and chat template.",
                )
        self.engines = tuple(engines)
        cap = reduce(Cap.tightest, (engine.options.cap for engine in engines))
        self.meter = UsageMeter(first.options.prices, cap, "all servers together")
        """Counts the usage of all servers, at the prices of each."""
        for engine in engines:
            engine.meter.whole = self.meter

    @property
    def card(self) -> ModelCard:
        """The card of the server with the smallest context."""
        smallest = min(self.engines, key=lambda engine: engine.card.context)
        return replace(smallest.card, source=ServerUrls(tuple(engine.address.url for engine in self.engines)))

    @property
    def status(self) -> ServerStatus:
        """The most important status among the servers."""
        return most_important(engine.status for engine in self.engines)

    def ping(self) -> None:
        """Ask each server whether it is there."""
        for engine in self.engines:
            engine.ping()

    def open(
        self, conversation: Messages, sampling: Sampling, attach: Attach = ignore, *, thinks: bool = True
    ) -> RemoteSession:
        """Open a session on the least busy server that answers. Raises EngineLost if none does."""
        *others, last = sorted(self.engines, key=lambda engine: len(engine.sessions))
        for engine in others:
            with suppress(EngineLost):
                return engine.open(conversation, sampling, attach, thinks=thinks)
        return last.open(conversation, sampling, attach, thinks=thinks)

    def adopt_vocabulary(self, vocabulary: str, probe_ids: Sequence[int]) -> bool:
        """Let each server adopt another model's vocabulary, as `RemoteEngine.adopt_vocabulary` does."""
        return all(engine.adopt_vocabulary(vocabulary, probe_ids) for engine in self.engines)

    def close(self) -> None:
        for engine in self.engines:
            engine.close()


def _abilities(card: ModelCard) -> tuple[object, ...]:
    """Return what a policy relies on, whichever server a session is opened on."""
    return card.name, card.vocabulary, card.thinking, card.abilities - {Ability.PREFETCH, Ability.TRUNCATION}


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
    """The result of a connection test."""

    host: str
    findings: tuple[Finding, ...] = ()
    """Everything but the problem, in the order of the test."""
    models: tuple[ServedModel, ...] = ()
    """All that the server has, if there are several."""
    problem: BatonError | None = None


def open_server(
    address: ServerAddress,
    options: RemoteOptions | None = None,
    on_status: StatusCallback | None = None,
    on_wait: Callable[[str], object] = lambda _: None,
) -> RemoteEngine:
    """Open a llama-server or an Ollama through its own protocol, any other through OpenAI's.

    A router or an Ollama loads the model first: `on_wait` is called with what is waited for; raising a BatonError
    there ends the wait. Raises EngineLost, EngineRefused.
    """
    options = options or RemoteOptions()
    try:
        return LlamaServerEngine(address, options, on_status)
    except ModelNotLoaded as error:
        load_model(address, error.model, options.retry_policy, on_wait)
        return LlamaServerEngine(address, options, on_status)
    except (KeyRefused, UntrustedServer, UnknownModel):
        raise
    except EngineRefused:
        with suppress(NotOllama):
            return OllamaEngine(address, options, on_status, on_wait)
        return OpenAICompletionsEngine(address, options, on_status)


def try_connection(
    address: ServerAddress,
    options: RemoteOptions | None = None,
    on_wait: Callable[[str], object] = lambda _: None,
) -> ConnectionReport:
    """Test everything that a run needs; the key is tested at a protected endpoint. Writes nothing.

    Takes a second, unless a router or an Ollama has to load the model: see `open_server` for `on_wait`.
    """
    models: tuple[ServedModel, ...] = ()
    described: list[Finding] = []
    problem: BatonError | None = None
    try:
        engine = open_server(address, options, on_wait=on_wait)
        with closing(engine), closing(engine.new_connection()) as connection:
            served = served_models(connection.ask)
            models = served if len(served) > 1 else ()
            described.extend(_described(engine))
    except BatonError as error:
        problem = error
        models = error.models if isinstance(error, UnknownModel) else models
    reachable = problem is None or isinstance(problem, EngineRefused | NotReady)
    findings = [
        Finding(Severity.GOOD, "reachable") if reachable else Finding(Severity.BAD, "not reachable"),
        *(
            Finding(Severity.PLAIN, f"has {one_line(f'{name} ({status})' if status else name)}")
            for name, status in models
        ),
        *described,
        *(Finding(Severity.WARNING, risk) for risk in address.risks),
    ]
    return ConnectionReport(address.host, tuple(findings), models, problem)


def _described(engine: RemoteEngine) -> Iterator[Finding]:
    """Say what the server has, how busy it is, and what it cannot do."""
    card = engine.card
    yield Finding(Severity.GOOD, "key accepted" if engine.address.key else "no key needed")
    yield Finding(Severity.GOOD, f"serves {card.name}")
    yield Finding(Severity.PLAIN, f"{card.context:,} tokens of context for each text")
    if card.drafting:
        yield Finding(Severity.PLAIN, f"writes by speculative decoding ({card.drafting})")
    if slots := engine.slots() if isinstance(engine, LlamaServerEngine) else []:
        free = sum(not slot.flag("is_processing") for slot in slots)
        yield Finding(Severity.PLAIN if free else Severity.WARNING, f"{free} of {len(slots)} slots free")
    for ability in (Ability.TOKEN_IDS, Ability.JUDGEMENTS, Ability.TRUNCATION):
        if ability not in card.abilities:
            yield Finding(Severity.WARNING, f"It {ability.lack}.")
