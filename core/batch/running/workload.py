"""Says before a batch begins how many answers it would have, and about how long they would take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

from baton_reasoning.core.batch.running.arms import Arm
from baton_reasoning.core.model_costs import USUAL_SHARE, ModelCost, pair_seconds
from baton_reasoning.core.text import counted
from baton_reasoning.core.words.numbers import rough_duration

USUAL_TOKENS = 500
"""Of an answer, of which nothing is known yet."""


class MeasuredPair(NamedTuple):
    """The costs of the batch's own models; None where they were not measured."""

    small: ModelCost | None = None
    large: ModelCost | None = None


class Workload(NamedTuple):
    problems: int
    arms: int
    seeds: int
    seconds: float | None
    """Of all answers of `USUAL_TOKENS` one after another, so that they take less; None if the models have no costs."""

    @classmethod
    def of(cls, problems: int, arms: Sequence[Arm], seeds: int, costs: MeasuredPair) -> Self:
        """Arms with other models count as if they had the batch's own."""
        small, large = costs
        seconds = None
        if small and large:
            alone = {(True, False): small.decode, (False, True): large.decode}
            both = pair_seconds(small, large, USUAL_SHARE)
            of_all_arms = sum(alone.get((arm.needs.small, arm.needs.large), both) for arm in arms)
            seconds = USUAL_TOKENS * problems * seeds * of_all_arms
        return cls(problems, len(arms), seeds, seconds)

    @property
    def answers(self) -> int:
        return self.problems * self.arms * self.seeds

    @property
    def in_words(self) -> str:
        """Return “300 problems × 3 arms × 2 seeds = 1,800 answers, at most 2.5 h at 500 tokens each”."""
        factors = [counted(self.problems, "problem"), counted(self.arms, "arm")]
        factors += [counted(self.seeds, "seed")] if self.seeds > 1 else []
        time = f", at most {rough_duration(self.seconds)} at {USUAL_TOKENS} tokens each" if self.seconds else ""
        return f"{' × '.join(factors)} = {counted(self.answers, 'answer')}{time}"
