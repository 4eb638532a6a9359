"""Compares the answers of the columns in a thread: algebra may take seconds."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from PySide6.QtCore import QObject, Signal

from app.shared.background import BackgroundTask
from core.grading.grader import Grader, standings

Answers = Mapping[int, str | None]
"""By the place of their column."""


class AnswerGrading(QObject):
    told = Signal(object)
    """Standings, by the place of their column; `same` in them counts those that are compared."""

    def __init__(self, expected: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._expected = expected
        self._answers: Answers = {}
        self._errand: BackgroundTask | None = None

    def follow(self, answers: Answers) -> None:
        """The answers as they are now. One alone is compared only where the right one is known."""
        if answers != self._answers and len(answers) > (0 if self._expected else 1):
            self._answers = answers
            if self._errand is None:
                self._grade()

    def finish(self) -> None:
        if self._errand:
            self._errand.finish()

    def _grade(self) -> None:
        answers, expected = self._answers, self._expected

        def work() -> Generator[Any, None, None]:
            with Grader() as grader:
                yield dict(zip(answers, standings(list(answers.values()), expected, grader), strict=True))

        self._errand = BackgroundTask("compare answers", work, parent=self)
        self._errand.arrived.connect(lambda found: self.told.emit(found[-1]))
        self._errand.ended.connect(lambda: self._ended(answers))
        self._errand.start()

    def _ended(self, answers: Answers) -> None:
        assert self._errand is not None
        self._errand.deleteLater()
        self._errand = None
        if answers != self._answers:
            self._grade()
