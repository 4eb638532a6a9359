"""The labelled set of answers: what a person says about each, and how far a grader agrees.

A line of tests/data/grading/*.jsonl is one case: the kind of answer, the data set's expected answer (`gold`), all that
a model wrote (`text`), and the `label` that a person gave it. All texts were written for Baton; some of the short
expected answers are those of MATH-500.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel

from baton_reasoning.core.grading.extract import extract_answer
from baton_reasoning.core.grading.grader import TIME_LIMIT, Grader
from baton_reasoning.core.grading.verdict import Outcome

FOLDER = Path(__file__).parents[2] / "data" / "grading"
PARTS = ("development", "holdout", "second_holdout", "third_holdout", "fourth_holdout")
PROSE = ("prose", "prose_holdout", "second_prose", "second_prose_holdout")
"""Answers full of traps, most of them without a box: corrections, claims of others, several numbers in a sentence. The
grader was made with `prose` and `second_prose`; nobody read the mistakes in the other two."""


class Case(BaseModel):
    """One text with its label. `label` is what a person who knows the expected answer says of the text."""

    kind: str
    gold: str
    text: str
    label: str
    options: dict[str, str] = {}
    """Of a multiple-choice problem, where the text of an option matters; `gold` is the letter then."""

    @property
    def key(self) -> str:
        return f"({self.gold}) {self.options[self.gold]}" if self.options else self.gold

    @property
    def outcome(self) -> Outcome:
        return {"right": Outcome.CORRECT, "wrong": Outcome.WRONG, "unscored": Outcome.UNSCORED}[self.label]


def read_cases(part: str) -> list[Case]:
    lines = (FOLDER / f"{part}.jsonl").read_text(encoding="utf-8").splitlines()
    return [Case.model_validate_json(line) for line in lines]


class Graded(NamedTuple):
    """A case, the answer that was found in its text, and the grader's outcome."""

    case: Case
    answer: str | None
    outcome: Outcome


def graded_by_baton(cases: Sequence[Case], time_limit: float = TIME_LIMIT) -> Iterator[Graded]:
    with Grader(time_limit) as grader:
        for case in cases:
            answer = extract_answer(case.text, case.key)
            yield Graded(case, answer, grader.grade(case.key, answer).outcome)
