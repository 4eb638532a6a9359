"""Opens engines: a ModelSource becomes a process with a model, or a connection to a server."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from baton_reasoning.core.engines.base import Engine
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.engines.remote.answers import NotReady
from baton_reasoning.core.engines.remote.connection import RetryState, ServerAddress
from baton_reasoning.core.engines.remote.engine import RemoteEngine, RemoteOptions
from baton_reasoning.core.engines.remote.protocol import PROBE
from baton_reasoning.core.engines.remote.servers import ServerPool, open_server
from baton_reasoning.core.engines.remote.status import StatusCallback
from baton_reasoning.core.errors import ModelFileError
from baton_reasoning.core.models.preferences import LocalChoices
from baton_reasoning.core.models.source import DemoModel, HubFile, ModelSource, ServerUrls


class Server(NamedTuple):
    """The address of a server, and how it is used."""

    address: ServerAddress
    options: RemoteOptions


def tiny_demo(model: DemoModel) -> Path:
    """Return the demo model's own file."""
    return model.path


def not_downloaded(source: HubFile) -> Path:
    raise ModelFileError(
        f"{source} is not on this machine.", f"Download it first, with baton models get {source} or on the Models page."
    )


@dataclass(frozen=True, slots=True)
class EngineFactory:
    """How engines are opened: files as a person chose for each, servers by the settings of each URL."""

    local: Callable[[Path], LocalChoices] = lambda _: LocalChoices()
    server: Callable[[str], Server] = lambda url: Server(ServerAddress(url), RemoteOptions())
    """By default without a key."""
    hub_file: Callable[[HubFile], Path] = not_downloaded
    """Finds a file of the Hub on this machine, or downloads it."""
    demo: Callable[[DemoModel], Path] = tiny_demo
    """Finds the file of a demo model: its own, or a costly copy where a person waits for one answer."""
    watcher: StatusCallback | None = None
    """Called at each change of a server's status, from any thread."""
    on_status: Callable[[str], object] = lambda _: None
    """Called with what a connection waits for, as text. Raising a BatonError cancels the opening."""
    on_progress: Callable[[float], object] = lambda _: None
    """Called a few times a second while a file is loaded, with the fraction that is read. Raising a BatonError cancels
    the opening."""


def open_engine(source: ModelSource, factory: EngineFactory) -> Engine:
    """Open a model. Blocks while it loads or connects, and while a server is not ready yet.

    Raises ModelFileError, OutOfMemory, EngineLost, EngineRefused, SettingsError.
    """
    if isinstance(source, ServerUrls):
        return _open_servers(source, factory)
    if isinstance(source, DemoModel):
        path = factory.demo(source)
        load, overrides = factory.local(source.path)
        if path != source.path:
            # On one core of any machine both cost what they weigh, and the window has the others.
            load = load.model_copy(update={"threads": load.threads or 1, "gpu_layers": max(load.gpu_layers, 0)})
    else:
        path = factory.hub_file(source) if isinstance(source, HubFile) else source.path
        load, overrides = factory.local(path)
    return LocalEngine(path, load, overrides, source=source, on_progress=factory.on_progress)


def _open_servers(source: ServerUrls, factory: EngineFactory) -> Engine:
    with ExitStack() as opened:
        engines = [opened.enter_context(closing(_open_when_ready(url, factory))) for url in source.urls]
        engine = engines[0] if len(engines) == 1 else ServerPool(engines)
        opened.pop_all()
    return engine


def _open_when_ready(url: str, factory: EngineFactory) -> RemoteEngine:
    """Connect; while the server loads its model, try again as its retry policy says."""
    server = factory.server(url)
    retrying = RetryState(server.options.retry_policy)
    while True:
        factory.on_status(f"Connecting to {server.address.host}…")
        try:
            return open_server(*server, factory.watcher, factory.on_status)
        except NotReady as error:
            retrying.count(error)
            factory.on_status(f"{error.message} Trying again in {retrying.pause:.1f} s.")
            time.sleep(retrying.pause)


def share_vocabulary(one: Engine, other: Engine) -> bool:
    """Return whether two models have the same vocabulary, so that token ids can be handed over.

    A server has no hash of its vocabulary: its tokens of a probe text are compared with those of a model on this
    machine, and its card gets the other's hash if they are the same.
    """
    local, remote = (one, other) if isinstance(one, LocalEngine) else (other, one)
    if isinstance(local, LocalEngine) and isinstance(remote, RemoteEngine | ServerPool):
        return remote.adopt_vocabulary(local.card.vocabulary, local.tokenize(PROBE, special=True))
    return one.card.vocabulary == other.card.vocabulary != ""
