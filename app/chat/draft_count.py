"""How many tokens a problem would take, while it is being typed."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from app.bridge import Errand
from core.engines.base import Engine

AFTER_MS = 300
"""A pause in typing."""


class DraftCount(QObject):
    """Asks a model beside the main thread: its process may be busy, or far away. A failure counts nothing."""

    counted = Signal(int)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._engine: Engine | None = None
        self._text = ""
        self._errand: Errand | None = None
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(AFTER_MS)
        self._pause.timeout.connect(self._ask)

    def count(self, engine: Engine | None, text: str) -> None:
        """The last text counts; without a model, or without a text, there is nothing to count."""
        self._engine, self._text = engine, text
        if engine and text:
            self._pause.start()
        else:
            self._pause.stop()
            self.counted.emit(0)

    def finish(self) -> None:
        self._pause.stop()
        self._text = ""
        if self._errand:
            self._errand.finish()

    def _ask(self) -> None:
        engine, text = self._engine, self._text
        if self._errand or engine is None:
            return  # what is typed meanwhile is counted when this one is done

        def work() -> Generator[Any, None, None]:
            yield text, engine.count_tokens(text)

        self._errand = Errand("count tokens", work, parent=self)
        self._errand.arrived.connect(self._tell)
        self._errand.ended.connect(self._ended)
        self._errand.start()

    def _tell(self, counts: list[tuple[str, int]]) -> None:
        for text, tokens in counts:
            if text == self._text:
                self.counted.emit(tokens)
            elif self._text:
                self._pause.start()

    def _ended(self) -> None:
        assert self._errand
        self._errand.deleteLater()
        self._errand = None
