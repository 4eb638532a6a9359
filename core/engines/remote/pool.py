"""Several servers for one model: a new session goes to the server with the fewest open sessions."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

from baton_reasoning.core.engines.base import Attach, Conversation, ModelCard, ignore
from baton_reasoning.core.engines.remote.engine import RemoteEngine, RemoteSession
from baton_reasoning.core.engines.remote.state import ServerStatus, most_important
from baton_reasoning.core.engines.usage import Cap, Usage, UsageMeter
from baton_reasoning.core.errors import EngineLost, EngineRefused
from baton_reasoning.core.models.overrides import Sampling
from baton_reasoning.core.models.source import ServerUrls


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
            engine.share_meter(self._meter)
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
            return sorted(self.engines, key=lambda engine: engine.open_sessions)


def _abilities(card: ModelCard) -> tuple[object, ...]:
    """Return what a policy relies on, whichever server a session is opened on."""
    return card.drafts, card.returns_alternatives, card.returns_scores, card.thinking, card.switches_thinking
