"""The commands of `baton batch` that run, grade and report a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import click

from baton_reasoning.app.terminal import options
from baton_reasoning.app.terminal.batch_run import BatchRun
from baton_reasoning.app.terminal.command_line import OUTPUT, Function, as_json, command, gathered, option
from baton_reasoning.app.terminal.models import file_here, hub_access, source_of
from baton_reasoning.app.terminal.output import progress, write
from baton_reasoning.app.terminal.streams import ExitCode, opened_input, remark, write_json
from baton_reasoning.core.batch.reading.columns import Corrections
from baton_reasoning.core.batch.reading.hub_data import PREFIX, HubDataSet
from baton_reasoning.core.batch.reading.problems import ProblemSet, read_data_set, read_problems
from baton_reasoning.core.batch.reading.source import ProblemSource
from baton_reasoning.core.batch.running.arms import Arm, arms_of, known_arms, settings_of_all
from baton_reasoning.core.batch.running.batch import add_arms, add_seeds, without_duplicates
from baton_reasoning.core.batch.running.regrading import Regraded, regrade, regraded_in_words
from baton_reasoning.core.batch.running.workload import MeasuredPair, Workload
from baton_reasoning.core.errors import ProblemFileError, SettingsError
from baton_reasoning.core.files import expanded
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.grading.verdict import Grading, GradingMethod, Regex
from baton_reasoning.core.model_costs import ModelCosts
from baton_reasoning.core.models.hub import Hub
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.run_command import run_settings, settable
from baton_reasoning.core.thinking.policy import PolicySettings

NOT_GRADED = "none"
HOWS = (*(how.value for how in GradingMethod if how is not GradingMethod.REGEX), f"{GradingMethod.REGEX.value}:PATTERN")
GRADE_HELP = f"How answers are compared: {', '.join(HOWS)}"

folder_argument = click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
json_results = as_json.but(help="Print one JSON result per line, then the report.")


def out_option(help: str) -> Callable[[Function], Function]:
    return option(
        *("-o", "--out", "out"),
        type=click.Path(path_type=Path, file_okay=False),
        callback=lambda _context, _parameter, value: expanded(value) if value else None,
        metavar="DIR",
        group=OUTPUT,
        help=help,
    )


@dataclass(frozen=True)
class RunChoices:
    """The arms, seeds and problems of a batch, and how answers are compared."""

    arm: Annotated[
        tuple[str, ...], option(metavar="NAME", help="Run this arm (baton settings lists them); repeatable.")
    ] = ()
    seeds: Annotated[
        int, option(type=options.AT_LEAST_ONE, help="Solve each problem with N seeds, from --seed on [1].")
    ] = 1
    limit: Annotated[int | None, option(type=options.AT_LEAST_ONE, help="Only the first N problems.")] = None
    column: Annotated[
        tuple[str, ...], option(metavar="ROLE=NAME", help="Read the problem, answer or id from this column.")
    ] = ()
    encoding: Annotated[str, option(metavar="NAME", help="Encoding of text that is not Unicode, such as GBK.")] = ""
    grade: Annotated[str, option(metavar="HOW", help=f"{GRADE_HELP}, none [auto].")] = GradingMethod.AUTO.value
    dry_run: Annotated[bool, option(help="Run nothing; say how many answers, and how long.")] = False

    @property
    def is_graded(self) -> bool:
        return self.grade != NOT_GRADED

    @property
    def corrections(self) -> Corrections:
        """The encoding, and the columns that ROLE=NAME names; no answer if nothing is graded. Raises SettingsError."""
        named = {"encoding": self.encoding}
        for text in self.column:
            role, equals, name = text.partition("=")
            if role not in ("problem", "answer", "id") or not (equals and name):
                raise SettingsError(f"--column {text} names no column.", "Write problem=NAME, answer=NAME or id=NAME.")
            named[role] = name
        return Corrections(**named if self.is_graded else named | {"answer": ""})


@command("run")
@click.argument("file", type=click.Path(path_type=Path))
@gathered(RunChoices, "choices")
@option("--parallel", type=options.AT_LEAST_ONE, default=8, help="Problems to solve at once [8].")
@out_option("Folder for results and report [FILE-results; of - results].")
@json_results
@option("--no-history", is_flag=True, group=OUTPUT, help="Store the batch in DIR, not in the history.")
@options.run_options
@options.several_models
@options.loading_options
def run(
    file: Path,
    choices: RunChoices,
    parallel: int,
    out: Path | None,
    json: bool,
    no_history: bool,
    method: options.RunOptions,
    models: options.SeveralModels,
    loading: options.LoadingOptions,
) -> int:
    """Solve and grade the problems in FILE with one or several arms.
    FILE is JSON, CSV, text, Excel, Parquet, a folder, - for standard input, or a data set: hf:openai/gsm8k:main/test.
    Without models it runs the window's.
    """
    how = _how(choices.grade) if choices.is_graded else GradingMethod.AUTO
    settings = run_settings(**vars(method), is_demo=models.first.is_demo)
    arms = arms_of(choices.arm or ["chosen"], settings, models.large[1:], models.small[1:])
    for line in _what_set_reaches(method.set, settings.policy, arms):
        remark(line)
    found = _read(file, choices)
    if models.first.is_demo:
        found = found.for_demo()
    for line in found.summary():
        remark(line)
    if choices.is_graded and not found.with_answer:
        columns = f" (there are {', '.join(found.available_columns)})" if found.available_columns else ""
        raise SettingsError(
            "No problem has an answer to compare with, so nothing can be graded.",
            f"Name the column with --column answer=NAME{columns}, or add --grade none to run them all the same.",
        )
    if choices.dry_run:
        work = Workload.of(len(found.problems), without_duplicates(arms).arms, choices.seeds, _costs(models.first))
        if json:
            write_json(work._asdict() | {"answers": work.answers})
        else:
            write(work.in_words)
        if work.seconds is None and not models.first.is_demo:
            remark("The time is not known yet: baton solve measures the models that it runs.")
        return ExitCode.ANSWERED
    seeds = range(settings.seed, settings.seed + choices.seeds)
    batch = BatchRun(out or Path(_results_folder(file)), models.first, loading, parallel, json, no_history)
    return batch.begin(found.name, found.problems, arms, seeds, how, found.origin)


@command("resume")
@folder_argument
@option("--arm", multiple=True, metavar="NAME", help="Run this arm, too, made from the batch's settings; repeatable.")
@option("--seeds", type=options.AT_LEAST_ONE, help="Solve each problem with N seeds in all [as many as before].")
@option("--parallel", type=options.AT_LEAST_ONE, help="Problems to solve at once [as many as before].")
@json_results
@options.model_options
@options.loading_options
def resume(
    folder: Path,
    arm: tuple[str, ...],
    seeds: int | None,
    parallel: int | None,
    json: bool,
    models: options.ModelOptions,
    loading: options.LoadingOptions,
) -> int:
    """Continue the batch in DIR with its own settings and models, and try its errors again."""
    run = BatchRun(folder, models, loading, parallel or 0, json)
    if arm or seeds:
        with run.place.opened() as (store, batch):
            for note in add_arms(store, batch.id, arms_of(arm, settings_of_all(known_arms(batch.arms)))):
                remark(note)
            add_seeds(store, batch.id, seeds or 1)
    return run.go_on()


@command("report")
@folder_argument
@as_json
def report(folder: Path, json: bool) -> int:
    """Write results and report of the batch in DIR, also of one that is still running. Runs nothing."""
    return BatchRun(folder, json=json).conclude()


@command("grade")
@folder_argument
@option(
    "--grade",
    metavar="HOW",
    help=f"{GRADE_HELP}. An answer is right if the pattern matches it; {{expected}} stands for the expected answer [as "
    "before].",
)
@as_json
def grade(folder: Path, grade: str | None, json: bool) -> int:
    """Find and grade the answers of the batch in DIR again, and report it. Runs nothing."""
    run, how, found = BatchRun(folder, json=json), _how(grade) if grade else None, list[Regraded]()
    with run.place.opened() as (store, batch), Grader() as grader, progress("Grading", json) as line:
        for graded in regrade(store, batch.id, grader, how):
            found.append(graded)
            line.show(len(found) / max(1, batch.done), f"{len(found):,} of {batch.done:,}")
    remark(regraded_in_words(found))
    return run.conclude()


def _read(file: Path, choices: RunChoices) -> ProblemSet:
    """Read problems from a file, a folder, standard input, or a data set on the Hub."""
    name, how = file.as_posix(), (choices.limit, choices.corrections)
    if name == "-":
        source = ProblemSource.read("standard-input", opened_input().buffer, choices.encoding)
        if not source.data.strip():
            raise ProblemFileError(
                "Nothing came on standard input.", "Pipe problems into it, or name a file instead of -."
            )
        return read_problems(source, *how)
    if not name.startswith(PREFIX):
        return read_problems(expanded(file), *how)
    return read_data_set(name, Hub(hub_access()), *how)


def _what_set_reaches(assignments: Sequence[str], policy: PolicySettings, arms: Sequence[Arm]) -> Iterator[str]:
    """Name the arms that have a parameter which --set changed: policies share names, such as n1 and tau."""
    for name in (text.partition("=")[0] for text in assignments):
        if name in settable(type(policy)):
            value = getattr(policy, name)
            reached = [arm.name for arm in arms if getattr(arm.settings.policy, name, None) == value]
            yield f"--set {name} reaches the arms {', '.join(reached)}." if reached else f"--set {name} reaches no arm."


def _costs(models: options.ModelOptions) -> MeasuredPair:
    """Return what these models cost where that was measured on this machine; nothing of the demo pair."""
    if models.is_demo:
        return MeasuredPair()
    costs = ModelCosts(Paths.of_user().model_costs)
    files = [text and file_here(source_of(text)) for text in models.texts]
    return MeasuredPair(*(costs.of_file(file) if file else None for file in files))


def _results_folder(file: Path) -> str:
    """Return the folder for the results if --out is not given."""
    name = file.as_posix()
    if not file.name.strip("-."):  # standard input, or a folder without a name, such as “.”
        return "results"
    return f"{HubDataSet.parse(name).name.rpartition('/')[2] if name.startswith(PREFIX) else file.stem}-results"


def _how(text: str) -> Grading:
    """Return how answers are compared. Raises SettingsError."""
    kind, colon, pattern = text.partition(":")
    if kind == GradingMethod.REGEX.value and pattern:
        return Regex(pattern)
    if colon or kind not in HOWS:
        raise SettingsError(f"--grade cannot be {text!r}.", f"Choose one of {', '.join(HOWS)}.")
    return GradingMethod(kind)
