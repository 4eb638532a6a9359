"""Open what was recorded, an answer or a batch, and the models that review it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click

from baton_reasoning.app.terminal.batch_folder import BatchFolder
from baton_reasoning.app.terminal.command_line import complete_files
from baton_reasoning.app.terminal.output import progress
from baton_reasoning.app.terminal.pair import BOTH_MODELS, LoadingOptions, ModelOptions, open_pair
from baton_reasoning.app.terminal.recording import full_id, open_history
from baton_reasoning.app.terminal.signals import stops_on_interrupt
from baton_reasoning.app.terminal.standard_input import read_input
from baton_reasoning.core.batch.reporting.reviews import BatchReviews
from baton_reasoning.core.batch.running.arms import Arm, by_models
from baton_reasoning.core.batch.running.batch import BatchSettings
from baton_reasoning.core.demo_pair import DemoProblem
from baton_reasoning.core.engines.base import ModelCard
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.files import read_text
from baton_reasoning.core.grading.verdict import How, Regex
from baton_reasoning.core.run import Pair
from baton_reasoning.core.store.batches import Batch
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.events import OpinionGiven, ValuesEstimated
from baton_reasoning.core.thinking.policy import Needs
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.thinking.trace_json import trace_from_lines

Function = TypeVar("Function", bound=Callable[..., Any])


class ReviewOptions(NamedTuple):
    """What `--small`, `--large` and the options of loading say, and whether JSON is wanted."""

    models: ModelOptions
    loading: LoadingOptions
    json: bool


class Recorded(NamedTuple):
    """A recorded run, and the store that keeps its reviews: None for a run in a file."""

    trace: Trace
    store: Store | None = None
    run: str = ""
    expected: str = ""
    """The expected answer, if it is known: of an answer of a batch, or of a problem of the demo pair."""
    how: How | Regex = How.AUTO
    """How the batch compares answers."""

    def keep(self, review: OpinionGiven | ValuesEstimated) -> None:
        self.trace.apply(review)
        if self.store:
            self.store.runs.append(self.run, [review]).result()


@contextmanager
def recorded_run(name: str) -> Iterator[Recorded]:
    """Open a run in a file, on standard input, or in the history. Raises SettingsError, StoreError."""
    if name == "-":
        yield _of_file(trace_from_lines(read_input().splitlines()))
    elif Path(name).exists() or Path(name).suffix:
        yield _of_file(trace_from_lines(read_text(Path(name), "Name what baton solve --json wrote.").splitlines()))
    else:
        with open_history() as store:
            yield _answer_of_batch(store, name) or _answer_of_history(store, name)


def _of_file(trace: Trace) -> Recorded:
    return Recorded(trace, expected=_demo_answer(trace))


def _answer_of_batch(store: Store, run: str) -> Recorded | None:
    found = store.batches.of_run(run)
    if found is None:
        return None
    batch, problem = found
    return Recorded(store.runs.trace(run), store, run, problem.expected or "", BatchSettings.of(batch).how)


def _answer_of_history(store: Store, name: str) -> Recorded:
    id = full_id((each.id for each in store.conversations.recent()), name, "answers")
    run = store.conversations.open(id).leaf or ""
    trace = store.runs.trace(run)
    return Recorded(trace, store, run, _demo_answer(trace))


def _demo_answer(trace: Trace) -> str:
    """Return the answer to a problem of the demo pair; "" to any other."""
    if trace.started is None:
        return ""
    asked, instruction = trace.started.conversation[-1].content, str(trace.started.settings.get("instruction", ""))
    problem = DemoProblem.of(asked.removesuffix(instruction))
    return problem.answer if problem else ""


def models_of(trace: Trace, models: ModelOptions, needs: Needs = BOTH_MODELS) -> ModelOptions:
    """Return the models that were given, else those of the run, else the pair chosen in the window."""
    if models.are_given or trace.started is None:
        return models
    small, large = (_named(card) for card in (trace.started.small, trace.started.large))
    are_known = (small or not needs.small) and (large or not needs.large)
    return replace(models, small=small, large=large) if are_known else models


def _named(card: ModelCard | None) -> str:
    return str(card.source) if card and card.source else ""


def batch_argument(function: Function) -> Function:
    """Add the argument of `opened_batch` to a command: the folder of a batch, or its id in the history."""
    return click.argument("name", shell_complete=complete_files, metavar="DIR|ID")(function)


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


def review_batch(
    batch: Batch,
    arms: Collection[str],
    options: ReviewOptions,
    title: str,
    reviews_by: Callable[[Pair, Sequence[str]], BatchReviews],
    needs: Needs = BOTH_MODELS,
    parallel: int = 1,
) -> list[BatchReviews]:
    """Let the models of these arms review their answers, one pair of models after another.

    `reviews_by`: the reviews by a pair, of the answers of the arms with these names. Returns them; fewer if stopped.
    """
    settings, given, done = BatchSettings.of(batch), options.models, list[BatchReviews]()
    small, large = (model.source if model else "" for model in (settings.small, settings.large))
    if not given.are_given and (small or not needs.small) and (large or not needs.large):
        given = replace(given, small=small, large=large)
    for names, group in by_models([Arm.shown(stored) for stored in batch.arms if stored.name in arms]).items():
        with (
            open_pair(given.with_others(names), options.loading, needs, parallel=parallel) as pair,
            progress(title, options.json) as line,
        ):
            reviews = reviews_by(pair, [arm.name for arm in group])
            done.append(reviews)
            with stops_on_interrupt(reviews), closing(reviews.run()) as items:
                for item in items:
                    line.show(item.share, f"{item.done:,} of {item.total:,} answers")
        if reviews.stopped:
            break
    return done
