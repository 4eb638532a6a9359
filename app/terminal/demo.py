"""`baton demo`: one problem by the small model, by the large one, and by both; and who was right.

The demo pair comes with the program. It can solve this one kind of problem and nothing else.
"""

from __future__ import annotations

import argparse

from app.terminal.options import add_model_options, open_pair
from app.terminal.solve import ExitCode, print_steps, stops_on_interrupt
from core.batch.problems import read_problems
from core.batch.recipes import arms_of
from core.demo_pair import DEMO_SETTINGS, READY_PROBLEMS
from core.errors import SettingsError
from core.grading.extraction import extract_answer
from core.grading.grader import Grader
from core.grading.verdict import Outcome
from core.problem import Problem
from core.run import ask, run
from core.thinking.control import Control
from core.thinking.trace import Trace

ABOUT = (
    "Two tiny models come with Baton. They were trained for lists like this one and can do nothing else;\n"
    "--small and --large name real ones."
)
TITLES = {"small": "Small model alone", "large": "Large model alone", "baton": "Small model, large model at the cues"}
MARKS = {Outcome.CORRECT: "✓ right", Outcome.WRONG: "✗ wrong", Outcome.UNSCORED: "– nobody can tell"}


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("demo", help="one problem by small, large and both", description=__doc__)
    parser.add_argument(
        "number",
        nargs="?",
        type=int,
        default=1,
        help="which of the ready problems; the first is one that the small model gets wrong (%(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, help="another seed, other words")
    add_model_options(parser)
    parser.set_defaults(carry_out=demo, context=1024)


def demo(arguments: argparse.Namespace) -> int:
    problem = _ready_problem(arguments.number)
    if not (arguments.small or arguments.large):
        print(f"{ABOUT}\n")
    print(f"{problem.text}\n")
    verdicts: list[str] = []
    control = Control()
    with open_pair(arguments) as pair, Grader() as grader, stops_on_interrupt(control):
        for arm in arms_of(TITLES, DEMO_SETTINGS.model_copy(update={"seed": arguments.seed})):
            print(f"── {TITLES[arm.name]} " + "─" * (60 - len(TITLES[arm.name])))
            trace = print_steps(run(pair, ask(problem.text, arm.settings), arm.settings, control=control))
            if control.stopped:
                return ExitCode.STOPPED
            answer = extract_answer(trace.text)
            mark = MARKS[grader.grade(problem.expected, answer).outcome]
            verdicts.append(_line(TITLES[arm.name], mark, answer, trace))
            print()
    print(f"The answer is {problem.expected}.")
    print("\n".join(verdicts))
    return ExitCode.ANSWERED


def _line(title: str, mark: str, answer: str | None, trace: Trace) -> str:
    told = f"{answer or 'no answer':>9}  {mark:8}  {trace.tokens:4} tokens, {trace.large_share:4.0%} by the large model"
    return f"{title:38}{told}"


def _ready_problem(number: int) -> Problem:
    problems = read_problems(READY_PROBLEMS).problems
    if not 1 <= number <= len(problems):
        raise SettingsError(f"There is no ready problem {number}.", f"Choose 1 to {len(problems)}.")
    return problems[number - 1]
