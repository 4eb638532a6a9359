"""`baton demo`: solve one problem with the small model, with both, and with the large one."""

from __future__ import annotations

import click

from baton_reasoning.app.terminal.command_line import command
from baton_reasoning.app.terminal.exit_codes import ExitCode
from baton_reasoning.app.terminal.output import write
from baton_reasoning.app.terminal.pair import DEMO_PAIR, LoadingOptions, open_pair
from baton_reasoning.app.terminal.signals import exit_code_of_signal, stops_on_interrupt
from baton_reasoning.app.terminal.solve import print_steps
from baton_reasoning.core.batch.reading.problems import read_problems
from baton_reasoning.core.batch.running.arms import arms_of
from baton_reasoning.core.demo_pair import DEMO_SETTINGS, READY_PROBLEMS
from baton_reasoning.core.demo_pair.scoreboard import ScoredArm, ScoreRow, lines
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.run import ask, run
from baton_reasoning.core.thinking.interruptions import Control

ABOUT = (
    "Two tiny models come with Baton. They were trained for puzzles like this one\n"
    "and can do nothing else. Weights that change no token make them cost what a\n"
    "real pair costs, 1 to 13. `baton solve --small … --large …` takes real models."
)
CONTEXT = 1024
"""Tokens; enough for every ready problem."""
HEADINGS = ("Small alone", "Both", "Large alone")


@command("demo")
@click.argument("number", type=int, default=1)
def demo(number: int) -> int:
    """Solve one problem with the small model, with both, and with the large one; say who was right, and how fast.

    The demo pair comes with the program. It can solve this one kind of problem and nothing else. NUMBER is one of the
    ready problems, which were chosen because the small model alone gets them wrong.
    """
    problem = _ready_problem(number)
    write(f"{ABOUT}\n\n{problem.text}\n")
    expected = problem.expected or ""
    rows: list[ScoreRow] = []
    control = Control()
    with open_pair(DEMO_PAIR, LoadingOptions(CONTEXT), costly_demo=True) as pair:
        for heading, arm in zip(HEADINGS, arms_of([arm.value for arm in ScoredArm], DEMO_SETTINGS), strict=True):
            _write_heading(heading)
            with stops_on_interrupt(control):
                trace = print_steps(run(pair, ask(problem.text, arm.settings), arm.settings, control=control))
            if control.stopped:
                return exit_code_of_signal()
            rows.append(ScoreRow.of(trace, expected))
            write()
    _write_heading(f"The answer is {expected}")
    write("\n".join(lines(rows)))
    return ExitCode.ANSWERED


def _write_heading(title: str) -> None:
    write(f"── {title} ".ljust(64, "─"))


def _ready_problem(number: int) -> Problem:
    problems = read_problems(READY_PROBLEMS).problems
    if not 1 <= number <= len(problems):
        raise SettingsError(f"There is no ready problem {number}.", f"Choose 1 to {len(problems)}.")
    return problems[number - 1]
