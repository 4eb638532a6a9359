"""`baton value`: estimate what each step of a recorded answer was worth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import shorten
from typing import Annotated

import click

from baton_reasoning.app.shared.format import count, rough_duration
from baton_reasoning.app.shared.labels import SIGNS
from baton_reasoning.app.shared.value_words import value_sentences
from baton_reasoning.app.terminal.command_line import OUTPUT, ChoiceOf, command, gathered, option
from baton_reasoning.app.terminal.options import AT_LEAST_ONE, LoadingOptions, ModelOptions, loading_options, models_or
from baton_reasoning.app.terminal.output import progress, remark, write, write_table
from baton_reasoning.app.terminal.pair import open_pair
from baton_reasoning.app.terminal.reviewing import (
    Recorded,
    ReviewOptions,
    models_of,
    recorded_run,
)
from baton_reasoning.app.terminal.streams import ExitCode, exit_code_of_signal, stops_on_interrupt, write_json
from baton_reasoning.core.batch.reporting.figures import estimated, signed
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.model_costs import ModelCosts
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.step_values.estimator import (
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
from baton_reasoning.core.table import Column, Table
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


@dataclass(frozen=True)
class ContinuationOptions:
    writer: Annotated[
        str,
        option(
            type=ChoiceOf(WRITERS),
            help="Who writes the continuations: one model alone, or the policy of the run [small].",
        ),
    ] = "small"
    k: Annotated[
        int,
        option(
            type=AT_LEAST_ONE, help=f"Continuations from each place; more where it matters [{USUAL_CONTINUATIONS}]."
        ),
    ] = USUAL_CONTINUATIONS


continuation_options = gathered(ContinuationOptions, "chosen")


@command("value")
@click.argument("recorded", type=click.Path(), metavar="TRACE|ID")
@option(
    "--expected",
    default="",
    metavar="ANSWER",
    help="The right answer, if it is not recorded. Without any, the values say how often continuations agree.",
)
@continuation_options
@option("--every-step", is_flag=True, help="Value every step of a long text, too.")
@option("--json", is_flag=True, group=OUTPUT, help="The event (docs/trace.md).")
@models_or("those of the run")
@loading_options
def value(
    recorded: str,
    expected: str,
    chosen: ContinuationOptions,
    every_step: bool,
    json: bool,
    models: ModelOptions,
    loading: LoadingOptions,
) -> int:
    """Estimate what each step of an answer was worth: how often continuations from there end right.

    TRACE is a file that `baton solve --json` wrote, or - for standard input; ID that of an answer in `baton history
    list`, or `run` in results.jsonl. `baton batch value` does it for the takeovers of a batch.

    Values are kept with the answers of the history. What is stopped goes on when the command is repeated.
    """
    given = ReviewOptions(models, loading, json)
    options = ValueOptions(chosen.writer, chosen.k, every_step)
    with recorded_run(recorded) as run:
        run = run._replace(expected=expected or run.expected)
        trace = run.trace
        if error := text_error(trace, run.expected):
            raise error
        if given.models.are_given or not is_valued(trace, run.expected, options):
            _estimate(run, options, given)
        values = StepValues.of(trace, options.writer)
    if values is None:
        return exit_code_of_signal()
    if given.json:
        write_json(event_to_json(values.estimated))
    else:
        header = ("step", "by", "value", "change", "worth of the takeover", "text")
        columns = tuple(Column(title, is_number=title == "step") for title in header)
        write_table(Table("", columns, tuple(_rows(trace, values))))
        for sentence in value_sentences(trace, values):
            write(sentence)
    if values.estimated.is_whole:
        return ExitCode.ANSWERED
    remark(TO_GO_ON)
    return exit_code_of_signal()


def _estimate(recorded: Recorded, options: ValueOptions, given: ReviewOptions) -> None:
    """Write and grade continuations, and keep what they show."""
    trace, needs = recorded.trace, NEEDS[options.writer]
    models, parallel = models_of(trace, given.models, needs), parallel_of(options)
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


def parallel_of(options: ValueOptions) -> int:
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
    return f"{signed(worth.difference)}{instead}"
