"""`baton batch value`: estimate what the takeovers of a batch were worth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from baton_reasoning.app.shared.format import count
from baton_reasoning.app.terminal.command_line import OUTPUT, command, option
from baton_reasoning.app.terminal.exit_codes import ExitCode
from baton_reasoning.app.terminal.options import AT_LEAST_ONE
from baton_reasoning.app.terminal.output import remark, write, write_table
from baton_reasoning.app.terminal.pair import LoadingOptions, ModelOptions, loading_options, models_or
from baton_reasoning.app.terminal.reviewing import ReviewOptions, batch_argument, opened_batch, review_batch
from baton_reasoning.app.terminal.signals import exit_code_of_signal
from baton_reasoning.app.terminal.streams import write_json_lines
from baton_reasoning.app.terminal.value import (
    NEEDS,
    TO_GO_ON,
    ContinuationOptions,
    continuation_options,
    parallel_of,
)
from baton_reasoning.core.batch.reporting.report_text import estimated, percent, signed
from baton_reasoning.core.batch.reporting.worth import (
    BatchValues,
    MeanWorth,
    SampleWorth,
    drawn,
    without_values,
    worth_of,
)
from baton_reasoning.core.batch.running.batch import BatchSettings
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.grading.verdict import How, Regex
from baton_reasoning.core.step_values import ValueOptions
from baton_reasoning.core.store.batches import Batch, ResultRow
from baton_reasoning.core.store.store import Store

WORTH_HEADER = ("reason", "cue", "takeovers", "worth", "above 0", "tokens", "per 100 tokens", "rescued", "spoiled")


@command("value")
@batch_argument
@option("--sample", type=AT_LEAST_ONE, default=50, metavar="N", help="Value the takeovers of N answers [50].")
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
    given = ReviewOptions(models, loading, json)
    options = ValueOptions(chosen.writer, chosen.k, only_takeovers=True)
    with opened_batch(name, arm) as (store, batch):
        how = BatchSettings.of(batch).how
        rows = drawn(store, batch.id, sample, arm=arm)
        is_stopped = _value_rows(store, batch, rows, options, how, given)
        found = worth_of(store, rows, options.writer)
    if given.json:
        write_json_lines(_in_json(found))
    elif found.all:
        write_worth(found, options)
    if is_stopped:
        remark(TO_GO_ON)
    return exit_code_of_signal() if is_stopped else ExitCode.ANSWERED


def _value_rows(
    store: Store,
    batch: Batch,
    rows: Sequence[ResultRow],
    options: ValueOptions,
    how: How | Regex,
    given: ReviewOptions,
) -> bool:
    """Value the answers whose values are missing; returns whether it was stopped."""
    problems = list(store.batches.problems(batch.id))
    missing = rows if given.models.are_given else without_values(store, rows, problems, options)
    if not missing:
        return False
    remark(f"{count(options.continuations, 'continuation')} from each place of {count(len(missing), 'answer')}.")
    with Grader() as grader:
        done = review_batch(
            batch,
            {row.arm for row in missing},
            given,
            "Values",
            lambda pair, arms: BatchValues(
                store, [row for row in missing if row.arm in arms], pair, grader, problems, options, how
            ),
            NEEDS[options.writer],
            parallel_of(options),
        )
    if too_long := sum(len(reviews.too_long) for reviews in done):
        remark(f"{count(too_long, 'answer')} did not fit into the context; --context may enlarge it.")
    return any(reviews.stopped for reviews in done)


def write_worth(found: SampleWorth, options: ValueOptions) -> None:
    """Write a table of what takeovers were worth by reason and cue, and what a reader must know of it."""
    assert found.all
    rows = [(kind.reason, kind.cue or "–", *_cells(worth)) for kind, worth in found.kinds.items()]
    write_table(WORTH_HEADER, [*rows, ("all", "", *_cells(found.all))], right=range(2, len(WORTH_HEADER)))
    writer = {"policy": "the policy of the run"}.get(options.writer, f"the {options.writer} model alone")
    write(
        f"{count(found.all.takeovers, 'takeover')} of {count(found.answers, 'answer')}. From the beginning of the text "
        f"{writer} gets {estimated(found.start)} right. Worth: the value after a takeover less that after what it "
        "replaced, with a 95% interval over problems."
    )


def _cells(worth: MeanWorth) -> tuple[str, ...]:
    return (
        f"{worth.takeovers:,}",
        signed(worth.mean),
        percent(worth.helped / worth.takeovers),
        f"{worth.tokens_each:.0f}",
        f"{worth.per_100_tokens:+.2f}",
        f"{worth.rescued:,}",
        f"{worth.spoiled:,}",
    )


def _in_json(found: SampleWorth) -> Iterator[dict[str, object]]:
    """Yield an object for each kind of takeover, then one for all."""
    for kind, worth in found.kinds.items():
        yield kind._asdict() | asdict(worth)
    yield {
        "answers": found.answers,
        "start": asdict(found.start) if found.start else None,
        "all": asdict(found.all) if found.all else None,
    }
