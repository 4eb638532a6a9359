"""Opens the pair that a person chose, or the demo pair, and says what it is doing."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import cached_property
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from app.models_in_use import Loading
from core.engines.base import Engine
from core.engines.body import Author
from core.run import Pair
from core.settings import ModelChoice

if TYPE_CHECKING:
    from core.engines.local.client import LocalEngine, LocalOptions
    from core.secrets import Secrets

LOOK_EVERY = 0.1
"""Seconds after which the thread sees that a model is there, or that nobody waits for it any more."""


class PairLoader:
    """Files become models in processes of their own; addresses become connections, with the keys that are kept.

    `choices`: the file with what a person chose for single models (`core.models.preferences`).
    """

    def __init__(self, choices: Path | None = None) -> None:
        self._choices = choices

    @cached_property
    def _secrets(self) -> Secrets:
        from core.secrets import Secrets

        return Secrets()

    def keep_key(self, address: str, key: str) -> str:
        return self._secrets.keep(address, key).value

    def __call__(self, choice: ModelChoice) -> Loading:
        # Imported in the loading thread: the window stands before any of it is needed.
        from core.demo_pair import LARGE_MODEL, SMALL_MODEL
        from core.engines.local.client import LocalOptions
        from core.engines.opening import Opening, is_address, open_engine, share_vocabulary
        from core.engines.remote.address import ServerAddress
        from core.models.preferences import ModelPreferences, load_preferences

        preferences = load_preferences(self._choices) if self._choices else ModelPreferences()

        opening = Opening(
            LocalOptions(
                context=choice.context,
                parallel=choice.parallel,
                threads=choice.threads,
                gpu_layers=choice.gpu_layers,
            ),
            address=lambda url: ServerAddress(url, self._secrets.find(url)),
        )
        names = {Author.SMALL: choice.small or str(SMALL_MODEL), Author.LARGE: choice.large or str(LARGE_MODEL)}
        with ExitStack() as undo:
            engines: dict[str, Engine] = {}
            for author, name in names.items():
                if name not in engines:
                    words = f"Opening the {author.value} model, {in_words(name)} …"
                    yield words
                    if is_address(name):
                        engines[name] = open_engine(name, opening)
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


def in_words(name: str) -> str:
    """A file with its size, or a server's address."""
    file = Path(name).expanduser()
    if not file.is_file():
        return name
    megabytes = file.stat().st_size / 1e6
    return f"{file.name} ({megabytes / 1000:.1f} GB)" if megabytes >= 1000 else f"{file.name} ({megabytes:.1f} MB)"
