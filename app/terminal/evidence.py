"""`baton evidence`: test on the demo pair whether it matters where the large model writes, and what time that saves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import click

from baton_reasoning.app.terminal.batch_commands import json_results, out_option
from baton_reasoning.app.terminal.batch_run import BatchRun
from baton_reasoning.app.terminal.command_line import command, option
from baton_reasoning.app.terminal.options import AT_LEAST_ONE, DEMO_PAIR, SEED, LoadingOptions, ModelOptions
from baton_reasoning.app.terminal.output import write, write_table
from baton_reasoning.app.terminal.streams import ExitCode, remark
from baton_reasoning.core.batch.reporting.figures import estimated, interval, percent
from baton_reasoning.core.batch.reporting.report import Report
from baton_reasoning.core.batch.running.arms import Arm, arms_of
from baton_reasoning.core.batch.running.batch import BatchSettings, without_duplicates
from baton_reasoning.core.demo_pair import DEMO_SETTINGS, held_out_problems
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.models.load_options import Switch
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.table import NOTHING, Table, columns_of
from baton_reasoning.core.text import counted

ARMS = ("small", "large", "baton", "paper", "random")
OTHER_ARMS = (
    *("reference", "every-step", "first-token-entropy", "token-entropy", "stitch"),
    *("step-score", "relay", "cascade"),
)
LAST = ("small", "random")
"""Below all others in the table, whatever their accuracy."""
USUAL_SIZE, SIZE_OF_ALL = (400, 3, 10), (60, 1, 4)
"""Problems, seeds and timed problems of the few arms in README and of all: 20 minutes on two cores."""
DRAFTED = "drafted"
"""Timed only: drafts change no token, and need one text at a time."""
PROBLEM_SEED = 20_261_124
"""A seed that was never used to choose a model or a parameter."""
CONTEXT = 1024
COLUMNS = columns_of(
    ("arm", "correct", "95% interval", "large share", "gap recovered", "s/answer", "time / large alone")
)


@command("evidence")
@option("--limit", type=AT_LEAST_ONE, help="Only the first N held-out problems [400; with --all 60].")
@option("--seeds", type=AT_LEAST_ONE, help="Solve each problem with N seeds [3; with --all 1].")
@option(
    "--problem-seed",
    type=SEED,
    default=PROBLEM_SEED,
    help=f"Draw other problems; the default ({PROBLEM_SEED}) was never used to choose a model or a parameter.",
)
@option("--all", is_flag=True, help="Run every policy and control, not only the arms in README.")
@option("--cost", type=click.IntRange(2, 100), help="Also time the arms on a pair whose models cost 1 to N.")
@option("--parallel", type=AT_LEAST_ONE, default=16, help="Problems to solve at once [16].")
@out_option("Folder for results and report [evidence].")
@json_results
def evidence(
    limit: int | None,
    seeds: int | None,
    problem_seed: int,
    all: bool,
    cost: int | None,
    parallel: int,
    out: Path | None,
    json: bool,
) -> int:
    """Test on the demo pair whether it matters where the large model writes, and with --cost what time that saves.

    Runs each model alone, both together, and random takeovers with an equal large share, on problems that neither model
    was trained on. It takes minutes and needs no network. If it is stopped, the same command continues it.

    The demo pair's models cost nearly the same. --cost N adds weights that change no token, so that they cost as 1 to
    N, and times the same arms and speculative decoding on some of the problems, one after another.
    """
    run = BatchRun(
        out or Path("evidence"),
        DEMO_PAIR,
        LoadingOptions(CONTEXT),
        parallel,
        json,
        no_history=True,  # thousands of rows that nobody looks for there
        continued_by="the same command",
    )
    arms = arms_of([*ARMS, *OTHER_ARMS] if all else ARMS, DEMO_SETTINGS)
    usual_limit, usual_seeds, timed = SIZE_OF_ALL if all else USUAL_SIZE
    drawn = islice(held_out_problems(problem_seed), limit or usual_limit)
    problems = [Problem(each.id, each.question, each.answer, {}, line) for line, each in enumerate(drawn, 1)]
    seed_numbers = range(seeds or usual_seeds)
    if run.place.holds_batch:
        _refuse_other(run, problems, arms, seed_numbers)
        code = run.go_on()
    else:
        code = run.begin("evidence", problems, arms, seed_numbers)
    if not cost or code is not ExitCode.ANSWERED:
        return code
    return _time(run, cost, timed)


def _refuse_other(run: BatchRun, problems: Sequence[Problem], arms: Sequence[Arm], seeds: Sequence[int]) -> None:
    """Raise SettingsError if the batch in the folder has other problems, arms or seeds."""
    with run.results() as found:
        is_same = (
            [each.text for each in found.problems] == [each.text for each in problems]
            and {each.name for each in found.batch.arms} == {each.name for each in without_duplicates(arms).arms}
            and BatchSettings.of(found.batch).seed_numbers == tuple(seeds)
        )
    if not is_same:
        raise SettingsError(
            f"{run.folder} holds a batch with other problems, arms or seeds.",
            "Repeat the command that began it, or name another --out.",
        )


def _time(run: BatchRun, cost: int, count: int) -> int:
    """Time the arms of a batch that is done with the costly pair, on its first problems, and join both in a table."""
    from baton_reasoning.core.demo_pair.costly import costly_pair

    with run.results() as done:
        accuracy = done.report
    remark(f"Making the pair at a cost of 1:{cost}, unless it was made before.")
    small, large = map(str, costly_pair(cost, Paths.of_user().demo_pair))
    timing = replace(
        run,
        folder=run.folder / f"cost-{cost}",
        parallel=1,
        models=ModelOptions(small, large),
        loading=LoadingOptions(CONTEXT, threads=1, drafts=Switch.ON),  # one thread, as the demo has
        prints_report=False,
    )
    if timing.place.holds_batch:
        code = timing.go_on()
    else:
        name = f"evidence at a cost of 1:{cost}"
        code = timing.begin(name, done.problems[:count], _timed_arms(accuracy), [0])
    if code is ExitCode.ANSWERED and not run.json:
        with timing.results() as timed:
            table = joined(accuracy, timed.report, cost)
        write()
        write_table(table)
    return code


def _timed_arms(accuracy: Report) -> list[Arm]:
    """Return the arms that have run, random takeovers with the chance found for them, and speculative decoding."""
    arms = []
    for each in accuracy.arms:
        arm = Arm.model_validate({"name": each.name, **each.settings})
        if (chance := accuracy.chances.get(each.name)) is not None:
            arm = arm.with_chance(chance).model_copy(update={"equal_share_of": ""})
        arms.append(arm)
    return [*arms[:2], *arms_of([DRAFTED], DEMO_SETTINGS), *arms[2:]]


def joined(accuracy: Report, times: Report, cost: int) -> Table:
    """Join the figures of both batches: the most accurate arm first, chance last.

    Drafts have the accuracy of the large model alone, whose tokens they are.
    """
    timed = {arm.name: arm for arm in times.arms}
    graded = [(arm.name, arm) for arm in accuracy.arms]
    graded += [(DRAFTED, arm) for arm in accuracy.arms if arm.name == "large" and DRAFTED in timed]
    graded.sort(key=lambda pair: (pair[0] in LAST, -pair[1].accuracy.value if pair[1].accuracy else 0))
    rows = []
    for name, arm in graded:
        time = timed.get(name)
        figures = (
            percent(arm.accuracy.value) if arm.accuracy else NOTHING,
            interval(arm.accuracy),
            percent(arm.large_share),
            estimated(arm.gap_recovered),
            f"{time.seconds_per_answer:.2f}" if time else NOTHING,
            estimated(time.time_ratio) if time else NOTHING,
        )
        rows.append((name, *figures))
    answers = f"{counted(accuracy.problems, 'problem')}, {counted(accuracy.seeds, 'seed')}"
    title = f"Accuracy of {answers}; times of {times.problems} at a cost of 1:{cost}"
    return Table(title, COLUMNS, tuple(rows))
