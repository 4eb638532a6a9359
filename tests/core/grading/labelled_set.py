"""The labelled set of answers: what a person says about each, and how far a grader agrees.

A line of tests/data/grading/*.jsonl is one case: the kind of answer, the data set's expected answer (`gold`), all that
a model wrote (`text`), and the `label` that a person gave it. All texts were written for Baton; some of the short
expected answers are those of MATH-500.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from baton_reasoning.core.grading.extract import extract_answer
from baton_reasoning.core.grading.grader import TIME_LIMIT, Grader
from baton_reasoning.core.grading.verdict import Outcome

FOLDER = Path(__file__).parents[2] / "data" / "grading"
PARTS = ("development", "holdout", "second_holdout", "third_holdout", "fourth_holdout")


class Case(BaseModel):
    """One text with its label. `label` is what a person who knows the expected answer says of the text."""

    kind: str
    gold: str
    text: str
    label: str

    @property
    def outcome(self) -> Outcome:
        return {"right": Outcome.CORRECT, "wrong": Outcome.WRONG, "unscored": Outcome.UNSCORED}[self.label]


def read_cases(part: str) -> list[Case]:
    lines = (FOLDER / f"{part}.jsonl").read_text(encoding="utf-8").splitlines()
    return [Case.model_validate_json(line) for line in lines]


@dataclass(frozen=True)
class Graded:
    """A case, the answer that was found in its text, and the grader's outcome."""

    case: Case
    answer: str | None
    outcome: Outcome

    @property
    def false_right(self) -> bool:
        return self.outcome is Outcome.CORRECT and self.case.outcome is not Outcome.CORRECT

    @property
    def false_wrong(self) -> bool:
        """Graded wrong though a person says right, or says that it cannot be scored."""
        return self.outcome is Outcome.WRONG and self.case.outcome is not Outcome.WRONG

    @property
    def unscored(self) -> bool:
        """Left unscored though a person can tell."""
        return self.outcome is Outcome.UNSCORED and self.case.outcome is not Outcome.UNSCORED

    @property
    def missed(self) -> bool:
        """No answer was found where a person sees one. Cases of the kind `none` have none."""
        return self.answer is None and self.case.kind != "none"


@dataclass(frozen=True)
class Figures:
    """How far a grader agrees with the labels. Each share is of the cases in which that mistake is possible."""

    cases: int
    false_right: float
    """Of the cases that are labelled wrong or unscored."""
    false_wrong: float
    """Of the cases that are labelled right or unscored."""
    unscored: float
    """Of the cases that are labelled right or wrong."""
    missed: int
    """Texts in which no answer was found though there is one."""


def figures_of(graded: Sequence[Graded]) -> Figures:
    def share(mistakes: Callable[[Graded], bool], *labels: Outcome) -> float:
        possible = [each for each in graded if each.case.outcome in labels]
        return sum(map(mistakes, possible)) / max(1, len(possible))

    return Figures(
        len(graded),
        share(lambda each: each.false_right, Outcome.WRONG, Outcome.UNSCORED),
        share(lambda each: each.false_wrong, Outcome.CORRECT, Outcome.UNSCORED),
        share(lambda each: each.unscored, Outcome.CORRECT, Outcome.WRONG),
        sum(each.missed for each in graded),
    )


def graded_by_baton(cases: Sequence[Case], time_limit: float = TIME_LIMIT) -> Iterator[Graded]:
    with Grader(time_limit) as grader:
        for case in cases:
            answer = extract_answer(case.text, case.gold)
            yield Graded(case, answer, grader.grade(case.gold, answer).outcome)
