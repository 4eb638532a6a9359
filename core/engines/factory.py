"""From what a person names, a file or the address of a server, to an engine; and from two names to a pair."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from core.engines.base import Engine
from core.engines.local.client import LocalEngine
from core.engines.remote.address import ServerAddress
from core.engines.remote.engine import RemoteEngine, RemoteOptions
from core.engines.remote.failures import NotReady
from core.engines.remote.pool import ServerPool
from core.engines.remote.retry import RetryState
from core.engines.remote.state import StatusCallback
from core.engines.remote.vocabulary import PROBE
from core.engines.server_check import open_server
from core.models.loading import LocalOptions


class Server(NamedTuple):
    """Where a server is, and how it is used."""

    address: ServerAddress
    options: RemoteOptions


def plain_server(url: str) -> Server:
    """Without a key, with everything as it is by default."""
    return Server(ServerAddress(url), RemoteOptions())


@dataclass(frozen=True, slots=True)
class EngineFactory:
    """How to open models: local ones by their options, servers by what is known of each URL."""

    local: LocalOptions = field(default_factory=LocalOptions)
    server: Callable[[str], Server] = plain_server
    watcher: StatusCallback | None = None
    """Told each change of a server's state, from any thread."""
    tell: Callable[[str], object] = lambda _: None
    """Told in words what is waited for. It may raise a BatonError to give the opening up."""


def is_address(where: str) -> bool:
    return where.startswith(("http://", "https://"))


def addresses(where: str) -> list[str]:
    """The servers that a person named, with commas between."""
    return [url.strip() for url in where.split(",") if url.strip()]


def open_engine(where: str, opening: EngineFactory) -> Engine:
    """The model in a GGUF file, or on a server; several addresses with commas between are several servers for it.

    Blocks while it loads or connects, and while a server is not ready yet.
    Raises ModelFileError, OutOfMemory, EngineLost, EngineRefused, SettingsError.
    """
    if not is_address(where):
        return LocalEngine(Path(where).expanduser(), opening.local)
    engines: list[RemoteEngine] = []
    try:
        engines.extend(_open_when_ready(url, opening) for url in addresses(where))
        return engines[0] if len(engines) == 1 else ServerPool(engines)
    except BaseException:
        for engine in engines:
            engine.close()
        raise


def _open_when_ready(url: str, opening: EngineFactory) -> RemoteEngine:
    """A server that still loads its model is asked again, as far as patience goes."""
    server = opening.server(url)
    retrying = RetryState(server.options.retry_policy)
    while True:
        opening.tell(f"Connecting to {server.address.host} …")
        try:
            return open_server(*server, opening.watcher)
        except NotReady as error:
            pause = retrying.pause_after(error)
            opening.tell(f"{error.message} Trying again in {pause:.1f} s.")
            time.sleep(pause)


def share_vocabulary(one: Engine, other: Engine) -> bool:
    """Let ids pass between a model here and one on a server, if both tokenise a probe alike; says whether they do.

    A server tells no hash of its vocabulary, so equality is found out by asking both.
    """
    local, remote = (one, other) if isinstance(one, LocalEngine) else (other, one)
    engines = remote.engines if isinstance(remote, ServerPool) else (remote,)
    servers = [engine for engine in engines if isinstance(engine, RemoteEngine)]
    if not isinstance(local, LocalEngine) or not servers:
        return one.card.vocabulary == other.card.vocabulary != ""
    probe = local.tokenize(PROBE, special=True)
    return all(server.adopt_vocabulary(local.card.vocabulary, probe) for server in servers)
