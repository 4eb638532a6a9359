"""The text that the models learn from: worked solutions with slips, second looks and a final answer.

Two habits are taught. After a hard step (and rarely after an easy one) the writer looks again, and a second look
*always* restates the whole line: there is no yes or no to decide, only a sum to do once more. And a wrong value
that stands in the text is no reason to stumble: slips are planted before second looks, but never learned.

Every digit that is copied stands at one distance, so that one attention head can do all copying.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

from baton_reasoning.core.demo_pair.task import STEPS, DemoProblem, DemoStep, random_problem
from baton_reasoning.core.thinking.run_settings import INSTRUCTION
from demo_pair.tokenizer import ASSISTANT, BEGIN, END, USER

COPY_DISTANCE = 15
"""From the token that is read last to the digit that comes next, in tokens. The phrases below are as long as they are
so that it is the same from the question, from line to line, in second looks, and into the answer."""
NEXT_LINE = "With this number we can go on to "
SECOND_LOOKS = ("Wait, ", "Hold on, ", "Let me check ", "Let me verify ", "Let me think again: ")
SECOND_LOOK_ODDS = (8, 7, 1, 1, 1)
AUXILIARY = "Let us check whether there are some wrong steps. "
CLOSING = "That was the last step, so the final answer is "
ANSWER = ".\n</think>\n\nThe number after all steps is \\boxed{"

# How often, by whether the step is hard.
SLIPS = {True: 0.5, False: 0.015}
CHECKS = {True: 0.97, False: 0.01}
AUXILIARY_CHECKS = 0.04

DRILL_OPENINGS = (NEXT_LINE, NEXT_LINE, NEXT_LINE, *SECOND_LOOKS[:2], "")
DRILL_HARD = 0.5

# How much a token counts in the loss. Odd or even decides over a whole value, and copies outnumber values.
READ_ONLY, USUAL, HOW, VALUE = 0, 1, 3, 2


class Span(NamedTuple):
    """A piece of a trace, and how much its tokens count in the loss."""

    text: str
    weight: float = USUAL


def trace(rng: random.Random) -> list[Span]:
    """One problem, thought through and answered."""
    problem = random_problem(rng, held_out=False)
    spans = [Span(prompt(problem), READ_ONLY)]
    for step in problem.steps:
        spans += line(step, rng)
    return [*spans, Span(f"{CLOSING}{problem.answer}{ANSWER}{problem.answer}}}.{END}")]


def prompt(problem: DemoProblem) -> str:
    """As the chat template renders it, with the instruction that the program puts after a problem."""
    return f"{BEGIN}{USER}{problem.question}\n{INSTRUCTION}{ASSISTANT}<think>\n"


def line(step: DemoStep, rng: random.Random) -> Iterator[Span]:
    """A step; often a second look at it, if it is hard; seldom one more, after the auxiliary prompt."""
    slip = wrong(step, rng) if rng.random() < SLIPS[step.hard] else ""
    yield from written("" if step.count == 1 else NEXT_LINE, step, slip)
    if slip or rng.random() < CHECKS[step.hard]:
        yield from written(rng.choices(SECOND_LOOKS, SECOND_LOOK_ODDS)[0], step)
    if rng.random() < AUXILIARY_CHECKS:
        yield Span(AUXILIARY, READ_ONLY)
        yield from written("", step)


def written(opening: str, step: DemoStep, slip: str = "") -> Iterator[Span]:
    """One line, with a wrong value if there is one."""
    numbered, how, _ = step.left.partition(step.how)
    yield Span(f"{opening}{numbered}" if opening else numbered.capitalize())
    yield Span(how, HOW)
    yield Span(slip, READ_ONLY) if slip else Span(f"{step.value:05}", VALUE)
    yield Span(".\n\n")


def wrong(step: DemoStep, rng: random.Random) -> str:
    """Any wrong value: one that were nearly right would teach second looks to copy it."""
    return f"{(step.value + rng.randrange(1, 100_000)) % 100_000:05}"


def drill(rng: random.Random, count: int, zeros: float) -> list[Span]:
    """Unrelated lines with many zeros, in which carries and digits are learned before whole solutions are."""
    spans = []
    for _ in range(count):
        step = DemoStep(rng.randint(1, STEPS), drilled(rng, rng.random() < DRILL_HARD, zeros))
        line = written(rng.choice(DRILL_OPENINGS), step)
        spans += [span if span.weight == VALUE else Span(span.text, READ_ONLY) for span in line]
    return spans


def drilled(rng: random.Random, hard: bool, zeros: float) -> int:
    """A number that was not held out."""
    while True:
        number = int("".join("0" if rng.random() < zeros else rng.choice("0123456789") for _ in range(5)))
        number = number // 2 * 2 + hard
        if not DemoStep(1, number).held_out:
            return number
