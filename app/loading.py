"""Loads the pair that a person chose, or the built-in one, and says what it is doing."""

from __future__ import annotations

from pathlib import Path

from app.models_in_use import Loading
from core.engines.base import Engine
from core.engines.body import Author
from core.run import Pair
from core.settings import ModelChoice


class LocalLoader:
    """Models on this machine, each in a process of its own."""

    def __init__(self, joined_models: Path) -> None:
        self._joined_models = joined_models

    def __call__(self, choice: ModelChoice) -> Loading:
        # Imported here, in the loading thread: the window stands before any of it is needed.
        from core.engines.local.client import LocalEngine, LocalOptions
        from core.models.packaged import packaged_pair

        options = LocalOptions(context=choice.context, threads=choice.threads, gpu_layers=choice.gpu_layers)
        files = {Author.SMALL: choice.small, Author.LARGE: choice.large}
        if None in files.values():
            yield "Looking for the built-in models …"
            built_in = packaged_pair(self._joined_models)
            if built_in:
                files = {author: files[author] or file for author, file in zip(files, built_in, strict=True)}
        loaded: dict[Author, Engine] = {}
        complete = False
        try:
            for author, file in files.items():
                if file is None:
                    continue
                if author is Author.LARGE and file == files[Author.SMALL]:
                    loaded[author] = loaded[Author.SMALL]
                    continue
                yield f"Loading the {author.value} model, {file.name} ({_size(file)}) …"
                loaded[author] = LocalEngine(file, options)
            yield Pair(loaded.get(Author.SMALL), loaded.get(Author.LARGE))
            complete = True
        finally:
            if not complete:
                for engine in loaded.values():
                    engine.close()


def _size(file: Path) -> str:
    megabytes = file.stat().st_size / 1e6 if file.exists() else 0
    return f"{megabytes / 1000:.1f} GB" if megabytes >= 1000 else f"{megabytes:.0f} MB"
