"""`baton evidence`: test on the demo pair whether it matters where the large model writes."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

from app.terminal.batch_run import BatchOptions, BatchRun, batch_options, begin, go_on, refuse_given
from app.terminal.command_line import command, option
from app.terminal.options import AT_LEAST_ONE, SEED
from app.terminal.pair import LoadingOptions, ModelOptions, loading_options, model_options
from app.terminal.servers import ServerOptions, server_options
from core.batch.running.recipes import arms_of
from core.demo_pair import DEMO_SETTINGS, held_out_problems
from core.problem import Problem

ARMS = (
    *("small", "large", "baton", "paper", "reference", "every-step"),
    *("entropy", "score", "agreement", "self-check", "triggers", "relay", "periodic", "random"),
)
PROBLEM_SEED = 20_261_124
"""A seed that was never used to choose a model or a parameter."""
CONTEXT = 1024


@command("evidence")
@option("--problems", type=AT_LEAST_ONE, default=400, metavar="N", help="Held-out problems [400].")
@option("--seeds", type=AT_LEAST_ONE, default=3, metavar="N", help="Seeds of each problem [3].")
@option(
    "--problem-seed",
    type=SEED,
    default=PROBLEM_SEED,
    metavar="N",
    help=f"Draw other problems; the default ({PROBLEM_SEED}) was never used to choose a model or a parameter.",
)
@batch_options(parallel=16)
@model_options
@loading_options
@server_options
def evidence(
    problems: int,
    seeds: int,
    problem_seed: int,
    options: BatchOptions,
    models: ModelOptions,
    loading: LoadingOptions,
    servers: ServerOptions,
) -> int:
    """Test on the demo pair whether it matters where the large model writes.

    Runs each model alone, every policy, and random takeovers with an equal large share, on problems that neither model
    was trained on. It takes minutes and needs no network. The report is written into the folder (--out).
    """
    options = replace(options, no_history=True)  # thousands of rows that nobody looks for there
    run = BatchRun(options.out or Path("evidence"), options, models.or_demo(), loading.with_context(CONTEXT), servers)
    if options.resume:
        refuse_given(("problems", "seeds", "problem_seed"), "--resume", "the batch keeps what it was begun with")
        return go_on(run)
    return begin(run, "evidence", demo_problems(problems, problem_seed), arms_of(ARMS, DEMO_SETTINGS), range(seeds))


def demo_problems(count: int, seed: int = PROBLEM_SEED) -> list[Problem]:
    """Return the same problems each time."""
    made = islice(held_out_problems(seed), count)
    return [Problem(each.id, each.question, each.answer, {}, line) for line, each in enumerate(made, 1)]
