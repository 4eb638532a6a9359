"""The large model scores each step of the small one and writes poor ones again (SpecReason, arXiv 2504.07891).

One token, 0 to 9, asked off the record, so that the question never enters the large model's text. Below the
threshold (7) the step goes and the large model writes it. Two identical steps in a row end the thinking.
"""

from __future__ import annotations

from core.thinking.events import Rule
from core.thinking.policy import Close, Judge, Keep, Move, Policy, TakeOver, Until, View
from core.thinking.steps import same_step_twice

QUESTION = (
    "\n\nHow good is the last step above, as a step towards the right answer? "
    "Reply with one digit from 0 (wrong or useless) to 9 (right and useful).\nScore: "
)
DIGITS = tuple("0123456789")


class StepScore(Policy):
    name = "step-score"

    def __init__(self, threshold: float, step_cap: int, weighted: bool) -> None:
        """`threshold`: least score that stands (7); `step_cap`: tokens of a rewritten step; `weighted`: the
        score is the mean over the digits' probabilities instead of the likeliest digit."""
        self.threshold = threshold
        self.step_cap = step_cap
        self.weighted = weighted

    def at_boundary(self, view: View) -> Move:
        if not view.thinking:
            return Keep()
        if same_step_twice(view.body):
            return Close(Rule.REPETITION)
        return Judge(QUESTION, DIGITS)

    def on_judgement(self, view: View, probabilities: tuple[float, ...]) -> Move:
        if self.weighted:
            score: float = sum(digit * chance for digit, chance in enumerate(probabilities))
        else:
            score = float(probabilities.index(max(probabilities)))
        if score < self.threshold:
            return TakeOver(self.step_cap, Rule.SCORE, until=Until.STEP, rewrite_step=True)
        return Keep()

    def on_takeover_end(self, view: View) -> Move:
        """What the large model wrote is not judged again."""
        return Keep()
