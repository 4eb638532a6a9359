"""Grades answers: quick comparisons first, then algebra in a process that can be killed."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from itertools import combinations
from typing import Any, NamedTuple, Self

from baton_reasoning.core.child_process import Child, NoAnswer, TimedOut, TimeLimit
from baton_reasoning.core.grading.compare import compare, compare_choice, compare_exact, compare_numeric
from baton_reasoning.core.grading.normal import tidy
from baton_reasoning.core.grading.numbers import Quantity, read_quantity, same_quantity
from baton_reasoning.core.grading.verdict import Grading, GradingMethod, Outcome, Regex, Verdict
from baton_reasoning.core.text import replace_lone_surrogates

TIME_LIMIT = 5.0
"""Seconds for one pair of answers; almost all take milliseconds."""
_MOST_MEMORY = 4 * 2**30
"""Bytes of address space for the child; `9^{9^9}` ends in a MemoryError, not in a frozen machine. POSIX only."""
_LONGEST_ANSWER = 5_000
"""Characters; what is longer is no answer, and algebra on it would only run into the time limit."""

_BARE_FUNCTION = re.compile(r"(?<![\\a-zA-Z])(?:(?:arc)?(?:sin|cos|tan)|ln|log|exp)(?![a-zA-Z])")


class Grader:
    """Grades answers; owns one child process, started when first needed and again after it ended or was killed.

    A context manager. `grade` may be called from many threads; questions to the child wait for each other.
    """

    def __init__(self, time_limit: float = TIME_LIMIT) -> None:
        """`time_limit`: seconds that the child may spend on one pair of answers, however many questions that takes."""
        self._time_limit = time_limit
        self._child = Child(_answer, _import_math_verify, _MOST_MEMORY)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def grade(self, expected: str | None, given: str | None, how: Grading = GradingMethod.AUTO) -> Verdict:
        """Compare the expected answer with the one given.

        Without an expected answer (None) it is unscored. Without a given one it is wrong: the model did not solve it.
        """
        named = GradingMethod.REGEX if isinstance(how, Regex) else how
        if not (expected and expected.strip()) and not (isinstance(how, Regex) and "{expected}" not in how.pattern):
            return Verdict.of(None, named, "The problem has no expected answer.")
        if not (given and given.strip()):
            return Verdict(Outcome.WRONG, named, "The model gave no answer.")
        expected, given = replace_lone_surrogates(expected or ""), replace_lone_surrogates(given)
        if isinstance(how, Regex):
            return self._ask(GradingMethod.REGEX, how.filled(expected), given, TimeLimit(self._time_limit))
        if max(len(expected), len(given)) > _LONGEST_ANSWER:
            return Verdict.of(None, named, f"The answer is longer than {_LONGEST_ANSWER:,} characters.")
        match how:
            case GradingMethod.EXACT:
                return compare_exact(expected, given)
            case GradingMethod.NUMERIC:
                return compare_numeric(expected, given)
            case GradingMethod.CHOICE:
                return compare_choice(expected, given)
            case GradingMethod.MATH:
                return self._algebra(expected, given, TimeLimit(self._time_limit))
            case GradingMethod.AUTO:
                return compare(expected, given, partial(self._algebra, time=TimeLimit(self._time_limit)))
            case GradingMethod.REGEX:
                return Verdict.of(None, GradingMethod.REGEX, "Grading by pattern needs a pattern.")

    def close(self) -> None:
        """End the child. The grader can be used again: it starts another."""
        self._child.kill()

    def _algebra(self, expected: str, given: str, time: TimeLimit) -> Verdict:
        return self._ask(GradingMethod.MATH, _latex(expected), _latex(given), time)

    def _ask(self, how: GradingMethod, expected: str, given: str, time: TimeLimit) -> Verdict:
        """Ask the child whether two answers, both LaTeX, are equal; or whether the pattern `expected` occurs."""
        question = json.dumps([how.value, expected, given]).encode()
        try:
            same, reason = json.loads(self._child.ask(question, time))
        except TimedOut:
            same, reason = None, f"Comparing took longer than {self._time_limit:g} seconds and was stopped."
        except NoAnswer:
            same, reason = None, "The process that compares answers ended; it may have run out of memory."
        return Verdict.of(same, how, reason)


def _latex(answer: str) -> str:
    """Write an answer as math-verify reads it best: tidy, its functions as commands, the signs of LaTeX escaped."""
    return _BARE_FUNCTION.sub(r"\\\g<0>", tidy(answer)).replace("%", r"\%").replace("°", r"^{\circ}")


class Standing(NamedTuple):
    """How one answer compares with the others."""

    answer: str | None
    outcome: Outcome
    """Unscored where no expected answer is known."""
    same: tuple[int, ...]
    """Indices of the others that agree with it."""


def standings(answers: Sequence[str | None], expected: str, grader: Grader) -> list[Standing]:
    """Find out which answers agree with each other, and which are right. A pair that cannot be compared does not agree.

    `expected` may be empty. This may take seconds: algebra is done in the grader's process.
    """
    same: list[list[int]] = [[] for _ in answers]
    for one, other in combinations(range(len(answers)), 2):
        if grader.grade(answers[one], answers[other]).outcome is Outcome.CORRECT:
            same[one].append(other)
            same[other].append(one)
    outcomes = [grader.grade(expected, answer).outcome for answer in answers]
    return [Standing(*standing) for standing in zip(answers, outcomes, map(tuple, same), strict=True)]


# In the child process, which may hang: math-verify's algebra and users' regular expressions --------------------------


def _import_math_verify() -> None:
    """Load SymPy, so that it costs no question its time; and silence a warning at each call that there is no limit."""
    logging.getLogger("math_verify").setLevel(logging.ERROR)
    import math_verify  # noqa: F401


def _answer(question: bytes) -> bytes:
    how, expected, given = json.loads(question)
    try:
        same, reason = _found(expected, given) if GradingMethod(how) is GradingMethod.REGEX else _equal(expected, given)
    except Exception as error:  # noqa: BLE001 - whatever SymPy or `re` raises, these two cannot be compared
        same, reason = None, f"The answers cannot be compared ({type(error).__name__})."
    return json.dumps([same, reason]).encode()


def _found(pattern: str, text: str) -> tuple[bool, str]:
    found = re.search(pattern, text) is not None
    return found, f"The pattern was {'found' if found else 'not found'}."


def _equal(expected: str, given: str) -> tuple[bool | None, str]:
    """Compare by algebra; None if one cannot be read. The order matters: math-verify takes the gold answer first."""
    from math_verify import LatexExtractionConfig, parse, verify

    right, said = (parse(f"${latex}$", [LatexExtractionConfig()], parsing_timeout=None) for latex in (expected, given))
    if not right or not said:
        return None, f"The {'answer' if right else 'expected answer'} cannot be read as mathematics."
    same = verify(right, said, timeout_seconds=None, raise_on_error=True)
    same = same or _is_rounded(given, right[0]) or _is_rounded(expected, said[0])
    return same, f"They are {'equal' if same else 'not equal'} by algebra."


def _is_rounded(decimal: str, exact: Any) -> bool:
    """Tell whether a decimal is the value of a SymPy expression, rounded as `same_quantity` allows."""
    quantity = read_quantity(decimal)
    if quantity is None or quantity.places is None or not getattr(exact, "is_number", False) or not exact.is_real:
        return False
    return same_quantity(Quantity(Fraction(str(exact.evalf(30)))), quantity) is True
