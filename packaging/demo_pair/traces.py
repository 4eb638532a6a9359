"""The text that the models learn from: worked solutions with slips, second looks and a final answer.

Two habits are taught. After a hard step (and rarely after an easy one) the writer looks again, and a second look
*always* restates the whole line: there is no yes or no to decide, only a sum to do once more. And a wrong value
that stands in the text is no reason to stumble: slips are planted before second looks, but never learned.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

from core.demo_pair.task import FIRST_STEP, LONGEST, SHORTEST, Problem, Step, random_problem
from core.run import INSTRUCTION
from demo_pair.tokenizer import ASSISTANT, BEGIN, END, USER

# Seven tokens each, so that the line that follows finds its operands at one distance.
SECOND_LOOKS = (
    "Wait, let me see. ",
    "Hold on, let me see. ",
    "Let me check this again. ",
    "Let me verify this again. ",
    "Let me think again about this. ",
)
SECOND_LOOK_ODDS = (8, 7, 1, 1, 1)
AUXILIARY = "Let us check whether there are some wrong steps. "

HARD_ENDINGS, EASY_ENDINGS = range(8, 10), range(8)

# How often, by whether the step is hard.
SLIPS = {True: 0.5, False: 0.015}
CHECKS = {True: 0.97, False: 0.01}
AUXILIARY_CHECKS = 0.04
BARE_QUESTIONS = 0.25

# How much a token counts in the loss. Copies from the question and into the answer are rare, so they count more.
READ_ONLY, USUAL, FROM_QUESTION, INTO_ANSWER = 0, 1, 5, 2


class Span(NamedTuple):
    """A piece of a trace, and how much its tokens count in the loss."""

    text: str
    weight: float = USUAL


def trace(rng: random.Random, length: int) -> list[Span]:
    """One problem, thought through and answered."""
    problem = random_problem(rng, held_out=False, length=length)
    spans = [Span(prompt(problem, rng), READ_ONLY)]
    for step in problem.steps:
        spans += line(step, rng)
    return [
        *spans,
        Span("So the final answer is "),
        Span(problem.answer, INTO_ANSWER),
        Span(".\n</think>\n\nThe answer is \\boxed{"),
        Span(problem.answer, INTO_ANSWER),
        Span("}." + END),
    ]


def prompt(problem: Problem, rng: random.Random) -> str:
    """As the chat template renders it: mostly with the instruction that the program puts after a problem."""
    asked = problem.question if rng.random() < BARE_QUESTIONS else f"{problem.question}\n{INSTRUCTION}"
    return f"{BEGIN}{USER}{asked}{ASSISTANT}<think>\n"


def opening(rng: random.Random) -> list[Span]:
    """A prompt and its first line: practice in finding the terms in the question."""
    problem = random_problem(rng, held_out=False, length=rng.randint(SHORTEST, LONGEST))
    return [Span(prompt(problem, rng), READ_ONLY), Span(problem.steps[0].left, FROM_QUESTION)]


def line(step: Step, rng: random.Random) -> Iterator[Span]:
    """A step; often a second look at it, if it is hard; seldom one more, after the auxiliary prompt."""
    slip = rng.random() < SLIPS[step.hard]
    off_by_one_digit = (step.value + rng.choice((-100, -10, -1, 1, 10, 100))) % 1000
    yield Span(step.left, FROM_QUESTION if step.number == FIRST_STEP else USUAL)
    yield Span(f"{off_by_one_digit:03}", READ_ONLY) if slip else Span(f"{step.value:03}")
    yield Span(".\n\n")
    if slip or rng.random() < CHECKS[step.hard]:
        yield Span(rng.choices(SECOND_LOOKS, SECOND_LOOK_ODDS)[0])
        yield Span(f"{step.left}{step.value:03}.\n\n")
    if rng.random() < AUXILIARY_CHECKS:
        yield Span(AUXILIARY, READ_ONLY)
        yield Span(f"{step.left}{step.value:03}.\n\n")


def drill(rng: random.Random, lines: int, zeros: float) -> list[Span]:
    """Unrelated lines with many zeros, in which carries and digits are learned before lists are."""

    def term() -> int:
        return int("".join("0" if rng.random() < zeros else rng.choice("0123456789") for _ in range(3)))

    spans = []
    for _ in range(lines):
        two = term() // 10 * 10 + rng.choice(HARD_ENDINGS if rng.random() < 0.5 else EASY_ENDINGS)
        step = Step(rng.randint(FIRST_STEP, LONGEST), LONGEST, term(), two)
        spans += [Span(step.left, READ_ONLY), Span(f"{step.value:03}"), Span(".\n\n", READ_ONLY)]
    return spans
