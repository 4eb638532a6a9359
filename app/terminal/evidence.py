"""`baton evidence`: the method's claim, tested on the demo pair: does it matter where the large model writes?

Small only, large only, the three presets, first-token entropy, step scores by the large model, and takeovers by chance
with the large share of the first preset, on problems that neither model was trained on. Anyone can repeat it in
minutes, offline. Table, JSON and charts are written into the folder (--out).
"""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path

from app.terminal.batch import add_batch_options, begin, go_on
from app.terminal.options import add_model_options, at_least_one
from core.batch.recipes import arms_of
from core.demo_pair import DEMO_SETTINGS, held_out_problems
from core.problem import Problem

ARMS = ("small", "large", "baton", "paper", "reference", "entropy", "score", "random")
PROBLEM_SEED = 20_261_124
"""Never used to choose a model or a parameter."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("evidence", help="test the method's claim on the demo pair", description=__doc__)
    parser.add_argument(
        "--problems", type=at_least_one, default=400, metavar="N", help="held-out problems (%(default)s)"
    )
    parser.add_argument("--seeds", type=at_least_one, default=3, metavar="N", help="seeds of each (%(default)s)")
    parser.add_argument(
        "--problem-seed",
        type=int,
        default=PROBLEM_SEED,
        metavar="N",
        help="draw other problems; the default (%(default)s) was never used to choose a model or a parameter",
    )
    add_batch_options(parser, parallel=16)
    add_model_options(parser)
    parser.set_defaults(carry_out=evidence, context=1024)


def evidence(arguments: argparse.Namespace) -> int:
    folder = arguments.out or Path("evidence")
    if arguments.resume:
        return go_on(arguments, folder)
    problems = demo_problems(arguments.problems, arguments.problem_seed)
    return begin(arguments, folder, "evidence", problems, arms_of(ARMS, DEMO_SETTINGS))


def demo_problems(count: int, seed: int = PROBLEM_SEED) -> list[Problem]:
    """The same ones each time."""
    made = islice(held_out_problems(seed), count)
    return [Problem(each.id, each.question, each.answer, {}, line) for line, each in enumerate(made, 1)]
