"""The pair of models that the window works with: which ones, whether they are loaded, and loading them off the main
thread."""

from __future__ import annotations

from collections.abc import Generator
from enum import Enum, auto
from typing import Protocol

from PySide6.QtCore import QObject, Signal

from app.bridge import Errand
from core.errors import BatonError
from core.run import Pair
from core.settings import ModelChoice

Loading = Generator[str | Pair, None, None]
"""Yields words on how far it is, and at the end the pair."""


class Loader(Protocol):
    def __call__(self, choice: ModelChoice) -> Loading: ...

    def keep_key(self, address: str, key: str) -> str:
        """Keep the key of a server; says in words for how long."""
        ...


class State(Enum):
    NONE = auto()
    LOADING = auto()
    READY = auto()
    FAILED = auto()


class ModelsInUse(QObject):
    changed = Signal()
    """State, words or pair are other than before."""

    def __init__(self, loader: Loader, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._loader = loader
        self.keep_key = loader.keep_key
        self._errand: Errand | None = None
        self._wanted: ModelChoice | None = None
        self.state = State.NONE
        self.words = "No models yet"
        """What is going on, or went wrong, for a person."""
        self.error: BatonError | None = None
        self.pair = Pair()

    def load(self, choice: ModelChoice) -> None:
        """Load another pair; the one before is closed first, since both rarely fit. If one is loading, it is next."""
        if self._errand is not None:
            self._wanted = choice
            self._errand.stop()
            return
        old, self.pair, self.error = self.pair, Pair(), None

        def work() -> Loading:
            close_pair(old)
            yield from self._loader(choice)

        self._say(State.LOADING, "Loading the models …")
        self._errand = Errand("load models", work, parent=self)
        self._errand.arrived.connect(self._arrived)
        self._errand.ended.connect(self._ended)
        self._errand.start()

    def finish(self) -> None:
        """Close everything: the window is closing."""
        self._wanted = None
        if self._errand is not None:
            self._errand.finish()
        close_pair(self.pair)
        self.pair = Pair()

    def _arrived(self, items: list[str | Pair]) -> None:
        for item in items:
            if isinstance(item, Pair):
                self.pair = item
            else:
                self._say(State.LOADING, item)

    def _ended(self, error: BatonError | None) -> None:
        assert self._errand is not None
        self._errand.deleteLater()
        self._errand = None
        if self._wanted is not None:
            choice, self._wanted = self._wanted, None
            self.load(choice)
        elif error:
            self.error = error
            self._say(State.FAILED, error.what)
        elif self.pair == Pair():
            self._say(State.NONE, "No models yet")
        else:
            self._say(State.READY, "Ready")

    def _say(self, state: State, words: str) -> None:
        self.state, self.words = state, words
        self.changed.emit()


def close_pair(pair: Pair) -> None:
    for engine in {id(engine): engine for engine in (pair.small, pair.large) if engine}.values():
        engine.close()
