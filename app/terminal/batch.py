"""`baton batch`: a file of problems under one or several arms, graded, resumable, with a report."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from app.shared.labels import bills_of
from app.terminal.options import add_model_options, add_run_options, at_least_one, open_pair, run_settings
from app.terminal.solve import ExitCode, stops_on_interrupt
from core.batch.arms import Arm, by_large_model, needs
from core.batch.batch_events import BatchEvent, Calibrated, JobEnded
from core.batch.columns import Columns
from core.batch.creation import create_batch
from core.batch.exports import EXPORTS, export
from core.batch.problems import read_problems
from core.batch.progress import BatchProgress, in_words
from core.batch.recipes import RECIPES, arms_of
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


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("batch", help="solve and grade a file of problems", description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, help="JSON, CSV, text, Markdown, Parquet, or a folder of them")
    arms = ", ".join(f"{name} ({recipe.title})" for name, recipe in RECIPES.items())
    parser.add_argument("--arm", "--recipe", action="append", choices=RECIPES, metavar="NAME", help=f"compare: {arms}")
    parser.add_argument("--guide", action="append", default=[], metavar="MODEL", help="compare: another large model")
    parser.add_argument("--drafting", metavar="URL", default="", help="the arm drafted: a server with a draft model")
    parser.add_argument("--seeds", type=at_least_one, default=1, metavar="N", help="so many seeds, from --seed on")
    parser.add_argument("--limit", type=at_least_one, metavar="K", help="only the first K problems")
    parser.add_argument("--problem-column", metavar="NAME", help="if the guess is wrong")
    parser.add_argument("--answer-column", metavar="NAME", help="if the guess is wrong")
    parser.add_argument("--grade", choices=[how.value for how in How], help="how answers are compared (auto)")
    parser.add_argument("--pattern", metavar="REGEX", help="found in a right answer; {expected} is the expected one")
    parser.add_argument("--regrade", action="store_true", help="grade the results in the folder again, run nothing")
    add_batch_options(parser)
    add_model_options(parser)
    add_run_options(parser)
    parser.set_defaults(carry_out=batch)


def add_batch_options(parser: argparse.ArgumentParser, parallel: int = 8) -> None:
    parser.add_argument(
        "--parallel", type=at_least_one, default=parallel, metavar="N", help="problems at once (%(default)s)"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for results and report")
    parser.add_argument("--resume", action="store_true", help="go on with the batch in the folder")
    parser.add_argument("--json", action="store_true", help="one JSON result a line, the report in the last one")


def batch(arguments: argparse.Namespace) -> int:
    folder = arguments.out or Path(f"{arguments.file.stem}-results" if arguments.file else "results")
    if arguments.regrade:
        return grade_again(arguments, folder)
    if arguments.resume:
        return go_on(arguments, folder)
    if arguments.file is None:
        raise SettingsError("No file of problems is named.", "Name one: baton batch problems.jsonl.")
    columns = None
    if arguments.problem_column:
        columns = Columns(arguments.problem_column, arguments.answer_column)
    elif arguments.answer_column:
        raise SettingsError("--answer-column needs --problem-column.", "Name both.")
    how = _how(arguments)
    found = read_problems(arguments.file, columns, arguments.limit)
    for line in (*found.notes, *(f"{bad.source} line {bad.line}: {bad.reason}" for bad in found.rejected)):
        print(f"baton: {line}", file=sys.stderr)
    arms = arms_of(arguments.arm or ["chosen"], run_settings(arguments), arguments.guide, arguments.drafting)
    return begin(arguments, folder, found.name, found.problems, arms, how)


def begin(
    arguments: argparse.Namespace,
    folder: Path,
    name: str,
    problems: Sequence[Problem],
    arms: Sequence[Arm],
    how: How | Regex = How.AUTO,
) -> int:
    """A new batch in the folder, run to its end."""
    if (folder / STORE_FILE).exists():
        raise SettingsError(f"{folder} holds a batch already.", "Add --resume to go on with it, or name another --out.")
    seeds = [getattr(arguments, "seed", 0) + number for number in range(arguments.seeds)]

    def create(store: Store) -> str:
        return create_batch(store, name, problems, arms, seeds, arguments.parallel, how)

    return _run(arguments, folder, arms, create)


def go_on(arguments: argparse.Namespace, folder: Path) -> int:
    """The batch that the folder holds, with the settings it was begun with; its errors are tried again."""
    with _open_store(folder) as store:
        batch = _only_batch(store, folder)
        store.batches.retry_failed(batch.id)
        unfinished = {total.arm for total in store.batches.totals(batch.id) if total.done < total.jobs}
        arms = [Arm.of(stored) for stored in batch.arms if stored.name in unfinished]
    return _run(arguments, folder, arms, lambda _: batch.id) if arms else _conclude(arguments, folder, batch.id)


def grade_again(arguments: argparse.Namespace, folder: Path) -> int:
    """Other verdicts on the answers that the folder holds."""
    how = _how(arguments)
    with _open_store(folder) as store, Grader() as grader:
        batch = _only_batch(store, folder)
        graded = sum(1 for _ in regrade(store, batch.id, grader, how))
        print(f"baton: {graded:,} answers were graded again.", file=sys.stderr)
    return _conclude(arguments, folder, batch.id)


def _run(arguments: argparse.Namespace, folder: Path, arms: Sequence[Arm], batch: Callable[[Store], str]) -> int:
    """Each pair of models after the other; the batch is begun when the first is loaded."""
    batch_id = ""
    for guide, group in by_large_model(arms).items():
        small, large = needs(group)
        models = argparse.Namespace(**vars(arguments) | ({"large": guide} if guide else {}))
        with open_pair(models, small=small, large=large) as pair, Store.open(folder / STORE_FILE) as store:
            batch_id = batch_id or batch(store)
            _run_with(pair, guide, arguments, store, batch_id)
            left = {total.arm for total in store.batches.totals(batch_id) if total.done < total.jobs}
        if left & {arm.name for arm in group}:
            break  # Ctrl+C
    return _conclude(arguments, folder, batch_id)


def _run_with(pair: Pair, guide: str, arguments: argparse.Namespace, store: Store, batch_id: str) -> None:
    """All arms of these models, until they are done or Ctrl+C is pressed."""
    with Grader() as grader:
        runner = Runner(store, batch_id, pair, grader, arguments.parallel, guide)
        progress = BatchProgress(store.batches.results(batch_id), arguments.parallel)
        with stops_on_interrupt(runner):
            (_print_json if arguments.json else _print_progress)(runner.run(), progress, store, batch_id)
    for line in bills_of(pair):
        print(line, file=sys.stderr if arguments.json else sys.stdout)


def _conclude(arguments: argparse.Namespace, folder: Path, batch_id: str) -> int:
    """Write results and report, and say how it stands."""
    with Store.open(folder / STORE_FILE) as store:
        for ending in EXPORTS:
            export(store, batch_id, folder / f"{'results' if ending in ('.csv', '.jsonl') else 'report'}{ending}")
        report = report_of(store, batch_id)
    print(json.dumps({"report": report_to_json(report)}, ensure_ascii=False) if arguments.json else in_full(report))
    if any(arm.done < arm.jobs for arm in report.arms):
        print(f"baton: Stopped. To go on: --out {folder} --resume", file=sys.stderr)
        return ExitCode.STOPPED
    return ExitCode.FAILED if any(arm.failed for arm in report.arms) else ExitCode.ANSWERED


def _open_store(folder: Path) -> Store:
    if not (folder / STORE_FILE).exists():
        raise SettingsError(f"{folder} holds no batch.", "Name the --out of one, or a file to begin one with.")
    return Store.open(folder / STORE_FILE)


def _only_batch(store: Store, folder: Path) -> Batch:
    known = store.batches.all()
    if not known:
        raise StoreError(f"{folder} holds no batch.", "Name a file to begin one with, and another --out.")
    return known[0]


def _how(arguments: argparse.Namespace) -> How | Regex:
    how = How(arguments.grade or (How.REGEX if arguments.pattern else How.AUTO))
    if (how is How.REGEX) is not bool(arguments.pattern):
        raise SettingsError("--grade regex and --pattern belong together.", "Give both, or neither.")
    return Regex(arguments.pattern) if arguments.pattern else how


def in_full(report: Report) -> str:
    """What the terminal shows at the end."""
    parts = (heading(report), table(report), comparisons(report), footnotes(report))
    return "\n\n".join(part for part in parts if part)


def _print_json(happenings: Iterable[BatchEvent], progress: BatchProgress, store: Store, batch_id: str) -> None:
    problems = list(store.batches.problems(batch_id))
    for happening in happenings:
        if isinstance(happening, JobEnded):
            progress.ended(happening.row)
            line = _row_to_json(happening.row, problems[happening.row.position])
            print(json.dumps(line, ensure_ascii=False), flush=True)


def _print_progress(happenings: Iterable[BatchEvent], progress: BatchProgress, _store: Store, _batch_id: str) -> None:
    """One line that is written over in a terminal; elsewhere a line at each tenth."""
    live = sys.stderr.isatty()
    tenth = 0
    for happening in happenings:
        if isinstance(happening, Calibrated):
            told = f"{happening.arm}: p = {happening.chance:.3f} for a large share of {happening.share:.1%}"
            print(f"\r\033[K{told}" if live else told, file=sys.stderr)
        if not isinstance(happening, JobEnded):
            continue
        progress.ended(happening.row)
        line = (
            f"{progress.done:,} of {progress.jobs:,} · {progress.correct:,} ✓ {progress.wrong:,} ✗ "
            f"{progress.unscored:,} – · {progress.failed:,} errors · {in_words(progress.seconds_left())}"
        )
        if live:
            sys.stderr.write(f"\r\033[K{line}")
            sys.stderr.flush()
        elif progress.done * 10 // progress.jobs > tenth:
            tenth = progress.done * 10 // progress.jobs
            print(line, file=sys.stderr)
    if live:
        print(file=sys.stderr)


def _row_to_json(row: ResultRow, problem: Problem) -> dict[str, object]:
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
