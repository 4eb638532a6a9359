"""A batch in a folder, as `baton batch` and `baton evidence` run it: begun, resumed, graded again, reported."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import click

from app.shared.labels import bills_of
from app.terminal.command_line import OUTPUT, gathered, option
from app.terminal.exit_codes import ExitCode
from app.terminal.options import AT_LEAST_ONE
from app.terminal.output import ProgressLine, progress, remark, write
from app.terminal.pair import LoadingOptions, ModelOptions, open_pair
from app.terminal.servers import ServerOptions
from app.terminal.signals import exit_code_of_signal, stops_on_interrupt
from app.terminal.streams import report, write_json
from core.batch.arms import Arm, by_large_model, needs
from core.batch.batch_events import BatchEvent, Calibrated, JobEnded, JobStarted
from core.batch.creation import create_batch
from core.batch.exports import EXPORTS, export
from core.batch.progress import BatchProgress, in_words
from core.batch.regrading import regrade
from core.batch.report import Report, report_of
from core.batch.report_text import comparisons, footnotes, heading, report_to_json, table
from core.batch.runner import Runner
from core.errors import SettingsError, StoreError
from core.grading.grader import Grader
from core.grading.verdict import How, Regex
from core.problem import Problem
from core.run import Pair
from core.store.batch_rows import Batch, ResultRow
from core.store.store import Store

STORE_FILE = "batch.sqlite"
Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class BatchOptions:
    parallel: int
    out: Path | None
    resume: bool
    json: bool


def batch_options(parallel: int) -> Callable[[Function], Function]:
    return gathered(
        BatchOptions,
        "options",
        option("--parallel", type=AT_LEAST_ONE, default=parallel, metavar="N", help=f"Problems at once [{parallel}]."),
        option("--resume", is_flag=True, help="Continue the batch in the folder; its errors are tried again."),
        option(
            *("-o", "--out", "out"),
            type=click.Path(path_type=Path, file_okay=False),
            metavar="DIR",
            group=OUTPUT,
            help="Folder for results and report.",
        ),
        option("--json", is_flag=True, group=OUTPUT, help="One JSON result a line; the last line is the report."),
    )


@dataclass(frozen=True)
class BatchRun:
    """Where a batch is kept, and with which models it runs."""

    folder: Path
    options: BatchOptions
    models: ModelOptions
    loading: LoadingOptions
    servers: ServerOptions

    @property
    def file(self) -> Path:
        return self.folder / STORE_FILE


def begin(
    run: BatchRun,
    name: str,
    problems: Sequence[Problem],
    arms: Sequence[Arm],
    seeds: Sequence[int],
    how: How | Regex = How.AUTO,
) -> int:
    """A new batch in the folder, run to its end."""
    if run.file.exists():
        raise SettingsError(
            f"{run.folder} holds a batch already.", "Add --resume to continue it, or name another --out."
        )

    def create(store: Store) -> str:
        return create_batch(store, name, problems, arms, seeds, run.options.parallel, how)

    return _run_arms(run, arms, create)


def go_on(run: BatchRun) -> int:
    """The batch that the folder holds, with the settings it was begun with; its errors are tried again."""
    with _open_store(run) as store:
        batch = _only_batch(store, run.folder)
        store.batches.retry_failed(batch.id)
        unfinished = {total.arm for total in store.batches.totals(batch.id) if total.done < total.jobs}
        arms = [Arm.of(stored) for stored in batch.arms if stored.name in unfinished]
    return _run_arms(run, arms, lambda _: batch.id) if arms else _conclude(run, batch.id)


def grade_again(run: BatchRun, how: How | Regex) -> int:
    """Other verdicts on the answers that the folder holds."""
    with _open_store(run) as store, Grader() as grader:
        batch = _only_batch(store, run.folder)
        graded = sum(1 for _ in regrade(store, batch.id, grader, how))
        remark(f"{graded:,} answers were graded again.")
    return _conclude(run, batch.id)


def _run_arms(run: BatchRun, arms: Sequence[Arm], batch: Callable[[Store], str]) -> int:
    """Each pair of models after the other; the batch is begun when the first is loaded."""
    batch_id = ""
    for guide, group in by_large_model(arms).items():
        small, large = needs(group)
        models = replace(run.models, large=guide) if guide else run.models
        opened = open_pair(models, run.loading, run.servers, small=small, large=large, parallel=run.options.parallel)
        with opened as pair, Store.open(run.file) as store:
            batch_id = batch_id or batch(store)
            _run_with(pair, guide, run, store, batch_id)
            left = {total.arm for total in store.batches.totals(batch_id) if total.done < total.jobs}
        if left & {arm.name for arm in group}:
            break  # stopped
    return _conclude(run, batch_id)


def _run_with(pair: Pair, guide: str, run: BatchRun, store: Store, batch_id: str) -> None:
    """All arms of these models, until they are done or the batch is stopped."""
    json = run.options.json
    with Grader() as grader:
        runner = Runner(store, batch_id, pair, grader, run.options.parallel, guide)
        done = BatchProgress(store.batches.results(batch_id), run.options.parallel)
        problems = list(store.batches.problems(batch_id)) if json else []
        with stops_on_interrupt(runner), progress("Batch", json) as line, contextlib.closing(runner.run()) as events:
            for row in _ended(events, done, line):
                if json:
                    write_json(row_to_json(row, problems[row.position]))
    for bill in bills_of(pair):
        (remark if json else write)(bill)


def _ended(events: Iterator[BatchEvent], done: BatchProgress, line: ProgressLine) -> Iterator[ResultRow]:
    """The rows as they come in, with progress."""
    arm = ""
    for event in events:
        match event:
            case Calibrated():
                line.remark(f"{event.arm}: p = {event.chance:.3f} for a large share of {event.share:.1%}")
            case JobStarted(job):
                arm = job.arm.name
            case JobEnded(row):
                done.ended(row)
                yield row
        line.show(done.done / max(1, done.jobs), f"{arm} · {_counts(done)}")


def _counts(done: BatchProgress) -> str:
    return (
        f"{done.done:,} of {done.jobs:,} · {done.correct:,} ✓ {done.wrong:,} ✗ {done.unscored:,} – · "
        f"{done.failed:,} errors · {in_words(done.seconds_left())}"
    )


def _conclude(run: BatchRun, batch_id: str) -> int:
    """Write results and report, and say how it stands."""
    with Store.open(run.file) as store:
        for ending in EXPORTS:
            export(store, batch_id, run.folder / f"{'results' if ending in ('.csv', '.jsonl') else 'report'}{ending}")
        found = report_of(store, batch_id)
    if run.options.json:
        write_json({"report": report_to_json(found)})
    else:
        write(in_full(found))
    if any(arm.done < arm.jobs for arm in found.arms):
        report(f"Stopped. To continue: --out {run.folder} --resume")
        return exit_code_of_signal()
    return ExitCode.FAILED if any(arm.failed for arm in found.arms) else ExitCode.ANSWERED


def _open_store(run: BatchRun) -> Store:
    if not run.file.exists():
        raise SettingsError(f"{run.folder} holds no batch.", "Name the --out of one, or a file to begin one with.")
    return Store.open(run.file)


def _only_batch(store: Store, folder: Path) -> Batch:
    known = store.batches.all()
    if not known:
        raise StoreError(f"{folder} holds no batch.", "Name a file to begin one with, and another --out.")
    return known[0]


def in_full(found: Report) -> str:
    """The report as text."""
    parts = (heading(found), table(found), comparisons(found), footnotes(found))
    return "\n\n".join(part for part in parts if part)


def row_to_json(row: ResultRow, problem: Problem) -> dict[str, object]:
    """A line of `baton batch --json` (docs/terminal.md)."""
    return {
        "id": problem.id,
        "arm": row.arm,
        "seed": row.seed,
        "answer": row.answer,
        "expected": problem.expected,
        "outcome": row.verdict.outcome.value if row.verdict else None,
        "error": row.error,
        "large_share": row.figures.large_share,
        "tokens": row.figures.tokens,
        "seconds": row.figures.seconds,
        "money": row.figures.money,
        "currency": row.figures.currency,
        "remote_tokens": row.figures.remote_tokens,
    }
