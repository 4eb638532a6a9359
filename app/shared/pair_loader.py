"""Opens the pair that a person chose, or the demo pair, and says what it is doing."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from app.shared.loaded_models import Loading
from core.engines.base import Engine
from core.engines.body import Author
from core.engines.remote.state import StatusCallback
from core.errors import EngineLost
from core.run import Pair
from core.settings import ModelChoice

if TYPE_CHECKING:
    from core.engines.factory import EngineFactory
    from core.engines.local.client import LocalEngine
    from core.engines.servers import KnownServers
    from core.models.loading import LocalOptions
    from core.paths import Paths

LOOK_EVERY = 0.1
"""Seconds after which the thread sees that a model is there, or that nobody waits for it any more."""
WORTH_SAYING = 2.0
"""Seconds of waiting that a person is told of."""


class PairLoader:
    """Files become models in processes of their own; addresses become connections, as what is known of them says."""

    def __init__(self, paths: Paths) -> None:
        """Two files are read: what a person chose for single models, and for single servers."""
        self._paths = paths

    @cached_property
    def servers(self) -> KnownServers:
        from core.engines.servers import KnownServers

        return KnownServers(self._paths.servers)

    def __call__(self, choice: ModelChoice, watcher: StatusCallback) -> Loading:
        # Imported in the loading thread: the window stands before any of it is needed.
        from core.demo_pair import LARGE_MODEL, SMALL_MODEL
        from core.engines.factory import EngineFactory, is_address, share_vocabulary
        from core.models.loading import LocalOptions
        from core.models.preferences import load_preferences

        preferences = load_preferences(self._paths.model_preferences)
        opening = EngineFactory(
            LocalOptions(
                context=choice.context,
                parallel=choice.parallel,
                threads=choice.threads,
                gpu_layers=choice.gpu_layers,
            ),
            server=self.servers.server,
            watcher=watcher,
        )
        names = {Author.SMALL: choice.small or str(SMALL_MODEL), Author.LARGE: choice.large or str(LARGE_MODEL)}
        with ExitStack() as undo:
            engines: dict[str, Engine] = {}
            for author, name in names.items():
                if name not in engines:
                    words = f"Opening the {author.value} model, {in_words(name)} …"
                    yield words
                    if is_address(name):
                        engines[name] = yield from connected(name, opening)
                    else:
                        file = Path(name).expanduser()
                        engines[name] = yield from loaded(file, preferences.options_for(file, opening.local), words)
                    undo.callback(engines[name].close)
            small, large = (engines[name] for name in names.values())
            if small is not large:
                share_vocabulary(small, large)
            undo.pop_all()
            yield Pair(small, large)


def loaded(file: Path, options: LocalOptions, words: str) -> Generator[str, None, LocalEngine]:
    """Load a model in a thread beside this one, and yield how far it is in between."""
    from core.engines.local.client import LocalEngine

    progress: SimpleQueue[float] = SimpleQueue()
    with ThreadPoolExecutor(1) as beside:
        loading = beside.submit(LocalEngine, file, options, progress.put)
        try:
            while not loading.done():
                with suppress(Empty):
                    yield f"{words} {progress.get(timeout=LOOK_EVERY):.0%}"
        except GeneratorExit:
            if loading.exception() is None:
                loading.result().close()
            raise
        return loading.result()


def connected(where: str, opening: EngineFactory) -> Generator[str, None, Engine]:
    """Connect in a thread beside this one, and yield what is waited for, and for how long.

    Given up, it ends at once: the thread closes what it may still get.
    """
    from core.engines.factory import open_engine

    said: SimpleQueue[str] = SimpleQueue()
    given_up = threading.Event()

    def tell(words: str) -> None:
        said.put(words)
        if given_up.is_set():
            raise EngineLost(f"{where} was given up.")

    began, words = time.monotonic(), f"Connecting to {where} …"
    beside = ThreadPoolExecutor(1, thread_name_prefix="connect")
    connecting = beside.submit(open_engine, where, replace(opening, tell=tell))
    try:
        while not connecting.done():
            with suppress(Empty):
                words = said.get(timeout=LOOK_EVERY)
            waited = time.monotonic() - began
            yield f"{words} {waited:.0f} s" if waited >= WORTH_SAYING else words
    except GeneratorExit:
        given_up.set()
        connecting.add_done_callback(_close_unwanted)
        raise
    finally:
        beside.shutdown(wait=False)
    return connecting.result()


def _close_unwanted(connecting: Future[Engine]) -> None:
    if connecting.exception() is None:
        connecting.result().close()


def in_words(name: str) -> str:
    """A file with its size, or a server's address."""
    file = Path(name).expanduser()
    if not file.is_file():
        return name
    megabytes = file.stat().st_size / 1e6
    return f"{file.name} ({megabytes / 1000:.1f} GB)" if megabytes >= 1000 else f"{file.name} ({megabytes:.1f} MB)"
