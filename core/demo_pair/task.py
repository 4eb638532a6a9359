"""Makes the problems of the demo pair: lists of three-digit terms in which some steps are hard and most are easy.

Each term comes from the two before it. A term that ends in 7, 8 or 9 makes the next step hard (`+`, a sum with
carries, modulo 1000); after any other the step is easy (`#`, digit by digit, carries dropped). So the difficulty shows
in the text, and the two models learned to reflect on it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from zlib import crc32

FIRST_STEP = 3
SHORTEST, LONGEST = 6, 12
"""Lengths of the lists on which the models were trained; they have never counted further."""
USUAL_LENGTH = 12
"""Ten steps."""

RULE = (
    "Each term is the sum of the two before it, digit by digit without carries (#), "
    "or with carries (+) when the last one ends in 7, 8 or 9."
)

_QUESTION = re.compile(r"What is term (\d{1,2}), if terms 1 and 2 are (\d{3}) and (\d{3})\?")


@dataclass(frozen=True)
class DemoProblem:
    """Two terms, 0 to 999, and the number of the term that is asked for (6 to 12)."""

    first: int
    second: int
    length: int = USUAL_LENGTH

    @property
    def id(self) -> str:
        return f"{self.first:03}-{self.second:03}-{self.length}"

    @property
    def question(self) -> str:
        """Return the user's message, exactly as in the models' training."""
        return f"{RULE} What is term {self.length}, if terms 1 and 2 are {self.first:03} and {self.second:03}?"

    @classmethod
    def of(cls, question: str) -> DemoProblem | None:
        """Return the problem that a question asks; None if it is not of this kind."""
        found = _QUESTION.search(question)
        if not found:
            return None
        length, first, second = map(int, found.groups())
        problem = cls(first, second, length)
        return problem if problem.question == question.strip() else None

    @property
    def steps(self) -> list[DemoStep]:
        """Return the steps of the correct solution, from term 3 to the last."""
        steps = []
        one, two = self.first, self.second
        for number in range(FIRST_STEP, self.length + 1):
            steps.append(DemoStep(number, self.length, one, two))
            one, two = two, steps[-1].value
        return steps

    @property
    def answer(self) -> str:
        """Return the answer in three digits, as in `\\boxed{055}`."""
        return f"{self.steps[-1].value:03}"

    @property
    def solution(self) -> str:
        return "\n".join(f"{step.left.capitalize()}{step.value:03}." for step in self.steps)

    @property
    def held_out(self) -> bool:
        """Tell whether its starting terms are among the eighth of all pairs that never occur in training."""
        return crc32(f"{self.first:03} {self.second:03}".encode()) % 8 == 0


@dataclass(frozen=True)
class DemoStep:
    """One term of the list: `term 5 with carries (7 to go): 270 + 849 = 119.`"""

    number: int
    length: int
    one: int
    two: int

    @property
    def hard(self) -> bool:
        return self.two % 10 >= 7

    @property
    def value(self) -> int:
        if self.hard:
            return (self.one + self.two) % 1000
        return sum((self.one // unit + self.two // unit) % 10 * unit for unit in (1, 10, 100))

    @property
    def left(self) -> str:
        """Return the text up to the value."""
        return f"term {self.number}{self.how} ({self.to_go} to go): {self.one:03} {self.sign} {self.two:03} = "

    @property
    def to_go(self) -> int:
        """Return the number of steps after this one."""
        return self.length - self.number

    @property
    def how(self) -> str:
        return " with carries" if self.hard else " without carries"

    @property
    def sign(self) -> str:
        return "+" if self.hard else "#"


def random_problem(rng: random.Random, *, held_out: bool, length: int = USUAL_LENGTH) -> DemoProblem:
    """Draw a problem from one side of the split."""
    while True:
        problem = DemoProblem(rng.randrange(1000), rng.randrange(1000), length)
        if problem.held_out == held_out:
            return problem


def held_out_problems(seed: int, length: int = USUAL_LENGTH) -> Iterator[DemoProblem]:
    """Yield different problems without end that neither model saw in training; a seed repeats them."""
    rng = random.Random(seed)
    seen: set[DemoProblem] = set()
    while True:
        problem = random_problem(rng, held_out=True, length=length)
        if problem not in seen:
            seen.add(problem)
            yield problem
