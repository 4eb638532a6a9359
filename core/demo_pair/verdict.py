"""Says in one line who solved a demo problem: the small model alone, the large one alone, or both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from baton_reasoning.core.grading.verdict import Outcome

MARKS = {Outcome.CORRECT: "✓", Outcome.WRONG: "✗", Outcome.UNSCORED: "–"}


class DemoAnswer(NamedTuple):
    answer: str | None
    """None if there is none."""
    outcome: Outcome
    large_share: float
    """Of the kept tokens, 0 (the small model alone) to 1 (the large model alone)."""

    def __str__(self) -> str:
        """Return the answer in a sentence: “With 38% from the large model: 701 ✓.”"""
        alone = {0.0: "Small alone", 1.0: "Large alone"}
        writers = alone.get(self.large_share, f"With {self.large_share:.0%} from the large model")
        return f"{writers}: {self.answer or 'no answer'} {MARKS[self.outcome]}."


def verdict_on(answers: Sequence[DemoAnswer], expected: str) -> str:
    """Return the answers in a line: “Small alone: 301 ✗. With 38% from the large model: 701 ✓.”

    It ends with the `expected` answer if none of them is correct.
    """
    sentences = [str(answer) for answer in answers]
    if all(answer.outcome is not Outcome.CORRECT for answer in answers):
        sentences.append(f"The answer is {expected}.")
    return " ".join(sentences)
