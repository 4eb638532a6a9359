"""From what a person names, a file or the address of a server, to an engine; and from two names to a pair."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from core.engines.base import Engine
from core.engines.connection import open_server
from core.engines.local.client import LocalEngine, LocalOptions
from core.engines.remote.address import ServerAddress
from core.engines.remote.engine import RemoteEngine, RemoteOptions
from core.engines.remote.pool import ServerPool


@dataclass(frozen=True, slots=True)
class Opening:
    """How to open models: local ones by their options, servers by theirs and by `address` for each URL."""

    local: LocalOptions = field(default_factory=LocalOptions)
    remote: RemoteOptions = field(default_factory=RemoteOptions)
    address: Callable[[str], ServerAddress] = ServerAddress
    """Adds key, certificates and proxy to a URL."""


@runtime_checkable
class Recognising(Protocol):
    """A server that can be asked whether its vocabulary is another model's."""

    def recognise_vocabulary(self, vocabulary: str, tokenize: Callable[[str], Sequence[int]]) -> bool: ...


def is_address(where: str) -> bool:
    return where.startswith(("http://", "https://"))


def open_engine(where: str, opening: Opening) -> Engine:
    """The model in a GGUF file, or on a server; several addresses with commas between are several servers for it.

    Blocks while it loads or connects. Raises ModelFileError, OutOfMemory, EngineLost, EngineRefused, SettingsError.
    """
    if not is_address(where):
        return LocalEngine(Path(where).expanduser(), opening.local)
    engines: list[RemoteEngine] = []
    try:
        engines.extend(open_server(opening.address(url), opening.remote) for url in where.split(","))
        return engines[0] if len(engines) == 1 else ServerPool(engines)
    except BaseException:
        for engine in engines:
            engine.close()
        raise


def share_vocabulary(one: Engine, other: Engine) -> bool:
    """Let ids pass between a model here and one on a server, if both tokenise a probe alike; says whether they do.

    A server tells no hash of its vocabulary, so equality is found out by asking both.
    """
    local, remote = (one, other) if isinstance(one, LocalEngine) else (other, one)
    servers = remote.engines if isinstance(remote, ServerPool) else (remote,)
    if not isinstance(local, LocalEngine) or not all(isinstance(server, Recognising) for server in servers):
        return one.card.vocabulary == other.card.vocabulary != ""
    vocabulary = local.card.vocabulary

    def tokenize(text: str) -> tuple[int, ...]:
        return local.tokenize(text, special=True)

    same = [s.recognise_vocabulary(vocabulary, tokenize) for s in servers if isinstance(s, Recognising)]
    return all(same)
