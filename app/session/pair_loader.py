"""Open the pair that a person chose, and report progress."""

from __future__ import annotations

import threading
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import cached_property
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from baton_reasoning.app.session.loaded_models import Loading, Remark
from baton_reasoning.core.engines.base import Engine
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.remote.status import StatusCallback
from baton_reasoning.core.errors import EngineLost
from baton_reasoning.core.models.preferences import load_preferences
from baton_reasoning.core.models.source import DemoModel, ModelSource
from baton_reasoning.core.run import Pair
from baton_reasoning.core.settings import ModelChoice

if TYPE_CHECKING:
    from baton_reasoning.core.engines.open import EngineFactory
    from baton_reasoning.core.engines.remote.known_servers import KnownServers
    from baton_reasoning.core.paths import Paths

LOOK_EVERY = 0.1
"""Seconds between two looks at the opening thread."""


class PairLoader:
    """Opens both models of a choice: a file in a process of its own, a server by its saved settings."""

    def __init__(self, paths: Paths, *, costly_demo: bool = True) -> None:
        """Read the options of single models and of single servers from their files below `paths`.

        `costly_demo`: the demo pair costs what a real one does, for one answer at a time.
        """
        self._paths = paths
        self._costly_demo = costly_demo

    @cached_property
    def servers(self) -> KnownServers:
        from baton_reasoning.core.engines.remote.known_servers import KnownServers

        return KnownServers(self._paths.servers)

    def __call__(self, choice: ModelChoice, watcher: StatusCallback) -> Loading:
        # Imported in the loading thread: the window is shown before any of it is needed.
        from baton_reasoning.core.demo_pair.costly import MAKING, DemoFiles
        from baton_reasoning.core.engines.open import EngineFactory, not_downloaded, share_vocabulary, tiny_demo
        from baton_reasoning.core.models.hub import downloaded

        preferences = load_preferences(self._paths.model_preferences)
        demo = DemoFiles(self._paths.demo_pair)
        folder = preferences.folder or self._paths.models
        factory = EngineFactory(
            hub_file=lambda source: downloaded(source, folder) or not_downloaded(source),
            demo=demo.path if self._costly_demo else tiny_demo,
            local=lambda path: preferences.choices_for(path, choice.load_options),
            server=self.servers.server,
            watcher=watcher,
        )
        has_demo = any(isinstance(source, DemoModel) for source in (choice.small, choice.large))
        if self._costly_demo and has_demo and demo.missing:
            yield MAKING
            if trouble := demo.make():
                yield Remark(trouble)
        with ExitStack() as undo:
            engines: dict[ModelSource, Engine] = {}
            for author in (Author.SMALL, Author.LARGE):
                source = choice.get(author)
                if source not in engines:
                    text = f"Opening the {author.value} model…"
                    yield text
                    engines[source] = yield from opened(source, factory, text)
                    undo.callback(engines[source].close)
            small, large = engines[choice.small], engines[choice.large]
            if small is not large:
                share_vocabulary(small, large)
            undo.pop_all()
            yield Pair(small, large)


def opened(source: ModelSource, factory: EngineFactory, words: str) -> Generator[str, None, Engine]:
    """Open a model in a thread beside this one, and yield how far it is: the part that is loaded, or what a
    connection waits for.

    Closing the generator cancels the opening and returns at once; the thread closes what it may still get.
    """
    from baton_reasoning.core.engines.open import open_engine

    status: SimpleQueue[str] = SimpleQueue()
    cancelled = threading.Event()

    def show(text: str) -> None:
        status.put(text)
        if cancelled.is_set():
            raise EngineLost(f"Opening {source} was cancelled.")

    factory = replace(factory, on_status=show, on_progress=lambda part: show(f"{words} {part:.0%}"))
    shown = words
    beside = ThreadPoolExecutor(1, thread_name_prefix="open-model")
    opening = beside.submit(open_engine, source, factory)
    try:
        while not opening.done():
            with suppress(Empty):
                shown = status.get(timeout=LOOK_EVERY)
            yield shown
    except GeneratorExit:
        cancelled.set()
        opening.add_done_callback(_close_unwanted)
        raise
    finally:
        beside.shutdown(wait=False)
    return opening.result()


def _close_unwanted(connecting: Future[Engine]) -> None:
    if connecting.exception() is None:
        connecting.result().close()
