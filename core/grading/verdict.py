"""Defines verdicts and the ways to grade."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from baton_reasoning.core.errors import SettingsError


class Outcome(Enum):
    """The outcome of grading. Unscored is not wrong: the answers could not be compared and stay out of the accuracy."""

    CORRECT = "correct"
    WRONG = "wrong"
    UNSCORED = "unscored"


class GradingMethod(Enum):
    """The way to compare two answers."""

    AUTO = "auto"
    """Exact, choice, words, numbers and lists in turn; what they cannot decide goes to math-verify."""
    EXACT = "exact"
    """The same text, apart from spaces and different spellings of the same LaTeX."""
    NUMERIC = "numeric"
    """The same number; what is no number is unscored."""
    MATH = "math"
    """math-verify alone."""
    CHOICE = "choice"
    """The same letter."""
    REGEX = "regex"
    """A `Regex` found in the answer."""


@dataclass(frozen=True)
class Regex:
    """A pattern that a right answer contains; `{expected}` in it is replaced by the expected answer, escaped.

    Raises SettingsError for a pattern that `re` does not accept.
    """

    pattern: str

    def __post_init__(self) -> None:
        try:
            re.compile(self.filled("expected"))
        except (re.error, OverflowError, RecursionError) as error:
            raise SettingsError(f"The pattern “{self.pattern}” is not valid: {error}.", "Correct it.") from error

    def filled(self, expected: str) -> str:
        return self.pattern.replace("{expected}", re.escape(expected))


Grading = GradingMethod | Regex
"""How answers are to be graded."""


@dataclass(frozen=True)
class Verdict:
    """The outcome, the method that decided it, and the reason as a sentence for the table."""

    outcome: Outcome
    how: GradingMethod
    reason: str

    @classmethod
    def of(cls, same: bool | None, how: GradingMethod, reason: str) -> Verdict:
        """Correct or wrong; unscored if `same` is None."""
        return cls(Outcome.UNSCORED if same is None else Outcome.CORRECT if same else Outcome.WRONG, how, reason)
