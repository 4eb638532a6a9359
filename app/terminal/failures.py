"""`baton batch failures`: show what went wrong in a batch, and where answers diverge from the large model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from baton_reasoning.app.shared.format import count
from baton_reasoning.app.terminal.command_line import OUTPUT, command, option
from baton_reasoning.app.terminal.options import LoadingOptions, ModelOptions, large_or, loading_of_one
from baton_reasoning.app.terminal.output import progress, remark, write, write_table
from baton_reasoning.app.terminal.reviewing import ReviewOptions, batch_argument, opened_batch, review_batch
from baton_reasoning.app.terminal.streams import ExitCode, exit_code_of_signal, write_json_lines
from baton_reasoning.core.batch.reporting.divergences import BatchOpinions
from baton_reasoning.core.batch.reporting.failures import Failure, FailureAnalysis, analyse
from baton_reasoning.core.batch.reporting.figures import WORTH_TITLES, worth_cells
from baton_reasoning.core.table import Column, Table
from baton_reasoning.core.thinking.policy import Needs


@command("failures")
@batch_argument
@option("--arm", metavar="NAME", help="Only the answers of this arm.")
@option("--opinion", is_flag=True, help="Let the large model read the wrong answers first.")
@option("--json", is_flag=True, group=OUTPUT, help="One JSON object for each failure and each kind of takeover.")
@large_or("that of the batch")
@loading_of_one
def failures(
    name: str, arm: str | None, opinion: bool, json: bool, models: ModelOptions, loading: LoadingOptions
) -> int:
    """Show the failed answers of a batch in groups, and its takeovers by reason, cue and outcome.

    DIR is the folder of the batch; ID is that of a batch in `baton history list`.
    """
    is_stopped = False
    with opened_batch(name, arm) as (store, batch):
        if opinion:
            arms = [each.name for each in batch.arms if arm in (None, each.name)]
            done = review_batch(
                batch,
                arms,
                ReviewOptions(models, loading, json),
                "Second opinions",
                lambda pair, names: BatchOpinions(store, batch.id, pair, names),
                Needs(small=False),
            )
            remark("The opinions are kept with the answers.")
            if is_stopped := any(reviews.stopped for reviews in done):
                remark("Not all answers were read. Repeat the command to go on.")
            if too_long := sum(len(reviews.too_long) for reviews in done):
                remark(f"{count(too_long, 'answer')} did not fit into the context; --context may enlarge it.")
        with progress("Failures", json) as line:
            found = analyse(store, batch.id, arm, lambda share: line.show(share, "reading the texts"))
    if json:
        write_json_lines(in_json(found))
    else:
        write_analysis(found)
    return exit_code_of_signal() if is_stopped else ExitCode.ANSWERED


def write_analysis(found: FailureAnalysis) -> None:
    write(f"{found.answers:,} answers, {len(found.failures):,} of them not right; {count(found.notes, 'note')}", "bold")
    for kind, number in found.groups.items():
        write(f"\n{kind.value}: {number:,}", "bold")
        columns = tuple(Column(title, is_number=False) for title in ("id", "arm", "seed", "what is known", "note"))
        failed = [
            (each.problem.id, each.row.arm, str(each.row.seed), each.detail, each.row.note) for each in found.of(kind)
        ]
        write_table(Table("", columns, tuple(failed)))
    if found.takeovers:
        write("\nTakeovers by reason and cue, and the answers in which they stand", "bold")
        header = ["reason", "cue", "takeovers", "right", "wrong", "% right"]
        rows = tuple(
            (
                each.reason,
                each.cue or "–",
                f"{each.takeovers:,}",
                f"{each.right:,}",
                f"{each.wrong:,}",
                "–" if each.share_right is None else f"{each.share_right:.0%}",
                *(worth_cells(each.worth, each.takeovers) if found.has_worth else ()),
            )
            for each in found.takeovers
        )
        header += WORTH_TITLES if found.has_worth else []
        columns = tuple(Column(title, is_number=number > 1) for number, title in enumerate(header))
        write_table(Table("", columns, rows))


def in_json(found: FailureAnalysis) -> Iterator[dict[str, object]]:
    """Yield the lines of `baton batch failures --json`."""
    for each in found.failures:
        yield failure_to_json(each)
    for group in found.takeovers:
        yield {"takeovers": {**group._asdict(), "worth": asdict(group.worth) if group.worth else None}}


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
