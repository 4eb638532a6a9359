"""Compares the columns' answers in a background task: algebra may take seconds."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import QObject, Signal

from baton_reasoning.app.toolkit.background import LatestTask
from baton_reasoning.core.grading.grader import Grader, Standing, standings

Answers = Mapping[int, str | None]
"""Answers by the number of their column."""


class AnswerGrading(QObject):
    graded = Signal(object)
    """Standings, by the place of their column; `same` in them counts those that are compared."""

    def __init__(self, expected: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._expected = expected
        self._answers: Answers = {}
        self._grading = LatestTask(self, "compare answers", one_at_a_time=True)

    def follow(self, answers: Answers) -> None:
        """Compare these answers. A single one needs the expected answer."""
        if answers != self._answers and len(answers) > (0 if self._expected else 1):
            self._answers = answers
            self._grading.run(lambda: self._grade(answers), self.graded.emit)

    def _grade(self, answers: Answers) -> dict[int, Standing]:
        """Grade the answers. Runs in a thread."""
        with Grader() as grader:
            return dict(zip(answers, standings(list(answers.values()), self._expected, grader), strict=True))
