"""Open recorded answers and batches, and let models review them, for all commands in `review_commands`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path

from baton_reasoning.app.terminal.batch_run import BatchFolder
from baton_reasoning.app.terminal.history import full_id, open_history
from baton_reasoning.app.terminal.options import LoadingOptions, ModelOptions
from baton_reasoning.app.terminal.output import progress
from baton_reasoning.app.terminal.pair import open_pair
from baton_reasoning.app.terminal.streams import ExitCode, exit_code_of_signal, read_input, remark, stops_on_interrupt
from baton_reasoning.core.batch.reporting.reviews import Answer, Review, Reviews, ReviewsProgress, Values
from baton_reasoning.core.batch.running.arms import Arm, by_models
from baton_reasoning.core.batch.running.batch import BatchSettings
from baton_reasoning.core.demo_pair import DemoProblem
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.files import read_text
from baton_reasoning.core.model_costs import ModelCosts
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.run import Pair
from baton_reasoning.core.step_values.estimator import ValuesPlan, ValuesProgress, writers_of
from baton_reasoning.core.store.batches import Batch
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.opinion import OpinionProgress
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.thinking.trace_json import trace_from_lines
from baton_reasoning.core.words.numbers import count, rough_duration


def review_answer(review: Review, answer: Answer, models: ModelOptions, loading: LoadingOptions, json: bool) -> int:
    """Review an answer with the models that were named, else with those of its run unless it is reviewed already.

    Returns the exit code of the command.
    """
    started = answer.read().started
    cards = (started.small, started.large) if started else (None, None)
    small, large = (str(card.source) if card and card.source else "" for card in cards)
    missing = review.missing([answer])
    wanted = [answer] if models.are_given else missing
    return _review(review, [(_models_or(small, large, review, models), wanted)], loading, json)


def review_batch(
    review: Review, batch: Batch, answers: Sequence[Answer], models: ModelOptions, loading: LoadingOptions, json: bool
) -> int:
    """Review answers with the models that were named; those not yet reviewed with the models of their arms otherwise.

    Returns the exit code of the command.
    """
    settings = BatchSettings.of(batch)
    small, large = (model.source if model else "" for model in (settings.small, settings.large))
    chosen, work = _models_or(small, large, review, models), []
    missing = review.missing(answers)
    wanted = answers if models.are_given else missing
    names = {answer.row.arm for answer in wanted if answer.row}
    for others, arms in by_models([Arm.shown(stored) for stored in batch.arms if stored.name in names]).items():
        written_by = {arm.name for arm in arms}
        own = [answer for answer in wanted if answer.row and answer.row.arm in written_by]
        work.append((chosen.with_others(others), own))
    return _review(review, work, loading, json)


def _models_or(small: str, large: str, review: Review, given: ModelOptions) -> ModelOptions:
    """Return the models that were named, else these if they are known, else the pair chosen in the window."""
    are_known = (small or not review.needs.small) and (large or not review.needs.large)
    return given if given.are_given or not are_known else replace(given, small=small, large=large)


def _review(
    review: Review, work: Sequence[tuple[ModelOptions, Sequence[Answer]]], loading: LoadingOptions, json: bool
) -> int:
    """Load one pair of models after another, and let each review its answers until a signal stops it."""
    for models, answers in work:
        if not answers:
            continue
        if len(answers) > 1:
            remark(f"{review.title}: {count(len(answers), 'answer')}.")
        with open_pair(models, loading, review.needs, parallel=review.parallel) as pair:
            reviews = Reviews(review, pair, answers)
            with (
                progress(review.title, json) as line,
                stops_on_interrupt(reviews),
                closing(reviews.run()) as items,
            ):
                for item in items:
                    if item.total == 1 and isinstance(item.part, ValuesPlan) and isinstance(review, Values):
                        line.remark(_plan_text(item.part, pair, review))
                    line.show(item.share, _progress_text(item))
        for sentence in reviews.remarks:
            remark(sentence)
        if not reviews.is_whole:
            remark("Not everything was reviewed. Repeat the command to continue.")
            return exit_code_of_signal()
    return ExitCode.ANSWERED


def _plan_text(plan: ValuesPlan, pair: Pair, review: Values) -> str:
    seconds = ModelCosts(Paths.of_user().model_costs).slowest_decode(writers_of(pair, review.options))
    at_most = f", at most {rough_duration(plan.tokens * seconds)}" if seconds else ""
    return (
        f"{count(plan.continuations, 'continuation')} from {count(plan.places, 'place')}, about "
        f"{count(plan.tokens, 'token')}{at_most}; more where values differ."
    )


def _progress_text(item: ReviewsProgress) -> str:
    """Describe the progress through the answers, or within a single one."""
    match item.part if item.total == 1 else None:
        case ValuesProgress(done, total, _, seconds):
            left = f", {rough_duration((total - done) * seconds / max(1, done))} left"
            return f"{done:,} of {count(total, 'continuation')}{left if done < total else ''}"
        case OpinionProgress(tokens, total):
            return f"{tokens:,} of {count(total, 'token')}"
    return f"{item.done:,} of {count(item.total, 'answer')}"


# What was recorded ---------------------------------------------------------------------------------------------------


@contextmanager
def recorded_answer(name: str) -> Iterator[Answer]:
    """Open an answer in a file, on standard input, or in the history. Raises SettingsError, StoreError."""
    is_file = name == "-" or Path(name).exists() or Path(name).suffix
    if not is_file:
        with open_history() as store:
            yield _stored_answer(store, name)
        return
    text = read_input() if name == "-" else read_text(Path(name), "Name what baton solve --json wrote.")
    trace = trace_from_lines(text.splitlines())
    yield Answer(lambda: trace, trace.apply, _demo_answer(trace))  # the file stays as it is


def _stored_answer(store: Store, name: str) -> Answer:
    """Return the answer of a batch with this run, else that of the conversation whose id begins so."""
    if found := store.batches.of_run(name):
        batch, problem = found
        return Answer.stored(store, name, problem.expected or "", BatchSettings.of(batch).how)
    id = full_id((each.id for each in store.conversations.recent()), name, "answers")
    run = store.conversations.open(id).leaf or ""
    return Answer.stored(store, run, _demo_answer(store.runs.trace(run)))


def _demo_answer(trace: Trace) -> str:
    """Return the answer to a problem of the demo pair; "" to any other."""
    if trace.started is None:
        return ""
    asked, instruction = trace.started.conversation[-1].content, str(trace.started.settings.get("instruction", ""))
    problem = DemoProblem.of(asked.removesuffix(instruction))
    return problem.answer if problem else ""


@contextmanager
def opened_batch(name: str, arm: str | None = None) -> Iterator[tuple[Store, Batch]]:
    """Open a batch by its folder or its id in the history.

    Raises SettingsError, also if it has not this arm, and StoreError.
    """
    with ExitStack() as stack:
        if Path(name).is_dir():
            store, batch = stack.enter_context(BatchFolder(Path(name)).opened())
        else:
            store = stack.enter_context(open_history())
            batches = {each.id: each for each in store.batches.all()}
            batch = batches[full_id(batches, name, "batches", "Name the folder of one, or see baton history list.")]
        arms = [each.name for each in batch.arms]
        if arm and arm not in arms:
            raise SettingsError(f"The batch has no arm {arm}.", f"Name one of {', '.join(arms)}.")
        yield store, batch
