"""Several answers to one problem: which of them say the same, and which are right."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

from core.batch.grading import Grader
from core.batch.verdict import Outcome


class Standing(NamedTuple):
    """How one answer stands beside the others."""

    answer: str | None
    outcome: Outcome
    """Measured by the expected answer; unscored where none is known."""
    same: tuple[int, ...]
    """Places of the others that say the same."""


def standings(answers: Sequence[str | None], expected: str, grader: Grader) -> list[Standing]:
    """Where nobody can tell whether two answers are the same, they are not taken for the same.

    `expected` may be empty. It may take seconds: algebra is done in a process of the grader's.
    """
    same: list[list[int]] = [[] for _ in answers]
    for one, other in combinations(range(len(answers)), 2):
        if grader.grade(answers[one], answers[other]).outcome is Outcome.CORRECT:
            same[one].append(other)
            same[other].append(one)
    outcomes = [grader.grade(expected, answer).outcome for answer in answers]
    return [Standing(*standing) for standing in zip(answers, outcomes, map(tuple, same), strict=True)]
