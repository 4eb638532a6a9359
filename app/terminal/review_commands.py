"""The commands that let models review answers: `baton opinion`, `value`, `batch failures` and `batch value`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from textwrap import shorten

import click

from baton_reasoning.app.terminal.command_line import OUTPUT, as_json, command, option
from baton_reasoning.app.terminal.history import full_id, open_history
from baton_reasoning.app.terminal.options import (
    AT_LEAST_ONE,
    LoadingOptions,
    ModelOptions,
    large_option,
    loading_of_one,
    loading_options,
    model_options,
)
from baton_reasoning.app.terminal.output import progress, write, write_table
from baton_reasoning.app.terminal.pair import open_pair
from baton_reasoning.app.terminal.stored_batches import batch_argument, of_arm, opened_batch
from baton_reasoning.app.terminal.streams import (
    ExitCode,
    exit_code_of_signal,
    read_input,
    remark,
    stops_on_interrupt,
    write_json,
    write_json_lines,
)
from baton_reasoning.core.analysis.opinion import Disagreement, Opinion
from baton_reasoning.core.analysis.value_estimator import USUAL_ROLLOUTS, WRITERS, ValueOptions
from baton_reasoning.core.analysis.values import FEWEST_ROLLOUTS, StepValues, TakeoverWorth
from baton_reasoning.core.batch.reporting import failures as analysed
from baton_reasoning.core.batch.reporting.figures import estimated, signed
from baton_reasoning.core.batch.reporting.worth import SampleWorth, worth_of
from baton_reasoning.core.batch.running.arms import OtherModels
from baton_reasoning.core.batch.running.batch import BatchSettings
from baton_reasoning.core.batch.running.execution import WantedPair
from baton_reasoning.core.batch.running.regrading import expected_of
from baton_reasoning.core.demo_pair.task import expected_answer
from baton_reasoning.core.errors import SettingsError, StoreError
from baton_reasoning.core.files import read_text
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.reviews import (
    USUAL_SAMPLE,
    Answer,
    Opinions,
    Review,
    Reviews,
    ReviewsProgress,
    Values,
    answers_of,
    sample_answers,
    wrong_answers,
)
from baton_reasoning.core.run import Pair
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.table import Column, Table
from baton_reasoning.core.text import counted
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.thinking.trace_json import event_to_json, trace_from_lines
from baton_reasoning.core.words.authors import SIGN
from baton_reasoning.core.words.labels import NOT_HANDED_OVER, opinion_counts
from baton_reasoning.core.words.values import value_sentences

BEFORE = 40
"""Characters of context that are printed before a disagreement."""
QUOTED = 48
"""Characters of a step that the table quotes."""
VERDICTS = {True: "1 (right)", False: "0 (wrong)"}
"""The value of the end of a graded text."""

rollouts = option(
    "--k",
    type=AT_LEAST_ONE,
    default=USUAL_ROLLOUTS,
    help=f"Sample at least N continuations from each place [{USUAL_ROLLOUTS}]; fewer than "
    f"{FEWEST_ROLLOUTS} show no change.",
)
written_by = option(
    "--writer",
    type=click.Choice(WRITERS),
    default="small",
    metavar="WHO",
    help="Writer of the continuations: small, large, or policy (that of the run) [small].",
)


@command("opinion")
@click.argument("trace", type=click.Path())
@option("--limit", type=AT_LEAST_ONE, default=20, group=OUTPUT, help="Only the N strongest disagreements [20].")
@large_option
@loading_of_one
@as_json.but(help="Print the opinion as one JSON event (docs/trace.md).")
def opinion(trace: str, limit: int, models: ModelOptions, loading: LoadingOptions, json: bool) -> int:
    """Show where the large model would have written something else, the strongest disagreement first.

    TRACE is a file that `baton solve --json` wrote, - for standard input, or the id of an answer in `baton history
    list`, with which the opinion is kept. Without --large, the large model of the run is used, unless its opinion is
    kept already.
    """
    with recorded_answer(trace) as answer:
        code = review_answers(Opinions(), [answer], models, loading, json)
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
@click.argument("recorded", type=click.Path(), metavar="TRACE|ID")
@option(
    "--expected",
    default="",
    metavar="ANSWER",
    help="The correct answer, if none is recorded; without one, values measure agreement.",
)
@rollouts
@written_by
@option("--every-step", is_flag=True, help="Value every step, even of a long text.")
@model_options
@loading_options
@as_json.but(help="Print the values as one JSON event (docs/trace.md).")
def value(
    recorded: str,
    expected: str,
    k: int,
    writer: str,
    every_step: bool,
    models: ModelOptions,
    loading: LoadingOptions,
    json: bool,
) -> int:
    """Estimate the value of each step of an answer: how often continuations from there end right.

    TRACE is a file that `baton solve --json` wrote, or - for standard input; ID that of an answer in `baton history
    list`, or `run` in results.jsonl. Without --small and --large, the models of the run are used. Values are kept with
    an answer of the history, and if the command is stopped, repeating it continues.
    """
    with recorded_answer(recorded) as answer, Grader() as grader:
        answer = replace(answer, expected=expected or answer.expected)
        review = Values(ValueOptions(writer, k, every_step), grader)
        code = review_answers(review, [answer], models, loading, json)
        trace = answer.read()
    values = StepValues.of(trace, writer)
    if values is None:
        return code
    if json:
        write_json(event_to_json(values.estimated))
        return code
    write_table(value_table(trace, values))
    for sentence in value_sentences(trace, values):
        write(sentence)
    return code


@command("failures")
@batch_argument
@of_arm
@option("--opinion", is_flag=True, help="Let the large model review the wrong answers first, and store its opinions.")
@large_option
@loading_of_one
@as_json.but(help="Print one JSON object per failure and per kind of takeover.")
def failures(
    name: str, arm: str | None, opinion: bool, models: ModelOptions, loading: LoadingOptions, json: bool
) -> int:
    """Show the failed answers of a batch in groups, and its takeovers by reason, cue and outcome.

    DIR is the folder of the batch; ID is that of a batch in `baton batch list`. Takeovers are counted in the arms in
    which both models write by their policy, unless --arm names another. Without --large, --opinion uses the large model
    of the batch.
    """
    code: int = ExitCode.ANSWERED
    with opened_batch(name, arm) as (store, batch):
        if opinion:
            wrong = wrong_answers(store, batch, [arm] if arm else None)
            answers = answers_of(store, batch, wrong)
            code = review_answers(Opinions(), answers, models, loading, json)
        found = analysed.analyse(store, batch.id, arm)
    if json:
        write_json_lines(_analysis_in_json(found))
    else:
        _write_analysis(found)
    return code


@command("value")
@batch_argument
@option("--sample", type=AT_LEAST_ONE, default=USUAL_SAMPLE, help=f"Value N answers with takeovers [{USUAL_SAMPLE}].")
@of_arm
@rollouts
@written_by
@model_options
@loading_options
@as_json.but(help="Print one JSON object per cue, then one for all.")
def batch_value(
    name: str,
    sample: int,
    arm: str | None,
    k: int,
    writer: str,
    models: ModelOptions,
    loading: LoadingOptions,
    json: bool,
) -> int:
    """Estimate the value of the takeovers of a batch, by cue: how often continuations from there end right.

    DIR is the folder of the batch; ID is that of a batch in `baton batch list`. The sample is drawn from the arms in
    which both models write by their policy, unless --arm names another. Without --small and --large, the models of the
    batch are used. Values are kept with the answers, and if the command is stopped, repeating it continues.
    """
    with opened_batch(name, arm) as (store, batch), Grader() as grader:
        rows = sample_answers(store, batch, [arm] if arm else None, sample)
        review = Values(ValueOptions(writer, k, only_takeovers=True), grader)
        code = review_answers(review, answers_of(store, batch, rows), models, loading, json)
        found = worth_of(store, rows, writer)
    if json:
        write_json_lines(_worth_in_json(found))
    elif found.all:
        write_table(analysed.takeover_table(analysed.takeover_outcomes(rows, found.kinds)))
        write(_worth_sentences(found, writer))
    return code


# Output ---------------------------------------------------------------------------------------------------------------


def place_line(place: Disagreement, text: str) -> str:
    """Return a line such as “! step 3: … 284 + 027 = [2 → 3, 100%] not handed over”; ! marks a strong one."""
    before = " ".join(text[max(0, place.start - BEFORE) : place.start].split())
    written, first = text[place.start : place.end].strip() or "␣", place.expected
    missed = f" {NOT_HANDED_OVER}" if place.is_missed else ""
    expected = first.text.strip() or "␣"
    sign = "!" if place.is_strong else " "
    return f"{sign} step {place.step + 1}: … {before} [{written} → {expected}, {math.exp(first.logprob):.0%}]{missed}"


def value_table(trace: Trace, values: StepValues) -> Table:
    """List the valued places, each with what happened since the one before."""
    changes = {change.after.place: change for change in values.changes if change.is_certain}
    takeovers = {worth.after.place: worth for worth in values.takeovers}
    rows, begin = [], 0
    for place in values.places:
        text = shorten(trace.text_between(begin, place.position), QUOTED, placeholder=" …")
        if trace.closed and begin < place.position and text in ("", trace.closed.tag):
            text = "(end of the thinking)"
        change, worth = changes.get(place.place), takeovers.get(place.place)
        cells = (
            str(place.step + 1) if place.position else "start",
            SIGN.get(place.author, "") if place.author else "",
            estimated(place.value) if place.rollouts else VERDICTS[place.value.value > 0],
            signed(change.difference, is_certain=True) if change else "",
            _worth_text(worth) if worth else "",
            text,
        )
        rows.append(cells)
        begin = place.position
    titles = ("step", "by", "value", "change", "worth of the takeover", "text")
    columns = tuple(Column(title, is_number=title == "step") for title in titles)
    return Table("What each step was worth", columns, tuple(rows))


def _worth_text(worth: TakeoverWorth) -> str:
    instead = f", instead of {worth.before.value.value:.2f}" if worth.before.place.replaced else ""
    return f"{signed(worth.difference, is_certain=worth.is_certain)}{instead}"


def _write_analysis(found: analysed.FailureAnalysis) -> None:
    write(f"{found.answers:,} answers, {len(found.failures):,} of them not right", "bold")
    for kind, number in found.groups.items():
        write(f"{kind.value}: {number:,}")
    for table in (analysed.failure_table(found.failures), analysed.takeover_table(found.takeovers)):
        if table.rows:
            write()
            write_table(table)


def _worth_sentences(found: SampleWorth, written_by: str) -> str:
    """Say what the takeovers of a sample were worth together, and how that was estimated."""
    assert found.all
    writer = {"policy": "the policy of the run"}.get(written_by, f"the {written_by} model alone")
    return (
        f"{counted(found.all.takeovers, 'takeover')} of {counted(found.answers, 'answer')}: worth "
        f"{found.all.mean_text} each, {found.all.rescued:,} rescued and {found.all.spoiled:,} spoiled an answer. "
        f"From the beginning of the text {writer} gets {estimated(found.start)} right. Worth: the value after a "
        "takeover less that after what it replaced, with a 95% interval for the choice of problems and for chance in "
        "the continuations."
    )


def _analysis_in_json(found: analysed.FailureAnalysis) -> Iterator[dict[str, object]]:
    """Yield an object for each failure, then one for each kind of takeover."""
    for failure in found.failures:
        row = failure.row
        yield {
            "id": failure.problem.id,
            "arm": row.arm,
            "seed": row.seed,
            "failure": failure.kind.name.lower(),
            "answer": row.answer,
            "expected": failure.problem.expected,
            "error": row.error,
            "divergence": failure.divergence._asdict() if failure.divergence else None,
        }
    for group in found.takeovers:
        yield {"takeovers": asdict(group)}


def _worth_in_json(found: SampleWorth) -> Iterator[dict[str, object]]:
    """Yield an object for each kind of takeover, then one for all."""
    for kind, worth in found.kinds.items():
        yield kind._asdict() | asdict(worth)
    start, all = (each and asdict(each) for each in (found.start, found.all))
    yield {"answers": found.answers, "start": start, "all": all}


# Reviewing ------------------------------------------------------------------------------------------------------------


def review_answers(
    review: Review, answers: Sequence[Answer], models: ModelOptions, loading: LoadingOptions, json: bool
) -> int:
    """Review answers with the models that were named; without any, what is missing with those that wrote it.

    Returns the exit code of the command.
    """
    given = OtherModels(*models.texts) if models.are_given else None
    run = Reviews(review, answers, partial(_opened, models, loading), given=given)
    with progress(review.title, json) as line, stops_on_interrupt(run.stop), closing(run.run()) as items:
        for item in items:
            if isinstance(item, ReviewsProgress):
                line.show(item.share, f"{item.done:,} of {counted(item.total, 'answer')}")
    for sentence in run.remarks:
        remark(sentence)
    if run.is_whole:
        return ExitCode.ANSWERED
    remark("Not everything was reviewed. Repeat the command to continue.")
    return exit_code_of_signal()


def _opened(models: ModelOptions, loading: LoadingOptions, wanted: WantedPair) -> AbstractContextManager[Pair]:
    """Load the pair that is wanted or, where a recording does not name it, the pair chosen in the window."""
    are_known = (wanted.small or not wanted.needs.small) and (wanted.large or not wanted.needs.large)
    named = ModelOptions(wanted.small, wanted.large, models.yes) if are_known else models
    roomy = replace(loading, context=loading.context or wanted.context or None)
    return open_pair(named, roomy, wanted.needs, parallel=wanted.parallel)


# What was recorded ----------------------------------------------------------------------------------------------------


@contextmanager
def recorded_answer(name: str) -> Iterator[Answer]:
    """Open an answer in a file, on standard input, or in the history. Raises SettingsError, StoreError."""
    if not (name == "-" or Path(name).exists() or Path(name).suffix):
        with open_history() as store:
            yield _stored_answer(store, name)
        return
    text = read_input() if name == "-" else read_text(Path(name), "Name what baton solve --json wrote.")
    try:
        trace = trace_from_lines(text.splitlines())
    except StoreError as error:  # a file that was named, not the store
        raise SettingsError(error.message, error.advice) from error
    yield Answer(lambda: trace, trace.apply, _demo_answer(trace))  # the file stays as it is


def _stored_answer(store: Store, name: str) -> Answer:
    """Return the answer of a batch with this run, else that of the conversation whose id begins so."""
    if found := store.batches.of_run(name):
        batch, problem = found
        how = BatchSettings.of(batch).how
        return Answer.stored(store, name, expected_of(problem, how) or "", how)
    id = full_id((each.id for each in store.conversations.recent()), name, "answers")
    leaf = store.conversations.open(id).path[-1]
    return Answer.stored(store, leaf.id, expected_answer(leaf.problem))


def _demo_answer(trace: Trace) -> str:
    """Return the answer to a problem of the demo pair; "" to any other."""
    if trace.started is None:
        return ""
    asked, instruction = trace.started.conversation[-1].content, str(trace.started.settings.get("instruction", ""))
    return expected_answer(asked.removesuffix(instruction))
