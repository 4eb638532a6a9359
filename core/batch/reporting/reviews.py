"""Reviews recorded answers: `Opinions` lets the large model read them, `Values` estimates the values of their steps.

`Reviews` reviews one answer after another, from a batch or not, and stores each review at once, so that a later pass
continues where an earlier one stopped.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from baton_reasoning.core.batch.running.arms import pair_names
from baton_reasoning.core.batch.running.batch import BatchSettings
from baton_reasoning.core.batch.running.regrading import expected_of
from baton_reasoning.core.engines.base import number_at, stream_of
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import ContextFull, SettingsError
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.grading.verdict import How, Outcome, Regex
from baton_reasoning.core.run import Pair
from baton_reasoning.core.step_values.continuations import RUNS_AT_ONCE
from baton_reasoning.core.step_values.estimator import (
    ValueEstimator,
    ValueOptions,
    ValuesProgress,
    is_valued,
)
from baton_reasoning.core.store.batches import Batch, ResultRow
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.text import counted
from baton_reasoning.core.thinking.events import OpinionGiven, ValuesEstimated
from baton_reasoning.core.thinking.opinion import Opinion, OpinionProgress, SecondOpinion
from baton_reasoning.core.thinking.policy import Needs
from baton_reasoning.core.thinking.trace import Trace

Progress = OpinionProgress | ValuesProgress
Finding = OpinionGiven | ValuesEstimated
Attach = Callable[[Callable[[], None]], None]
"""Is given the function that stops a review, which any thread may call."""
USUAL_SAMPLE = 50
"""Answers of a batch that are sampled by default."""


@dataclass(frozen=True)
class Answer:
    """A recorded answer, with functions that read its trace and store a review."""

    read: Callable[[], Trace]
    keep: Callable[[Finding], object]
    expected: str = ""
    how: How | Regex = How.AUTO
    row: ResultRow | None = None
    """Of an answer that is reviewed with others of its batch."""

    @classmethod
    def stored(
        cls, store: Store, run: str, expected: str = "", how: How | Regex = How.AUTO, row: ResultRow | None = None
    ) -> Answer:
        """Return the answer of a run in the store; `read` and `keep` raise StoreError."""
        attempt = ""

        def read() -> Trace:
            nonlocal attempt
            found = store.runs.read(run)
            attempt = found.attempt
            return found.whole

        def keep(finding: Finding) -> None:
            store.runs.append(run, [finding], attempt).result()

        return cls(read, keep, expected, how, row)


class Review(ABC):
    """A kind of review."""

    title: str
    needs: Needs
    parallel = 1
    """Texts that a model on this machine holds at once."""

    def missing(self, answers: Iterable[Answer]) -> list[Answer]:
        """Return the answers without a complete review. Raises StoreError, and as `is_complete` does."""
        return [
            answer for answer in answers if (answer.row and not answer.row.reviewed) or not self.is_complete(answer)
        ]

    @abstractmethod
    def is_complete(self, answer: Answer) -> bool:
        """Tell whether the whole answer has been reviewed. Raises SettingsError if it cannot be."""

    @abstractmethod
    def carry_out(self, pair: Pair, answer: Answer, attach: Attach) -> Iterator[Progress | Finding | str]:
        """Review an answer; yields progress, findings to keep, and notices as sentences.

        Raises the error that says why these models cannot review it.
        """


class Opinions(Review):
    """Second opinions: the large model reads each answer."""

    title = "Second opinions"
    needs = Needs(small=False)

    def is_complete(self, answer: Answer) -> bool:
        opinion = Opinion.of(answer.read())
        return opinion is not None and opinion.is_whole

    def carry_out(self, pair: Pair, answer: Answer, attach: Attach) -> Iterator[Progress | Finding]:
        """Read the answer, unless this model has, or an answer of a batch has no text.

        Raises the error of `opinion_error`.
        """
        trace, card = answer.read(), pair.cards.get(Author.LARGE)
        opinion = Opinion.of(trace)
        is_read = opinion and opinion.is_whole and card and opinion.given.model == card.name
        if not is_read and (trace.pieces or answer.row is None):
            reading = SecondOpinion(pair.large, trace)
            attach(reading.stop)
            yield from reading.read()


class Values(Review):
    """Values of steps; continues an earlier estimate."""

    title = "Values"

    def __init__(self, options: ValueOptions, grader: Grader) -> None:
        self.options, self._grader = options, grader
        self.needs = Needs(small=options.writer != "large", large=options.writer != "small")
        # A model that writes alone holds one text, of which the continuations are branches.
        self.parallel = RUNS_AT_ONCE if options.writer == "policy" else 1

    def is_complete(self, answer: Answer) -> bool:
        """Raises SettingsError, as `is_valued` does."""
        return is_valued(answer.read(), answer.expected, self.options)

    def carry_out(self, pair: Pair, answer: Answer, attach: Attach) -> Iterator[Progress | Finding | str]:
        """Raises SettingsError, as `ValueEstimator` does."""
        estimator = ValueEstimator(pair, answer.read(), self._grader, answer.expected, self.options, answer.how)
        attach(estimator.stop)
        yield from estimator.run()


class ReviewsProgress(NamedTuple):
    done: int
    """Answers that have been reviewed."""
    total: int
    share: float
    """Of all the work, 0 to 1, with the answer that is being reviewed."""


class Reviews:
    """Reviews answers with a pair of models. Call `run` once; `stop` from any thread."""

    def __init__(self, review: Review, pair: Pair, answers: Sequence[Answer]) -> None:
        self.too_long: list[Answer] = []
        """Answers of a batch that were left out, because they do not fit into the model's context."""
        self.is_whole = False
        """Whether all answers have been reviewed."""
        self.answers = answers
        self._review, self._pair = review, pair
        self._stopped = threading.Event()
        self._stop_current: Callable[[], None] = lambda: None
        self._notices: dict[str, None] = {}

    @property
    def remarks(self) -> list[str]:
        """Notices, and how many answers were left out, a sentence each."""
        left_out = (
            f"{counted(len(self.too_long), 'answer')} did not fit into the context. Load the models with a larger one."
        )
        return [*self._notices, *([left_out] if self.too_long else [])]

    def stop(self) -> None:
        """Stop; finished reviews are kept, and the finished part of the current one."""
        self._stopped.set()
        self._stop_current()

    def run(self) -> Generator[ReviewsProgress, None, None]:
        """Review the answers; yields progress before the first, within each and after each.

        Raises EngineError, EngineLost, EngineRefused, SettingsError, StoreError; ContextFull of an answer that is
        reviewed by itself.
        """
        total = len(self.answers)
        yield ReviewsProgress(0, total, 0.0)
        for done, answer in enumerate(self.answers):
            if self._stopped.is_set():
                return
            for share in self._review_one(answer):
                yield ReviewsProgress(done, total, (done + share) / total)
            if self._stopped.is_set() and not self._review.is_complete(answer):
                return
            yield ReviewsProgress(done + 1, total, (done + 1) / total)
        self.is_whole = True

    def _review_one(self, answer: Answer) -> Iterator[float]:
        """Review an answer and store what is found; yields the share that is done."""
        try:
            for item in self._review.carry_out(self._pair, answer, self._attach):
                match item:
                    case str():
                        self._notices[item] = None
                    case ValuesProgress():
                        yield item.done / item.total
                    case OpinionProgress():
                        yield item.tokens / item.total
                    case _:
                        answer.keep(item)
        except ContextFull:
            if answer.row is None:
                raise
            self.too_long.append(answer)

    def _attach(self, stop: Callable[[], None]) -> None:
        self._stop_current = stop
        if self._stopped.is_set():
            stop()


