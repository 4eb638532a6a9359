"""The scoreboard of a demo problem: small alone, both, large alone, each with answer, mark and measured seconds."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.grading.verdict import Outcome
from baton_reasoning.core.thinking.trace import Trace

MARKS = {Outcome.CORRECT: "✓", Outcome.WRONG: "✗", Outcome.UNSCORED: "–"}


class ScoredArm(Enum):
    """Who wrote an answer, in the order of the rows. The value is the arm of a batch."""

    SMALL = "small"
    BOTH = "baton"
    LARGE = "large"

    @classmethod
    def of(cls, trace: Trace) -> ScoredArm:
        """Return who wrote this answer. It is by both, too, if the large model might have written, and did not."""
        policies = {"never": cls.SMALL, "always": cls.LARGE}
        arm = policies.get(trace.started.policy, cls.BOTH) if trace.started else cls.BOTH
        is_alone = trace.large_share == (arm is cls.LARGE)
        return arm if is_alone else cls.BOTH  # a person let the other one write, too


class ScoreRow(NamedTuple):
    arm: ScoredArm
    answer: str | None
    """None if there is none."""
    outcome: Outcome
    seconds: float
    """Measured: the wall time of the run."""
    large_share: float
    """Of the kept tokens, 0 to 1."""
    large_time: float
    """Of the seconds in which either model wrote, 0 to 1."""

    @classmethod
    def of(cls, trace: Trace, expected: str) -> ScoreRow:
        """Score a finished answer: the demo models write what is `expected` exactly so, or it is wrong."""
        from baton_reasoning.core.grading.extract import answer_of_run  # would delay the start of a window

        answer = answer_of_run(trace)
        outcome = Outcome.CORRECT if answer == expected else Outcome.WRONG
        small, large = (trace.totals[author].decode_seconds for author in (Author.SMALL, Author.LARGE))
        large_time = large / (small + large or 1)
        return cls(ScoredArm.of(trace), answer, outcome, trace.seconds, trace.large_share, large_time)

    @property
    def title(self) -> str:
        """Return “small alone”, “both, 26% of tokens by large” or “large alone”."""
        both = f"both, {self.large_share:.0%} of tokens by large"
        return both if self.arm is ScoredArm.BOTH else f"{self.arm.value} alone"

    @property
    def shown_answer(self) -> str:
        return self.answer or "no answer"

    @property
    def mark(self) -> str:
        return MARKS[self.outcome]

    @property
    def time(self) -> str:
        """Return “0.9 s”."""
        return f"{self.seconds:.1f} s"


def lines(rows: Sequence[ScoreRow]) -> list[str]:
    """Return the rows as aligned text: “small alone         01767  ✗  0.9 s”."""
    titles = max((len(row.title) for row in rows), default=0)
    answers = max((len(row.shown_answer) for row in rows), default=0)
    times = max((len(row.time) for row in rows), default=0)
    return [f"{row.title:<{titles}}  {row.shown_answer:<{answers}}  {row.mark}  {row.time:>{times}}" for row in rows]
