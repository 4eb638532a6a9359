"""`baton batch failures` and `baton batch value`: what went wrong in a batch, and what its takeovers were worth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from baton_reasoning.app.shared.format import count
from baton_reasoning.app.terminal.answer_reviews import ContinuationOptions, continuation_options
from baton_reasoning.app.terminal.command_line import OUTPUT, command, option
from baton_reasoning.app.terminal.exit_codes import ExitCode
from baton_reasoning.app.terminal.options import AT_LEAST_ONE
from baton_reasoning.app.terminal.output import progress, write, write_table
from baton_reasoning.app.terminal.pair import (
    LoadingOptions,
    ModelOptions,
    large_or,
    loading_of_one,
    loading_options,
    models_or,
)
from baton_reasoning.app.terminal.reviews import ReviewOptions, batch_argument, opened_batch, review_batch
from baton_reasoning.app.terminal.streams import write_json_lines
from baton_reasoning.core.batch.reporting.failures import (
    Failure,
    FailureAnalysis,
    analyse,
    failure_table,
    takeover_outcomes,
    takeover_table,
)
from baton_reasoning.core.batch.reporting.report_text import estimated, signed
from baton_reasoning.core.batch.reporting.reviews import (
    USUAL_SAMPLE,
    Opinions,
    Values,
    answers_of,
    drawn,
    wrong_answers,
)
from baton_reasoning.core.batch.reporting.worth import SampleWorth, worth_of
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.step_values import ValueOptions
from baton_reasoning.core.table import Table


@command("failures")
@batch_argument
@option("--arm", metavar="NAME", help="Only the answers of this arm.")
@option("--opinion", is_flag=True, help="Let the large model read the wrong answers first, and keep its opinions.")
@option("--json", is_flag=True, group=OUTPUT, help="One JSON object for each failure and each kind of takeover.")
@large_or("that of the batch")
@loading_of_one
def failures(
    name: str, arm: str | None, opinion: bool, json: bool, models: ModelOptions, loading: LoadingOptions
) -> int:
    """Show the failed answers of a batch in groups, and its takeovers by reason, cue and outcome.

    DIR is the folder of the batch; ID is that of a batch in `baton history list`.
    """
    code: int = ExitCode.ANSWERED
    with opened_batch(name, arm) as (store, batch):
        if opinion:
            wrong = wrong_answers(store, batch, [arm] if arm else None)
            answers = answers_of(store, batch, wrong)
            code = review_batch(Opinions(), batch, answers, ReviewOptions(models, loading, json))
        with progress("Failures", json) as line:
            found = analyse(store, batch.id, arm, lambda share: line.show(share, "reading the texts"))
    if json:
        write_json_lines(_analysis_in_json(found))
    else:
        _write_analysis(found)
    return code


@command("value")
@batch_argument
@option(
    "--sample",
    type=AT_LEAST_ONE,
    default=USUAL_SAMPLE,
    metavar="N",
    help=f"Value N answers with takeovers [{USUAL_SAMPLE}].",
)
@option("--arm", metavar="NAME", help="Only answers of this arm.")
@continuation_options
@option("--json", is_flag=True, group=OUTPUT, help="One JSON object for each cue, then one for all.")
@models_or("those of the batch")
@loading_options
def value(
    name: str,
    sample: int,
    arm: str | None,
    chosen: ContinuationOptions,
    json: bool,
    models: ModelOptions,
    loading: LoadingOptions,
) -> int:
    """Estimate what the takeovers of a batch were worth, by cue: how often continuations from there end right.

    DIR is the folder of the batch; ID is that of a batch in `baton history list`.

    Values are kept with the answers. What is stopped goes on when the command is repeated.
    """
    options = ValueOptions(chosen.writer, chosen.k, only_takeovers=True)
    with opened_batch(name, arm) as (store, batch), Grader() as grader:
        rows = drawn(store, batch, [arm] if arm else None, sample)
        review, answers = Values(options, grader), answers_of(store, batch, rows)
        code = review_batch(review, batch, answers, ReviewOptions(models, loading, json))
        found = worth_of(store, rows, options.writer)
    if json:
        write_json_lines(_worth_in_json(found))
    elif found.all:
        _write_table(takeover_table(takeover_outcomes(rows, found.kinds)))
        write(_worth_sentences(found, options.writer))
    return code


def _write_analysis(found: FailureAnalysis) -> None:
    write(f"{found.answers:,} answers, {len(found.failures):,} of them not right; {count(found.notes, 'note')}", "bold")
    for kind, number in found.groups.items():
        write(f"{kind.value}: {number:,}")
    for table in (failure_table(found.failures), takeover_table(found.takeovers)):
        if table.rows:
            write(f"\n{table.title}", "bold")
            _write_table(table)


def _write_table(table: Table) -> None:
    numbers = [index for index, column in enumerate(table.columns) if column.is_number]
    write_table(table.headings, table.rows, right=numbers)


def _worth_sentences(found: SampleWorth, written_by: str) -> str:
    """Say what the takeovers of a sample were worth together, and how that was estimated."""
    assert found.all
    writer = {"policy": "the policy of the run"}.get(written_by, f"the {written_by} model alone")
    return (
        f"{count(found.all.takeovers, 'takeover')} of {count(found.answers, 'answer')}: worth {signed(found.all.mean)} "
        f"each, {found.all.rescued:,} rescued and {found.all.spoiled:,} spoiled an answer. From the beginning of the "
        f"text {writer} gets {estimated(found.start)} right. Worth: the value after a takeover less that after what it "
        "replaced, with a 95% interval over problems."
    )


def _analysis_in_json(found: FailureAnalysis) -> Iterator[dict[str, object]]:
    """Yield an object for each failure, then one for each kind of takeover."""
    for each in found.failures:
        yield _failure_in_json(each)
    for group in found.takeovers:
        yield {"takeovers": {**group._asdict(), "worth": asdict(group.worth) if group.worth else None}}


def _failure_in_json(failure: Failure) -> dict[str, object]:
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


def _worth_in_json(found: SampleWorth) -> Iterator[dict[str, object]]:
    """Yield an object for each kind of takeover, then one for all."""
    for kind, worth in found.kinds.items():
        yield kind._asdict() | asdict(worth)
    yield {
        "answers": found.answers,
        "start": asdict(found.start) if found.start else None,
        "all": asdict(found.all) if found.all else None,
    }
