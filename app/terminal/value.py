"""`baton value`: estimate what each step of a recorded answer was worth, and the takeovers of a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from textwrap import shorten

import click
from click.core import ParameterSource

from baton_reasoning.app.shared.format import count, rough_duration
from baton_reasoning.app.shared.labels import SIGNS
from baton_reasoning.app.shared.value_words import value_sentences
from baton_reasoning.app.terminal.command_line import OUTPUT, command, gathered, option
from baton_reasoning.app.terminal.exit_codes import ExitCode
from baton_reasoning.app.terminal.options import AT_LEAST_ONE, SEED
from baton_reasoning.app.terminal.output import progress, remark, write, write_table
from baton_reasoning.app.terminal.pair import LoadingOptions, ModelOptions, loading_options, model_options, open_pair
from baton_reasoning.app.terminal.reviewing import (
    Recorded,
    ReviewOptions,
    is_batch,
    models_of,
    opened_batch,
    recorded_run,
    review_batch,
)
from baton_reasoning.app.terminal.signals import exit_code_of_signal, stops_on_interrupt
from baton_reasoning.app.terminal.streams import write_json, write_json_lines
from baton_reasoning.core.batch.reporting.report_text import estimated, percent, signed
from baton_reasoning.core.batch.reporting.worth import (
    BatchValues,
    MeanWorth,
    SampleWorth,
    drawn,
    without_values,
    worth_of,
)
from baton_reasoning.core.batch.running.batch_settings import BatchSettings
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.grading.verdict import How, Regex
from baton_reasoning.core.model_costs import ModelCosts
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.step_values import (
    USUAL_CONTINUATIONS,
    WRITERS,
    ValueEstimator,
    ValueOptions,
    ValuesProgress,
    is_news,
    is_valued,
    text_error,
    writers_of,
)
from baton_reasoning.core.store.batch_rows import Batch, ResultRow
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.policy import Needs
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.thinking.trace_json import event_to_json
from baton_reasoning.core.thinking.values import StepValues, TakeoverWorth

NEEDS = {"small": Needs(large=False), "large": Needs(small=False), "policy": Needs()}
"""The models that a writer needs."""
TO_GO_ON = "Not all places are valued. Repeat the command to go on."
QUOTED = 48
"""Characters of a step that the table quotes."""
VERDICTS = {True: "1 (right)", False: "0 (wrong)"}
"""The value of the end of a graded text."""
OF_ONE, OF_BATCH = ("expected", "every_step"), ("sample", "arm", "seed")
"""Options that only a recorded answer has, and only a batch."""


@dataclass(frozen=True)
class ValueCommandOptions:
    expected: str
    writer: str
    k: int
    every_step: bool
    sample: int
    arm: str | None
    seed: int


value_options = gathered(
    ValueCommandOptions,
    "chosen",
    option(
        "--expected",
        default="",
        metavar="ANSWER",
        help="The right answer, if it is not recorded. Without any, the values say how often continuations agree.",
    ),
    option(
        "--writer",
        type=click.Choice(WRITERS),
        default="small",
        help="Who writes the continuations: one model alone, or the policy of the run [small].",
    ),
    option(
        "--k",
        type=AT_LEAST_ONE,
        default=USUAL_CONTINUATIONS,
        metavar="N",
        help=f"Continuations from each place; more where it matters [{USUAL_CONTINUATIONS}].",
    ),
    option("--every-step", is_flag=True, help="Value every step of a long text, too."),
    option(
        "--sample", type=AT_LEAST_ONE, default=50, metavar="N", help="Of a batch: value takeovers of N answers [50]."
    ),
    option("--arm", metavar="NAME", help="Of a batch: only answers of this arm."),
    option("--seed", type=SEED, default=0, metavar="S", help="Of a batch: draw other answers [0]."),
)


@command("value")
@click.argument("recorded", metavar="TRACE|ID|RESULTS")
@value_options
@option("--json", is_flag=True, group=OUTPUT, help="The event (docs/trace.md); of a batch, an object for each cue.")
@model_options
@loading_options
def value(
    recorded: str,
    chosen: ValueCommandOptions,
    json: bool,
    models: ModelOptions,
    loading: LoadingOptions,
) -> int:
    """Estimate what each step of an answer was worth: how often continuations from there end right.

    TRACE is a file that `baton solve --json` wrote, or - for standard input; ID that of an answer in `baton history
    list`, or `run` in results.jsonl. Of a batch (RESULTS is its folder or id), what its takeovers were worth, by cue.

    Values are kept with the answers of the history. What is stopped goes on when the command is repeated.
    """
    given = ReviewOptions(models, loading, json)
    if is_batch(recorded):
        _refuse(OF_ONE, "an answer", "a batch")
        return _value_batch(recorded, chosen, given)
    _refuse(OF_BATCH, "a batch", "an answer")
    return _value_run(recorded, chosen, given)


def _refuse(names: Sequence[str], of: str, found: str) -> None:
    """Raise SettingsError if one of these options was given."""
    context = click.get_current_context()
    for parameter in context.command.params:
        if parameter.name in names and context.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE:
            raise SettingsError(f"{parameter.opts[0]} is for {of}, and this is {found}.", "Leave it out.")


# One answer


def _value_run(name: str, chosen: ValueCommandOptions, given: ReviewOptions) -> int:
    options = ValueOptions(chosen.writer, chosen.k, chosen.every_step)
    with recorded_run(name) as recorded:
        recorded = recorded._replace(expected=chosen.expected or recorded.expected)
        trace = recorded.trace
        if error := text_error(trace, recorded.expected):
            raise error
        if given.models.are_given or not is_valued(trace, recorded.expected, options):
            _estimate(recorded, options, given)
        values = StepValues.of(trace, options.writer)
    if values is None:
        return exit_code_of_signal()
    if given.json:
        write_json(event_to_json(values.estimated))
    else:
        header = ("step", "by", "value", "change", "worth of the takeover", "text")
        write_table(header, list(_rows(trace, values)), right=(0,))
        for sentence in value_sentences(trace, values):
            write(sentence)
    if values.estimated.is_whole:
        return ExitCode.ANSWERED
    remark(TO_GO_ON)
    return exit_code_of_signal()


def _estimate(recorded: Recorded, options: ValueOptions, given: ReviewOptions) -> None:
    """Write and grade continuations, and keep what they show."""
    trace, needs = recorded.trace, NEEDS[options.writer]
    models, parallel = models_of(trace, given.models, needs), _parallel(options)
    with open_pair(models, given.loading, needs, parallel=parallel) as pair, Grader() as grader:
        estimator = ValueEstimator(pair, trace, grader, recorded.expected, options, recorded.how)
        plan, costs = estimator.plan, ModelCosts(Paths.of_user().model_costs)
        seconds = costs.slowest_decode(writers_of(pair, options))
        at_most = f", at most {rough_duration(plan.tokens * seconds)}" if seconds else ""
        remark(
            f"{count(plan.continuations, 'continuation')} from {count(plan.places, 'place')}, about "
            f"{count(plan.tokens, 'token')}{at_most}; more where values differ."
        )
        with stops_on_interrupt(estimator), progress("Values", given.json) as line:
            for item in estimator.run():
                if isinstance(item, ValuesProgress):
                    line.show(item.done / item.total, _progress_text(item))
                elif is_news(trace.values.get(options.writer), item):
                    recorded.keep(item)
    for notice in estimator.notices:
        remark(notice)


def _parallel(options: ValueOptions) -> int:
    """Return how many texts a model on this machine has to hold at once. One alone writes branches of one text."""
    return options.parallel if options.writer == "policy" else 1


def _progress_text(item: ValuesProgress) -> str:
    text = f"{item.done:,} of {count(item.total, 'continuation')}"
    left = (item.total - item.done) * item.seconds / max(1, item.done)
    return f"{text}, {rough_duration(left)} left" if left else text


def _rows(trace: Trace, values: StepValues) -> Iterator[tuple[str, ...]]:
    """Yield a row for each valued place, with what happened since the one before."""
    changes = {change.after.place: change for change in values.changes if change.is_certain}
    takeovers = {worth.after.place: worth for worth in values.takeovers}
    begin = 0
    for place in values.places:
        change, worth = changes.get(place.place), takeovers.get(place.place)
        yield (
            str(place.step + 1) if place.position else "start",
            SIGNS.get(place.author, "") if place.author else "",
            estimated(place.value) if place.continuations else VERDICTS[place.value.value > 0],
            signed(change.difference) if change else "",
            _worth_text(worth) if worth else "",
            shorten(trace.text_between(begin, place.position), QUOTED, placeholder=" …"),
        )
        begin = place.position


def _worth_text(worth: TakeoverWorth) -> str:
    instead = f", instead of {worth.before.value.value:.2f}" if worth.before.place.replaced else ""
    return f"{signed(worth.worth)}{instead}"


# A batch


def _value_batch(name: str, chosen: ValueCommandOptions, given: ReviewOptions) -> int:
    options = ValueOptions(chosen.writer, chosen.k, only_takeovers=True)
    with opened_batch(name) as (store, batch):
        if chosen.arm and chosen.arm not in {arm.name for arm in batch.arms}:
            raise SettingsError(
                f"The batch has no arm {chosen.arm}.", f"Name one of {', '.join(arm.name for arm in batch.arms)}."
            )
        how = BatchSettings.of(batch).how
        rows = drawn(store, batch.id, chosen.sample, chosen.seed, chosen.arm)
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
            _parallel(options),
        )
    if too_long := sum(len(reviews.too_long) for reviews in done):
        remark(f"{count(too_long, 'answer')} did not fit into the context; --context may enlarge it.")
    return any(reviews.stopped for reviews in done)


WORTH_HEADER = ("reason", "cue", "takeovers", "worth", "above 0", "tokens", "per 100 tokens", "rescued", "spoiled")


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
