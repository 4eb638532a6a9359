"""`baton opinion` and `baton value`: let models review a recorded answer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from textwrap import shorten

import click

from baton_reasoning.app.shared.labels import SIGNS, opinion_counts
from baton_reasoning.app.shared.value_words import value_sentences
from baton_reasoning.app.terminal.command_line import OUTPUT, ChoiceOf, command, complete_files, gathered, option
from baton_reasoning.app.terminal.options import AT_LEAST_ONE
from baton_reasoning.app.terminal.output import remark, write, write_table
from baton_reasoning.app.terminal.pair import (
    LoadingOptions,
    ModelOptions,
    large_or,
    loading_of_one,
    loading_options,
    models_or,
)
from baton_reasoning.app.terminal.reviews import ReviewOptions, recorded_answer, review_answer
from baton_reasoning.app.terminal.streams import write_json
from baton_reasoning.core.batch.reporting.report_text import estimated, signed
from baton_reasoning.core.batch.reporting.reviews import Opinions, Values
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.step_values import USUAL_CONTINUATIONS, WRITERS, ValueOptions
from baton_reasoning.core.table import Column, Table
from baton_reasoning.core.thinking.opinion import Disagreement, Opinion
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.thinking.trace_json import event_to_json
from baton_reasoning.core.thinking.values import StepValues, TakeoverWorth

BEFORE = 40
"""Characters of context that are printed before a disagreement."""
QUOTED = 48
"""Characters of a step that the table quotes."""
VERDICTS = {True: "1 (right)", False: "0 (wrong)"}
"""The value of the end of a graded text."""


@dataclass(frozen=True)
class ContinuationOptions:
    writer: str
    k: int


continuation_options = gathered(
    ContinuationOptions,
    "chosen",
    option(
        "--k",
        type=AT_LEAST_ONE,
        default=USUAL_CONTINUATIONS,
        metavar="N",
        help=f"Continuations from each place, or more [{USUAL_CONTINUATIONS}].",
    ),
    option(
        "--writer",
        type=ChoiceOf(WRITERS),
        default="small",
        metavar="WHO",
        help="Writes them: small, large, or the run's policy [small].",
    ),
)


@command("opinion")
@click.argument("trace", shell_complete=complete_files)
@option("--limit", type=AT_LEAST_ONE, default=20, metavar="N", group=OUTPUT, help="Only the N strongest places [20].")
@option("--json", is_flag=True, group=OUTPUT, help="The opinion as one JSON event (docs/trace.md).")
@large_or("that of the run")
@loading_of_one
def opinion(
    trace: str,
    limit: int,
    json: bool,
    models: ModelOptions,
    loading: LoadingOptions,
) -> int:
    """Show where the large model would have written something else, the strongest disagreement first.

    TRACE is a file that `baton solve --json` wrote, - for standard input, or the id of an answer in `baton history
    list`, with which the opinion is kept. Without --large, the large model of the run reads it, unless it has.
    """
    with recorded_answer(trace) as answer:
        code = review_answer(Opinions(), answer, ReviewOptions(models, loading, json))
        read = answer.read()
    found = Opinion.of(read)
    if found is None:
        return code
    if json:
        write_json(event_to_json(found.given))
        return code
    write(opinion_counts(found))
    for place in found.ranked[:limit]:
        write(place_line(place, read.text))
    if len(found.ranked) > limit:
        remark(f"{len(found.ranked) - limit:,} weaker disagreements are not shown (--limit).")
    return code


@command("value")
@click.argument("recorded", shell_complete=complete_files, metavar="TRACE|ID")
@option(
    "--expected",
    default="",
    metavar="ANSWER",
    help="The right answer, if it is not recorded; without any, values say agreement.",
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
    list`, or `run` in results.jsonl. Values are kept with the answers of the history: what is stopped goes on when the
    command is repeated.
    """
    options = ValueOptions(chosen.writer, chosen.k, every_step)
    with recorded_answer(recorded) as answer, Grader() as grader:
        answer = replace(answer, expected=expected or answer.expected)
        code = review_answer(Values(options, grader), answer, ReviewOptions(models, loading, json))
        trace = answer.read()
    values = StepValues.of(trace, options.writer)
    if values is None:
        return code
    if json:
        write_json(event_to_json(values.estimated))
        return code
    table = value_table(trace, values)
    write_table(table.headings, table.rows, right=(0,))
    for sentence in value_sentences(trace, values):
        write(sentence)
    return code


def place_line(place: Disagreement, text: str) -> str:
    """Return a line such as “! step 3: … 284 + 027 = [2 → 3, 100%] missed takeover”; ! marks a strong one."""
    before = " ".join(text[max(0, place.start - BEFORE) : place.start].split())
    written, first = text[place.start : place.end].strip() or "␣", place.expected
    sequel = f" {place.sequel.value}" if place.sequel else ""
    expected = first.text.strip() or "␣"
    sign = "!" if place.is_strong else " "
    return f"{sign} step {place.step + 1}: … {before} [{written} → {expected}, {math.exp(first.logprob):.0%}]{sequel}"


def value_table(trace: Trace, values: StepValues) -> Table:
    """List the valued places, each with what happened since the one before."""
    titles = ("step", "by", "value", "change", "worth of the takeover", "text")
    columns = tuple(Column(title, is_number=title == "step") for title in titles)
    return Table("What each step was worth", columns, tuple(_rows(trace, values)))


def _rows(trace: Trace, values: StepValues) -> Iterator[tuple[str, ...]]:
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
