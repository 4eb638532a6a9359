"""Lets the answers of several seeds vote: how accurate self-consistency is, at the cost of all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from pydantic import BaseModel, ConfigDict, Field

from baton_reasoning.core.batch.reporting.statistics import clustered_accuracy, grouped
from baton_reasoning.core.grading.normal import normalise
from baton_reasoning.core.grading.verdict import Outcome
from baton_reasoning.core.intervals import Estimate
from baton_reasoning.core.store.batches import ResultRow

FEWEST = 3
"""Votes: of two, none can outvote the other."""


class Majority(BaseModel):
    """Of the answers of an arm to each problem."""

    model_config = ConfigDict(frozen=True)

    votes: int = Field(description="Answers to a problem, one for each seed.")
    accuracy: Estimate = Field(
        description="Share of problems of which the majority is right, with Wilson's interval, among those whose votes "
        "are all there."
    )

    @classmethod
    def of(cls, rows: Iterable[ResultRow]) -> Majority | None:
        """`rows`: those of an arm with an answer. None with too few seeds, or without a problem that has them all."""
        problems = grouped((row.position, row) for row in rows)
        votes = max(map(len, problems), default=0)
        outcomes = [winner(each).outcome for each in problems if len(each) == votes >= FEWEST]
        accuracy = clustered_accuracy([[each is Outcome.CORRECT] for each in outcomes if each is not Outcome.UNSCORED])
        return cls(votes=votes, accuracy=accuracy) if accuracy else None


def winner(votes: Sequence[ResultRow]) -> ResultRow:
    """Return the first row with the answer that most give; neither texts without an answer vote, nor answers that
    cannot be graded.

    Right answers are the same, however they are written; wrong ones are if their text is the same.
    """
    graded = [row for row in votes if row.outcome is not Outcome.UNSCORED] or list(votes)
    valid = [row for row in graded if row.answer or row.outcome is Outcome.CORRECT] or graded
    choices = [row.outcome if row.outcome is Outcome.CORRECT else normalise(row.answer) for row in valid]
    winning = Counter(choices).most_common(1)[0][0]  # of equals the first that was written
    return valid[choices.index(winning)]
