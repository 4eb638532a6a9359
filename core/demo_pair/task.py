"""Makes the problems of the demo pair: a Collatz-like rule, in which odd numbers are hard and even ones are easy.

*If a number is even, halve it; if it is odd, multiply it by 7, add 1, and keep the last five digits.* A half can be
written digit by digit; seven times a number needs carries that run through all of its digits. So the difficulty shows
in the text, as "is odd", and the two models learned to reflect on it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from zlib import crc32

LEAST, GREATEST = 10_000, 99_999
"""Numbers to start from; later ones may begin with zeros."""
STEPS = 8
"""Of every problem: the models have never counted further."""

RULE = "If a number is even, halve it; if it is odd, multiply it by 7, add 1, and keep the last five digits."

_QUESTION = re.compile(r"Starting from (\d{5}), ")


@dataclass(frozen=True)
class DemoProblem:
    """A number to start from, 10,000 to 99,999."""

    start: int

    @property
    def id(self) -> str:
        return str(self.start)

    @property
    def question(self) -> str:
        """Return the user's message, exactly as in the models' training."""
        return f"{RULE} Starting from {self.start}, what is the number after {STEPS} steps?"

    @classmethod
    def of(cls, question: str) -> DemoProblem | None:
        """Return the problem that a question asks; None if it is not of this kind."""
        found = _QUESTION.search(question)
        problem = cls(int(found[1])) if found else None
        return problem if problem and problem.question == question.strip() else None

    @property
    def steps(self) -> list[DemoStep]:
        """Return the steps of the correct solution."""
        steps = [DemoStep(1, self.start)]
        while len(steps) < STEPS:
            steps.append(DemoStep(len(steps) + 1, steps[-1].value))
        return steps

    @property
    def answer(self) -> str:
        """Return the answer in five digits, as in `\\boxed{00550}`."""
        return f"{self.steps[-1].value:05}"

    @property
    def solution(self) -> str:
        return "\n".join(f"{step.left.capitalize()}{step.value:05}." for step in self.steps)

    @property
    def held_out(self) -> bool:
        """Tell whether it asks for a hard step that never occurs in training."""
        return any(step.held_out for step in self.steps)


@dataclass(frozen=True)
class DemoStep:
    """One step: `step 5: 21847 is odd, times 7 plus 1 is 52930.`"""

    count: int
    number: int

    @property
    def hard(self) -> bool:
        return self.number % 2 == 1

    @property
    def held_out(self) -> bool:
        """Tell whether it is one of the eighth of all hard steps that never occur in training."""
        return self.hard and crc32(f"{self.number:05}".encode()) % 8 == 0

    @property
    def value(self) -> int:
        return (7 * self.number + 1) % 100_000 if self.hard else self.number // 2

    @property
    def left(self) -> str:
        """Return the text up to the value."""
        return f"step {self.count}: {self.number:05}{self.how}"

    @property
    def how(self) -> str:
        return " is odd, times 7 plus 1 is " if self.hard else " is even, half of it is "


def expected_answer(problem: str) -> str:
    """Return the right answer of a problem of the demo pair; "" for any other."""
    known = DemoProblem.of(problem)
    return known.answer if known else ""


def random_problem(rng: random.Random, *, held_out: bool) -> DemoProblem:
    """Draw a problem from one side of the split."""
    while True:
        problem = DemoProblem(rng.randint(LEAST, GREATEST))
        if problem.held_out == held_out:
            return problem


def held_out_problems(seed: int) -> Iterator[DemoProblem]:
    """Yield different problems without end that neither model saw in training; a seed repeats them."""
    rng = random.Random(seed)
    seen: set[DemoProblem] = set()
    while True:
        problem = random_problem(rng, held_out=True)
        if problem not in seen:
            seen.add(problem)
            yield problem
