"""Measures how far the large model is involved in the answers of an arm, beside its share of the tokens."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from baton_reasoning.core.batch.reporting.statistics import clustered_accuracy, grouped, ratio_of_sums, sums_by_problem
from baton_reasoning.core.intervals import Estimate
from baton_reasoning.core.store.batches import ResultRow


class Involvement(BaseModel):
    """Of the large model, over all answers of an arm; null without an answer."""

    model_config = ConfigDict(frozen=True)

    steps: Estimate | None = Field(
        None, description="Share of the steps in which it wrote, with a bootstrap interval over problems."
    )
    problems: Estimate | None = Field(
        None,
        description="Share of the answers in which it read or wrote anything, with Wilson's interval, as wide as the "
        "problems warrant.",
    )
    handoffs: Estimate | None = Field(
        None, description="Changes of the writer an answer, with a bootstrap interval over problems."
    )

    @classmethod
    def of(cls, answers: Sequence[ResultRow]) -> Involvement:
        return cls(
            steps=ratio_of_sums(
                sums_by_problem((row.position, (row.cost.large_steps, row.cost.steps)) for row in answers)
            ),
            problems=clustered_accuracy(
                grouped((row.position, row.cost.large_read + row.cost.large_decoded > 0) for row in answers)
            ),
            handoffs=ratio_of_sums(sums_by_problem((row.position, (row.cost.handoffs, 1)) for row in answers)),
        )
