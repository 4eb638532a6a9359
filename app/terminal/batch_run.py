"""Run, resume, grade, report and export a batch in a folder, for `baton batch` and `baton evidence`."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import click

from baton_reasoning.app.shared.labels import bills_of
from baton_reasoning.app.terminal.batch_folder import BatchFolder
from baton_reasoning.app.terminal.command_line import OUTPUT, option
from baton_reasoning.app.terminal.exit_codes import ExitCode
from baton_reasoning.app.terminal.model_files import source_of
from baton_reasoning.app.terminal.options import AT_LEAST_ONE
from baton_reasoning.app.terminal.output import ProgressLine, progress, remark, terminal_width, write
from baton_reasoning.app.terminal.pair import LoadingOptions, ModelOptions, open_pair
from baton_reasoning.app.terminal.signals import exit_code_of_signal, stops_on_interrupt
from baton_reasoning.app.terminal.streams import report, write_json
from baton_reasoning.core.batch.reading.problem_set import ProblemOrigin
from baton_reasoning.core.batch.reporting.exported_result import ExportedResult
from baton_reasoning.core.batch.reporting.exports import EXPORTS, write_export
from baton_reasoning.core.batch.reporting.report import Report
from baton_reasoning.core.batch.reporting.report_text import text_report
from baton_reasoning.core.batch.reporting.results import Results
from baton_reasoning.core.batch.running.arms import Arm, OtherModels, by_models, needs
from baton_reasoning.core.batch.running.batch import (
    BatchSettings,
    Provenance,
    create_batch,
    local_context,
    without_duplicates,
)
from baton_reasoning.core.batch.running.progress import (
    BatchEvent,
    BatchProgress,
    Calibrated,
    Finishing,
    JobEnded,
    JobRetried,
    JobStarted,
    time_left,
)
from baton_reasoning.core.batch.running.regrading import RegradeCounts, regrade
from baton_reasoning.core.batch.running.runner import Runner
from baton_reasoning.core.files import expanded
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.grading.verdict import How, Regex
from baton_reasoning.core.models.gguf import read_header
from baton_reasoning.core.models.options import DemoModel, local_path
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.run import Pair
from baton_reasoning.core.store.batches import ArmTotals, JobState, ResultRow
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.text import counted

MANY_JOBS = 2_000
"""From here on it takes a while to create them."""

Function = TypeVar("Function", bound=Callable[..., Any])


json_results = option("--json", is_flag=True, group=OUTPUT, help="One JSON result a line; the last line is the report.")
no_history_option = option("--no-history", is_flag=True, group=OUTPUT, help="Keep the batch in its folder only.")


def parallel_option(help: str, default: int | None = None) -> Callable[[Function], Function]:
    return option("--parallel", type=AT_LEAST_ONE, default=default, metavar="N", help=help)


def out_option(help: str, *, required: bool = False) -> Callable[[Function], Function]:
    return option(
        *("-o", "--out", "out"),
        type=click.Path(path_type=Path, file_okay=False),
        callback=lambda _context, _parameter, value: expanded(value) if value else None,
        required=required,
        metavar="DIR",
        group=OUTPUT,
        help=help,
    )


@dataclass(frozen=True)
class BatchRun:
    """Where a batch is kept, and with which models it runs."""

    folder: Path
    models: ModelOptions = field(default_factory=ModelOptions)
    loading: LoadingOptions = field(default_factory=LoadingOptions)
    parallel: int = 0
    """Problems at once; 0 for as many as the batch had before."""
    json: bool = False
    no_history: bool = False
    prints_report: bool = True
    continued_by: str = ""
    """The command that continues it; by default `baton batch resume`."""

    @property
    def place(self) -> BatchFolder:
        return BatchFolder(self.folder, self.no_history)

    @property
    def to_continue(self) -> str:
        return self.continued_by or shlex.join(["baton", "batch", "resume", str(self.folder)])

    def provenance(self, problems: ProblemOrigin) -> Provenance:
        return Provenance.of_this_machine([Path(sys.argv[0]).name, *sys.argv[1:]], *self.models.texts, problems)

    def resumed(self, settings: BatchSettings) -> BatchRun:
        """Return a run with models, context and problems at once as the batch had them, unless others are given."""
        small, large = (model.source if model else "" for model in (settings.small, settings.large))
        context = local_context(settings.small, settings.large)
        return replace(
            self,
            models=self.models.or_those(small, large),
            loading=self.loading.with_context(context) if context else self.loading,
            parallel=self.parallel or settings.parallel,
        )


def begin(
    run: BatchRun,
    name: str,
    problems: Sequence[Problem],
    arms: Sequence[Arm],
    seeds: Sequence[int],
    how: How | Regex = How.AUTO,
    origin: ProblemOrigin = ProblemOrigin(),  # noqa: B008 - immutable
) -> int:
    """Create a batch in the folder and run it."""

    def create(store: Store) -> str:
        if (jobs := len(problems) * len(distinct.arms) * len(seeds)) > MANY_JOBS:
            remark(f"Saving {jobs:,} jobs, so that the batch can be stopped and resumed at any time.")
        batch = create_batch(store, name, problems, distinct.arms, seeds, run.parallel, how, run.provenance(origin))
        run.place.name(batch)
        return batch

    distinct = without_duplicates(arms)
    with run.place.reserved():
        for note in distinct.notes:
            remark(note)
        return _run_arms(run, distinct.arms, create)


def go_on(run: BatchRun) -> int:
    """Resume the batch in the folder with its own settings, and retry its errors."""
    with run.place.store() as store:
        batch = run.place.batch(store)
        run = run.resumed(BatchSettings.of(batch))
        progress = BatchProgress(store.batches.totals(batch.id), run.parallel)
        arms = [Arm.of(stored) for stored in batch.arms if progress.to_run(stored.name, retry=True)]
    return _run_arms(run, arms, lambda _: batch.id) if arms else _conclude(run, batch.id)


def grade_again(run: BatchRun, how: How | Regex | None) -> int:
    """Extract and grade the answers again. If `how` is None, they are graded as before."""
    counts = RegradeCounts()
    with run.place.store() as store, Grader() as grader, progress("Grading", run.json) as line:
        batch = run.place.batch(store)
        for graded in regrade(store, batch.id, grader, how):
            counts.take(graded)
            line.show(counts.answers / max(1, batch.done), f"{counts.answers:,} of {batch.done:,}")
    remark(counts.summary)
    return _conclude(run, batch.id)


def report_again(run: BatchRun) -> int:
    """Write results and report, also for a batch that is not done or still running."""
    with run.place.store() as store:
        batch = run.place.batch(store)
    return _conclude(run, batch.id)


def _run_arms(run: BatchRun, arms: Sequence[Arm], batch: Callable[[Store], str]) -> int:
    """Run the arms, one pair of models after the other. The batch is created once the first pair is loaded."""
    batch_id = ""
    groups = by_models(arms)
    for names in groups:  # a missing file is reported before the first pair runs
        for text, demo in ((names.small, DemoModel.SMALL), (names.large, DemoModel.LARGE)):
            if text and (path := local_path(source_of(text, demo))):
                read_header(path)
    for names, group in groups.items():
        models = run.models.with_others(names)
        opened = open_pair(models, run.loading, needs(group), parallel=run.parallel)
        with opened as pair, run.place.store() as store:
            batch_id = batch_id or batch(store)
            is_ended = _run_with(pair, names, run, store, batch_id)
            totals = store.batches.totals(batch_id)
            ran = {arm.name for arm in group}
            waits = any(row.state is JobState.WAITING and row.arm in ran for row in store.batches.results(batch_id))
        if is_ended or waits:
            return _stopped(run, batch_id, totals)
    code = _conclude(run, batch_id)
    if claimed := sum(total.jobs - total.done for total in totals):
        again = shlex.join(["baton", "batch", "report", str(run.folder)])
        report(f"Another program is writing {counted(claimed, 'answer')}. When it is done: {again}")
        return ExitCode.FAILED
    return code


def _stopped(run: BatchRun, batch_id: str, totals: Sequence[ArmTotals]) -> int:
    """Report how far a stopped batch came, and say how to resume it."""
    run.place.refuse_lost()
    jobs, done = sum(arm.jobs for arm in totals), sum(arm.done for arm in totals)
    if done == jobs:  # the last answers were under way, and were finished
        _conclude(run, batch_id)
    else:
        with run.place.store() as store:
            _print(run, Results.read(store, batch_id).report)
        report(
            f"Stopped at {done:,} of {jobs:,}; every answer is saved. To continue: {run.to_continue}. "
            f"To write results and report so far: {shlex.join(['baton', 'batch', 'report', str(run.folder)])}"
        )
    return exit_code_of_signal()


def _run_with(pair: Pair, names: OtherModels, run: BatchRun, store: Store, batch_id: str) -> bool:
    """Run all arms of these models; returns whether a signal has ended that."""
    json = run.json
    with Grader() as grader:
        runner = Runner(store, batch_id, pair, grader, run.parallel, names, retry=True)
        done = BatchProgress(store.batches.totals(batch_id), run.parallel)
        problems = list(store.batches.problems(batch_id)) if json else []
        with (
            stops_on_interrupt(runner, runner.finish),
            progress("Batch", json) as line,
            contextlib.closing(runner.run()) as events,
        ):
            for row in _ended(events, done, line):
                if json:
                    trace, _ = store.runs.read(row.run)
                    result = ExportedResult.of(batch_id, problems[row.position], row, trace)
                    write_json(result.model_dump(mode="json", by_alias=True))
    for bill in bills_of(pair):
        (remark if json else write)(bill)
    return runner.ending


def _ended(events: Iterator[BatchEvent], done: BatchProgress, line: ProgressLine) -> Iterator[ResultRow]:
    """Yield each row as it is done, and show progress."""
    arm = ""
    for event in events:
        match event:
            case Calibrated():
                line.remark(f"{event.arm}: p = {event.chance:.3f} for a large share of {event.share:.1%}")
            case Finishing(answers):
                line.report(f"Finishing {counted(answers, 'answer')}. Press Ctrl+C again to stop now.")
            case JobStarted(job):
                arm = job.arm
            case JobRetried(row):
                done.retried(row)
            case JobEnded(row):
                done.ended(row)
                yield row
        line.show(done.done / max(1, done.jobs), f"{arm} · {_counts(done)}")


def _counts(done: BatchProgress) -> str:
    return (
        f"{done.done:,} of {done.jobs:,} · {done.correct:,} ✓ {done.wrong:,} ✗ {done.unscored:,} – · "
        f"{counted(done.failed, 'error')} · {time_left(done.seconds_left())}"
    )


def _conclude(run: BatchRun, batch_id: str) -> int:
    """Write results and report, print the report, and return the exit code."""
    run.place.refuse_lost()
    with run.place.store() as store, progress("Writing results", run.json) as line:
        results = Results.read(store, batch_id)
        for written, ending in enumerate(EXPORTS, 1):
            file = run.place.file(ending)
            write_export(results, file)
            line.show(written / len(EXPORTS), file.name)
    _print(run, results.report)
    if not (failed := sum(arm.failed for arm in results.report.arms)):
        return ExitCode.ANSWERED
    report(f"{counted(failed, 'error')}. The report has the reasons. To try again: {run.to_continue}")
    return ExitCode.FAILED


def _print(run: BatchRun, found: Report) -> None:
    if run.json:
        write_json({"report": found.model_dump(mode="json", by_alias=True)})
    elif run.prints_report:
        write(text_report(found, terminal_width()))