def answers_of(store: Store, batch: Batch, rows: Iterable[ResultRow]) -> list[Answer]:
    """Return the answers of these rows. Raises SettingsError if the batch's settings cannot be read, StoreError."""
    how, problems = BatchSettings.of(batch).how, list(store.batches.problems(batch.id))
    return [Answer.stored(store, row.run, expected_of(problems[row.position], how) or "", how, row) for row in rows]


def wrong_answers(store: Store, batch: Batch, arms: Collection[str] | None = None) -> list[ResultRow]:
    """Return the wrong answers of these arms, by default of all. Raises StoreError."""
    rows = store.batches.results(batch.id)
    return [row for row in rows if row.outcome is Outcome.WRONG and (arms is None or row.arm in arms)]


def sample_answers(
    store: Store, batch: Batch, arms: Collection[str] | None = None, size: int = USUAL_SAMPLE
) -> list[ResultRow]:
    """Draw at most `size` graded answers with takeovers from these arms, by default from those in which both models
    write by their policy; the same each time.

    Raises SettingsError if there is none, StoreError.
    """
    arms = pair_names(batch.arms) if arms is None else arms
    problems = list(store.batches.problems(batch.id))
    with_takeovers = [
        row
        for row in store.batches.results(batch.id)
        if row.arm in arms
        and row.has_answer
        and row.cost.takeovers
        and row.outcome is not Outcome.UNSCORED
        and problems[row.position].expected
    ]
    if not with_takeovers:
        raise SettingsError("No graded answer of the batch contains a takeover.", "Choose another arm or batch.")
    with_takeovers.sort(key=lambda row: number_at(stream_of(0, f"sample {row.arm} {row.position} {row.seed}", 0), 0))
    return sorted(with_takeovers[:size], key=lambda row: row.job)
