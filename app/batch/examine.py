"""The menu *Examine* of a batch: second opinions on its wrong answers, and the worth of its takeovers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from PySide6.QtWidgets import QMenu, QWidget

from baton_reasoning.app.batch.session import BatchSession
from baton_reasoning.app.session.actions import WindowActions
from baton_reasoning.app.session.reviews import Reviewer, ReviewKind
from baton_reasoning.core.analysis.value_estimator import ValueOptions
from baton_reasoning.core.batch.running.arms import pair_names
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.grading.verdict import Outcome
from baton_reasoning.core.reviews import (
    USUAL_SAMPLE,
    Opinions,
    Review,
    Values,
    answers_of,
    sample_answers,
    wrong_answers,
)
from baton_reasoning.core.store.batches import Batch, ResultRow
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.text import counted
from baton_reasoning.core.words.numbers import rough_duration

LOADS = "The models of each arm are loaded for it, if others are now."
OPTIONS = ValueOptions(only_takeovers=True)


class ExamineMenu(QMenu):
    def __init__(self, session: BatchSession, reviewer: Reviewer, actions: WindowActions, parent: QWidget) -> None:
        super().__init__(parent)
        self._session, self._reviewer, self._actions = session, reviewer, actions
        self.opinions = self.addAction("Second opinions on all wrong answers…", self._ask_opinions)
        self.values = self.addAction(f"Worth of takeovers in {USUAL_SAMPLE} answers…", self._value_takeovers)

    def _ask_opinions(self) -> None:
        rows = self._rows(lambda row: row.outcome is Outcome.WRONG and row.cost.small_tokens > 0)
        tokens = counted(sum(row.cost.tokens for row in rows), "token")
        price = f"Second opinions on {counted(len(rows), 'wrong answer')}: {tokens} to read."
        self._ask(price, ReviewKind.OPINION, lambda _: Opinions(), wrong_answers)

    def _value_takeovers(self) -> None:
        assert self._session.batch
        pairs = pair_names(self._session.batch.arms)
        rows = self._rows(lambda row: row.arm in pairs and row.has_answer and bool(row.cost.takeovers))[:USUAL_SAMPLE]
        places = sum(1 + 2 * len(row.cost.takeovers) for row in rows)  # the beginning, before and after each
        seconds = sum((1 + len(row.cost.takeovers)) * row.cost.seconds for row in rows) * OPTIONS.rollouts
        price = (
            f"Takeovers in {counted(len(rows), 'answer')}: about "
            f"{counted(places * OPTIONS.rollouts, 'continuation')}, {rough_duration(seconds)} at most."
        )
        self._ask(price, ReviewKind.VALUES, partial(Values, OPTIONS), sample_answers)

    def _rows(self, is_wanted: Callable[[ResultRow], bool]) -> list[ResultRow]:
        assert self._session.viewed
        return [row for row in self._session.viewed.rows.values() if is_wanted(row)]

    def _ask(
        self,
        price: str,
        kind: ReviewKind,
        review_by: Callable[[Grader], Review],
        choose: Callable[[Store, Batch], Sequence[ResultRow]],
    ) -> None:
        """Say what a review takes before it begins."""
        store, batch = self._session.store, self._session.batch
        assert batch

        def begin() -> None:
            self._reviewer.review(None, kind, review_by, lambda: answers_of(store, batch, choose(store, batch)))

        self._actions.say(f"{price} {LOADS}", ("Start", begin), ("Leave it", lambda: None))


def reviews_text(reviewer: Reviewer) -> str:
    """Say how far a review is: “3 of 18 answers reviewed”; of one answer, its percentage."""
    if not (progress := reviewer.progress):
        return "reading what is to be reviewed"
    if progress.total == 1:
        return f"{progress.share:.0%} reviewed"
    return f"{progress.done:,} of {progress.total:,} answers reviewed"
