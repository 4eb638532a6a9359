"""`baton batch`: solve and grade a file of problems under one or several arms."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from baton_reasoning.app.terminal.batch_merge import merge_folders
from baton_reasoning.app.terminal.batch_run import (
    BatchOptions,
    BatchRun,
    batch_options,
    begin,
    go_on,
    grade_again,
    refuse_given,
    report_again,
    write_for_tools,
)
from baton_reasoning.app.terminal.command_line import command, option
from baton_reasoning.app.terminal.options import AT_LEAST_ONE, RunOptions, run_options, run_settings
from baton_reasoning.app.terminal.output import remark
from baton_reasoning.app.terminal.pair import LoadingOptions, ModelOptions, loading_options, model_options
from baton_reasoning.app.terminal.standard_input import read_input_as_file
from baton_reasoning.core.batch.reading.columns import ColumnNames
from baton_reasoning.core.batch.reading.hub_data import PREFIX, HubDataSet
from baton_reasoning.core.batch.reading.problem_set import ProblemSet
from baton_reasoning.core.batch.reading.problems import read_data_set, read_problems
from baton_reasoning.core.batch.reporting.other_tools import TOOLS
from baton_reasoning.core.batch.reporting.repetition import Repetition, read_repetition
from baton_reasoning.core.batch.running.recipes import RECIPES, arms_of
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.files import expanded
from baton_reasoning.core.grading.verdict import How, Regex
from baton_reasoning.core.models.preferences import load_preferences
from baton_reasoning.core.paths import Paths

ARMS = "; ".join(f"{name}: {recipe.title}" for name, recipe in RECIPES.items())


NEW_BATCH_ONLY = (
    *("arm", "other_large", "other_small", "drafting", "seeds", "limit", "problem_column", "answer_column"),
    *("grade", "pattern", "policy", "preset", "set", "cues", "seed", "max_tokens", "temperature", "top_p", "top_k"),
)
"""Options that a resumed batch cannot change."""


@command("batch", epilog=f"Arms. {ARMS}.")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@option("--arm", multiple=True, type=click.Choice(list(RECIPES)), metavar="NAME", help="Run this arm; may be repeated.")
@option("--other-large", multiple=True, metavar="MODEL", help="Run the arms with this large model, too.")
@option("--other-small", multiple=True, metavar="MODEL", help="Run the arms with this small model, too.")
@option(
    "--drafting",
    multiple=True,
    metavar="URL",
    help="A server with a draft model, for the arm “drafted”; may be repeated.",
)
@option(
    "--seeds", type=AT_LEAST_ONE, default=1, metavar="N", help="Solve each problem with N seeds, from --seed on [1]."
)
@option("--limit", type=AT_LEAST_ONE, metavar="K", help="Only the first K problems.")
@option("--problem-column", metavar="NAME", help="Take the column with this name.")
@option("--answer-column", metavar="NAME", help="Take the column with this name.")
@option("--ungraded", is_flag=True, help="Run even if no problem has an answer to compare with.")
@option("--grade", type=click.Choice([how.value for how in How]), help="How answers are compared [auto].")
@option(
    "--pattern", metavar="REGEX", help="An answer is right if this matches; {expected} stands for the expected answer."
)
@option(
    "--again",
    type=click.Path(path_type=Path),
    metavar="REPORT",
    help="Run the batch of this report.json again, in another folder.",
)
@option(
    "--write-for",
    multiple=True,
    type=click.Choice(list(TOOLS)),
    metavar="TOOL",
    help=f"Write the results in the folder for another tool, without running anything: {', '.join(TOOLS)}.",
)
@option("--report", is_flag=True, help="Write results and report for the folder as it is, without running anything.")
@option(
    "--merge",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Join the batch in this folder with the others that are named so, and report them as one; run nothing.",
)
@option("--regrade", is_flag=True, help="Extract and grade the answers in the folder again, without running anything.")
@batch_options(parallel=8)
@run_options
@model_options
@loading_options
def batch(  # noqa: PLR0913
    file: Path | None,
    arm: tuple[str, ...],
    other_large: tuple[str, ...],
    other_small: tuple[str, ...],
    drafting: tuple[str, ...],
    seeds: int,
    limit: int | None,
    problem_column: str | None,
    answer_column: str | None,
    ungraded: bool,
    grade: str | None,
    pattern: str | None,
    again: Path | None,
    write_for: tuple[str, ...],
    report: bool,
    merge: tuple[Path, ...],
    regrade: bool,
    options: BatchOptions,
    method: RunOptions,
    models: ModelOptions,
    loading: LoadingOptions,
) -> int:
    """Solve and grade the problems in FILE under one or several arms, and report how they compare.

    FILE is JSON, CSV, text, Excel, Parquet, a folder of them, or a data set on the Hub, such as
    hf:openai/gsm8k@REVISION:main/test; - reads JSON, CSV or text from standard input.
    """
    folder = options.out or Path(_results_folder(file))
    run = BatchRun(folder, options, models, loading)
    how = _how(grade, pattern)
    if write_for:
        return write_for_tools(run, write_for)
    if report:
        return report_again(run)
    if merge:
        if file:
            raise SettingsError(f"{file} is not merged.", "Name each folder with an option of its own: --merge FOLDER.")
        return merge_folders(run, merge)
    if regrade:
        return grade_again(run, how if grade or pattern else None)
    if options.resume:
        refuse_given(NEW_BATCH_ONLY, "--resume", "the batch keeps the settings it was begun with")
        return go_on(run)
    if again:
        refuse_given(NEW_BATCH_ONLY, "--again", "the batch is run as the report says")
        return _repeat(run, read_repetition(expanded(again)))
    if file is None:
        raise SettingsError("No file of problems is named.", "Name one: baton batch problems.jsonl.")
    found = _read(file, limit, ColumnNames(problem_column, answer_column))
    for line in found.summary():
        remark(line)
    if not (found.with_answer or ungraded):
        raise SettingsError(
            "No problem has an answer to compare with, so nothing can be graded.",
            "Name the column with --answer-column, or add --ungraded to run them all the same.",
        )
    settings = run_settings(method, is_demo=models.is_demo)
    arms = arms_of(arm or ["chosen"], settings, other_large, drafting, other_small)
    first = method.seed or 0
    return begin(run, found.name, found.problems, arms, range(first, first + seeds), how, found.origin)


def _repeat(run: BatchRun, found: Repetition) -> int:
    """Run the batch of a report again, with its models and context unless others are given."""
    for sentence in found.changed_models():
        remark(sentence)
    report = found.report
    small, large = (model.source if model else "" for model in (report.small, report.large))
    models = ModelOptions(run.models.small or small, run.models.large or large)
    loading = run.loading.with_context(found.context) if found.context else run.loading
    run = replace(run, models=models, loading=loading).with_parallel_of(report.parallel)
    origin = report.provenance.problems
    return begin(run, report.name, found.problems, found.arms, report.seed_numbers, found.how, origin)


def _read(file: Path, limit: int | None, named: ColumnNames) -> ProblemSet:
    """Read problems from a file, a folder, standard input, or a data set on the Hub."""
    name = file.as_posix()
    if name == "-":
        with TemporaryDirectory(prefix="baton-") as folder:
            return read_problems(read_input_as_file(Path(folder)), limit=limit, named=named)
    if not name.startswith(PREFIX):
        return read_problems(expanded(file), limit=limit, named=named)
    from baton_reasoning.core.models.hub import Hub  # it takes a third of a second to import

    access = load_preferences(Paths.of_user().model_preferences).access(None)
    return read_data_set(name, Hub(access), limit, named)


def _results_folder(file: Path | None) -> str:
    """Return the folder for the results if --out is not given."""
    if file is None or str(file) == "-":
        return "results"
    name = file.as_posix()
    return f"{HubDataSet.parse(name).name.rpartition('/')[2] if name.startswith(PREFIX) else file.stem}-results"


def _how(grade: str | None, pattern: str | None) -> How | Regex:
    how = How(grade or (How.REGEX if pattern else How.AUTO))
    if (how is How.REGEX) is not bool(pattern):
        raise SettingsError("--grade regex and --pattern belong together.", "Give both, or neither.")
    return Regex(pattern) if pattern else how
