"""Questions that take a moment, asked in a thread: one answer, or one error; a newer question replaces an older one."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from PySide6.QtCore import QObject

from app.bridge import Errand
from core.errors import BatonError


class Question(QObject):
    """Asks one thing at a time; the answer to a question that was replaced is dropped."""

    def __init__(self, failed: Callable[[BatonError], object], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._failed = failed
        self._errands: list[Errand] = []

    @property
    def is_open(self) -> bool:
        return bool(self._errands)

    def ask(self, question: Callable[[], Any], answered: Callable[[Any], object]) -> None:
        def work() -> Generator[Any, None, None]:
            yield question()

        errand = Errand("question", work, parent=self)
        errand.arrived.connect(lambda answers: self._arrived(errand, answers[0], answered))
        errand.ended.connect(lambda error: self._ended(errand, error))
        self._errands.append(errand)
        errand.start()

    def finish(self) -> None:
        """The window is closing: a silent server is not waited for."""
        for errand in self._errands:
            errand.stop()

    def _arrived(self, errand: Errand, answer: Any, answered: Callable[[Any], object]) -> None:
        if errand is self._errands[-1]:
            answered(answer)

    def _ended(self, errand: Errand, error: BatonError | None) -> None:
        was_last = errand is self._errands[-1]
        self._errands.remove(errand)
        errand.deleteLater()
        if error is not None and was_last:
            self._failed(error)
