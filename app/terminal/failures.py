"""`baton failures`: show what went wrong in a batch, and where answers diverge from the large model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import click

from app.terminal.batch_folder import BatchFolder
from app.terminal.command_line import OUTPUT, command, option
from app.terminal.exit_codes import ExitCode
from app.terminal.output import progress, remark, write, write_table
from app.terminal.pair import LoadingOptions, ModelOptions, loading_options, model_options, open_pair
from app.terminal.recording import full_id, open_history
from app.terminal.servers import ServerOptions, server_options
from app.terminal.signals import stops_on_interrupt
from app.terminal.streams import write_json_lines
from core.batch.reporting.divergences import BatchOpinions
from core.batch.reporting.failures import Failure, FailureAnalysis, analyse
from core.batch.running.arms import Arm, by_models
from core.batch.running.batch_settings import BatchSettings, ModelSummary
from core.errors import SettingsError
from core.store.batch_rows import Batch
from core.store.store import Store


@command("failures")
@click.argument("results")
@option("--arm", metavar="NAME", help="Only the answers of this arm.")
@option("--opinion", is_flag=True, help="Let the large model read the wrong answers first.")
@option("--note", nargs=2, metavar="ID TEXT", help="Keep a note on this answer (with --arm, --seed); “” removes it.")
@option("--seed", type=click.IntRange(min=0), metavar="S", help="For --note: the answer with this seed.")
@option("--json", is_flag=True, group=OUTPUT, help="One JSON object for each failure and each kind of takeover.")
@model_options
@loading_options
@server_options
def failures(
    results: str,
    arm: str | None,
    opinion: bool,
    note: tuple[str, str] | None,
    seed: int | None,
    json: bool,
    models: ModelOptions,
    loading: LoadingOptions,
    servers: ServerOptions,
) -> int:
    """Show the failed answers of a batch in groups, and its takeovers by reason, cue and outcome.

    RESULTS is the folder of `baton batch --out`, or the id of a batch in `baton history list`.
    """
    with opened_batch(results) as (store, batch):
        if arm and arm not in {stored.name for stored in batch.arms}:
            raise SettingsError(
                f"The batch has no arm {arm}.", f"Name one of {', '.join(each.name for each in batch.arms)}."
            )
        if note:
            set_note(store, batch, arm, seed, *note)
        if opinion:
            read_answers(store, batch, arm, models, loading, servers, json)
        with progress("Failures", json) as line:
            found = analyse(store, batch.id, arm, lambda share: line.show(share, "reading the texts"))
    if json:
        write_json_lines(in_json(found))
    else:
        write_analysis(found)
    return ExitCode.ANSWERED


def write_analysis(found: FailureAnalysis) -> None:
    write(f"{found.answers:,} answers, {len(found.failures):,} of them not right; {found.notes:,} notes", "bold")
    for kind, number in found.groups.items():
        write(f"\n{kind.value}: {number:,}", "bold")
        write_table(
            ("id", "arm", "seed", "what is known", "note"),
            [
                (each.problem.id, each.row.arm, str(each.row.seed), each.detail, each.row.note)
                for each in found.of(kind)
            ],
        )
    if found.takeovers:
        write("\nTakeovers by reason and cue, and the answers in which they stand", "bold")
        rows = [
            (
                each.reason,
                each.cue or "–",
                f"{each.takeovers:,}",
                f"{each.right:,}",
                f"{each.wrong:,}",
                "–" if each.share_right is None else f"{each.share_right:.0%}",
            )
            for each in found.takeovers
        ]
        write_table(("reason", "cue", "takeovers", "right", "wrong", "% right"), rows, right=(2, 3, 4, 5))


def in_json(found: FailureAnalysis) -> Iterator[dict[str, object]]:
    """Yield the lines of `baton failures --json`."""
    for each in found.failures:
        yield failure_to_json(each)
    for group in found.takeovers:
        yield {"takeovers": group._asdict()}


def failure_to_json(failure: Failure) -> dict[str, object]:
    row = failure.row
    return {
        "id": failure.problem.id,
        "arm": row.arm,
        "seed": row.seed,
        "failure": failure.kind.name.lower(),
        "answer": row.answer,
        "expected": failure.problem.expected,
        "error": row.error,
        "note": row.note,
        "divergence": failure.divergence._asdict() if failure.divergence else None,
    }


def set_note(store: Store, batch: Batch, arm: str | None, seed: int | None, problem: str, note: str) -> None:
    """Keep a note on an answer. Raises SettingsError unless these name exactly one."""
    ids = [each.id for each in store.batches.problems(batch.id)]
    rows = [
        row for row in store.batches.results(batch.id, arm) if ids[row.position] == problem and seed in (None, row.seed)
    ]
    if len(rows) != 1:
        raise SettingsError(
            f"{len(rows) or 'No'} answers have the id {problem}.", "Name one, with --arm and --seed where needed."
        )
    store.batches.set_note(rows[0].job, note)


def read_answers(
    store: Store,
    batch: Batch,
    arm: str | None,
    models: ModelOptions,
    loading: LoadingOptions,
    servers: ServerOptions,
    json: bool,
) -> None:
    """Let the large model of each arm review its wrong answers, one pair of models after another."""
    settings = BatchSettings.of(batch)
    arms = [Arm.of(stored) for stored in batch.arms if arm in (None, stored.name)]
    for names, group in by_models(arms).items():
        named = models if models.are_given else models_of(settings.small, settings.large, models)
        with (
            open_pair(named.with_others(names), loading, servers) as pair,
            progress("Second opinions", json) as line,
        ):
            opinions = BatchOpinions(store, batch.id, pair, [each.name for each in group])
            with stops_on_interrupt(opinions), closing(opinions.run()) as items:
                for item in items:
                    line.show(item.done / max(1, item.total), f"{item.done:,} of {item.total:,} wrong answers")
    remark("The opinions are kept with the answers.")


def models_of(small: ModelSummary | None, large: ModelSummary | None, models: ModelOptions) -> ModelOptions:
    """Return the models of the batch if they are known, else the pair chosen in the window."""
    if small and large and small.source and large.source:
        return replace(models, small=small.source, large=large.source)
    return models


@contextmanager
def opened_batch(name: str) -> Iterator[tuple[Store, Batch]]:
    """Open a batch by its results folder or its id in the history. Raises SettingsError, StoreError."""
    if Path(name).is_dir():
        folder = BatchFolder(Path(name))
        with folder.store() as store:
            yield store, folder.batch(store)
        return
    with open_history() as store:
        batches = {batch.id: batch for batch in store.batches.all()}
        yield store, batches[full_id(batches, name, "batches", "Name a folder of results, or see baton history list.")]
