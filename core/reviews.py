"""Reviews answers: `Opinions` lets the large model read them, `Values` estimates the values of their steps.

`Reviews` opens the pair that wrote an answer, never another unless a person named it, and reviews one answer after
another, in a batch or not. Each review is stored at once, so that a later pass continues where an earlier one stopped.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from baton_reasoning.core.analysis.opinion import Opinion, OpinionProgress, SecondOpinion, cards_of, own_text_error
from baton_reasoning.core.analysis.rollouts import RUNS_AT_ONCE
from baton_reasoning.core.analysis.value_estimator import (
    ValueEstimator,
    ValueOptions,
    ValuesProgress,
    first_places,
    is_valued,
)
from baton_reasoning.core.batch.running.arms import OtherModels, known_arms, pair_names
from baton_reasoning.core.batch.running.batch import BatchSettings, local_context
from baton_reasoning.core.batch.running.control import BatchControl
from baton_reasoning.core.batch.running.execution import OpenPair, WantedPair
from baton_reasoning.core.batch.running.regrading import expected_of
from baton_reasoning.core.engines.base import number_at, stream_of
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import Cancelled, ContextFull, SettingsError
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.grading.verdict import Grading, GradingMethod, Outcome
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.run import Pair
from baton_reasoning.core.store.batches import Batch, ResultRow
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.text import counted
from baton_reasoning.core.thinking.events import OpinionGiven, ValuesEstimated
from baton_reasoning.core.thinking.policy import Needs
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.words.numbers import rough_duration

Progress = OpinionProgress | ValuesProgress
Finding = OpinionGiven | ValuesEstimated
"""What a review adds to a trace."""
Attach = Callable[[Callable[[], None]], None]
"""Is given the function that stops a review, which any thread may call."""
USUAL_SAMPLE = 50
"""Answers of a batch that are sampled by default."""


def names_of(trace: Trace) -> OtherModels:
    """Return what opens the models of an answer; empty where that is not known. Raises as `cards_of`."""
    cards = cards_of(trace)
    sources = (card.source if (card := cards.get(author)) else None for author in (Author.SMALL, Author.LARGE))
    return OtherModels(*(str(source) if source else "" for source in sources))


@dataclass(frozen=True)
class Answer:
    """A recorded answer, with functions that read its trace and store a review."""

    read: Callable[[], Trace]
    keep: Callable[[Finding], object]
    expected: str = ""
    how: Grading = GradingMethod.AUTO
    row: ResultRow | None = None
    """Of an answer that is reviewed with others of its batch."""
    models: OtherModels | None = None
    """What opens the models that wrote it; None: as its trace says."""
    context: int = 0
    """Tokens that its models on this machine held in their batch; 0 if that is not known."""

    @property
    def names(self) -> OtherModels:
        return names_of(self.read()) if self.models is None else self.models

    @classmethod
    def stored(
        cls,
        store: Store,
        run: str,
        expected: str = "",
        how: Grading = GradingMethod.AUTO,
        row: ResultRow | None = None,
        models: OtherModels | None = None,
        context: int = 0,
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

        return cls(read, keep, expected, how, row, models, context)


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
    def price(self, trace: Trace) -> str:
        """Say what it takes to review an answer: “80 continuations, about 11 min”."""

    @abstractmethod
    def carry_out(self, pair: Pair, answer: Answer, attach: Attach) -> Iterator[Progress | Finding | str]:
        """Review an answer; yields progress, findings to keep, and notices as sentences.

        Raises the error that says why these models cannot review it.
        """


class Opinions(Review):
    """Second opinions: the large model reads each answer."""

    title = "Second opinions"
    needs = Needs(small=False)

    def missing(self, answers: Iterable[Answer]) -> list[Answer]:
        """Leave out those of a batch that the large model wrote alone, as well."""
        return super().missing(each for each in answers if each.row is None or each.row.cost.small_tokens)

    def is_complete(self, answer: Answer) -> bool:
        trace = answer.read()
        opinion, own_text = Opinion.of(trace), own_text_error(trace)
        if own_text and answer.row is None:
            raise own_text
        return own_text is not None or (opinion is not None and opinion.is_whole)

    def price(self, trace: Trace) -> str:
        large = trace.totals[Author.LARGE]
        took = large.handoff_seconds / large.prefilled * trace.tokens if large.prefilled else 0.0
        return f"{counted(trace.tokens, 'token')} to read{_about(took)}"

    def carry_out(self, pair: Pair, answer: Answer, attach: Attach) -> Iterator[Progress | Finding]:
        """Read the answer, unless this model has, or that says nothing of an answer of a batch.

        Raises the error of `opinion_error`.
        """
        trace, card = answer.read(), pair.cards.get(Author.LARGE)
        opinion = Opinion.of(trace)
        is_read = opinion and opinion.is_whole and card and opinion.given.model == card.label
        is_worth_it = answer.row is None or (trace.pieces and not own_text_error(trace))
        if is_worth_it and not is_read:
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

    def price(self, trace: Trace) -> str:
        places = first_places(trace, self.options)
        left = sum(number * (1 - place.position / max(1, trace.length)) for place, number in places.items())
        speeds = [
            total.tokens_per_second
            for author, total in trace.totals.items()
            if self.options.writer in (author.value, "policy") and total.tokens_per_second
        ]
        took = left * trace.tokens / min(speeds) if speeds else 0.0
        return f"{counted(sum(places.values()), 'continuation')}{_about(took)}"

    def carry_out(self, pair: Pair, answer: Answer, attach: Attach) -> Iterator[Progress | Finding | str]:
        """Raises SettingsError, as `ValueEstimator` does."""
        estimator = ValueEstimator(pair, answer.read(), self._grader, answer.expected, self.options, answer.how)
        attach(estimator.stop)
        yield from estimator.run()


def _about(seconds: float) -> str:
    return f", about {rough_duration(seconds)}" if seconds else ""


class ReviewsProgress(NamedTuple):
    done: int
    """Answers that have been reviewed."""
    total: int
    share: float
    """Of all the work, 0 to 1, with the answer that is being reviewed."""
    latest: Progress | None = None
    """In the answer that is being reviewed."""


class Reviewed(NamedTuple):
    """A finding that was kept."""

    answer: Answer
    finding: Finding


class Reviews:
    """Reviews answers, one pair of models after another. Call `run` once; `stop` from any thread."""

    def __init__(
        self, review: Review, answers: Sequence[Answer], open_pair: OpenPair, *, given: OtherModels | None = None
    ) -> None:
        """`given`: models that a person named in place of those that wrote; they review all, also once more."""
        self.too_long: list[Answer] = []
        """Answers of a batch that were left out, because they do not fit into the model's context."""
        self.is_whole = False
        """Whether all answers have been reviewed."""
        self.review, self.answers = review, answers
        self.control = BatchControl()
        self._open_pair, self._given = open_pair, given
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
        self.control.stop()
        self._stop_current()

    def run(self) -> Generator[ReviewsProgress | Reviewed, None, None]:
        """Review the answers that were not reviewed yet; yields progress before the first, within each and after each.

        Raises what `open_pair` raises, EngineError, EngineLost, EngineRefused, SettingsError, StoreError; ContextFull
        of an answer that is reviewed by itself.
        """
        wanted = self.answers if self._given else self.review.missing(self.answers)
        groups: dict[OtherModels, list[Answer]] = {}
        for answer in wanted:
            groups.setdefault(self._given or answer.names, []).append(answer)
        done, total = 0, len(wanted)
        yield ReviewsProgress(0, total, 0.0)
        with suppress(Cancelled):
            for names, answers in groups.items():
                context = max(answer.context for answer in answers)
                own = WantedPair(*names, self.review.needs, self.review.parallel, context)
                with self._open_pair(own) as pair:
                    for answer in answers:
                        if self.control.ending:
                            return
                        for item in self._review_one(pair, answer):
                            if isinstance(item, Reviewed):
                                yield item
                            else:
                                yield ReviewsProgress(done, total, (done + _share(item)) / total, item)
                        if self.control.ending and not self.review.is_complete(answer):
                            return
                        done += 1
                        yield ReviewsProgress(done, total, done / total)
            self.is_whole = done == total

    def _review_one(self, pair: Pair, answer: Answer) -> Iterator[Progress | Reviewed]:
        """Review an answer and store what is found."""
        if not self._given:
            refuse_others(pair, answer.read(), self.review.needs)
        try:
            for item in self.review.carry_out(pair, answer, self._attach):
                match item:
                    case str():
                        self._notices[item] = None
                    case ValuesProgress() | OpinionProgress():
                        yield item
                    case _:
                        answer.keep(item)
                        yield Reviewed(answer, item)
        except ContextFull:
            if answer.row is None:
                raise
            self.too_long.append(answer)

    def _attach(self, stop: Callable[[], None]) -> None:
        self._stop_current = stop
        if self.control.ending:
            stop()


def refuse_others(pair: Pair, trace: Trace, needs: Needs) -> None:
    """Raise SettingsError unless this is the pair of an answer, as far as the review needs it and its trace says."""
    cards = cards_of(trace)
    for author, is_needed in ((Author.SMALL, needs.small), (Author.LARGE, needs.large)):
        wrote, card = cards.get(author), pair.cards.get(author)
        if is_needed and wrote and card and (wrote.label, wrote.location) != (card.label, card.location):
            raise SettingsError(
                f"The {author.value} model of this answer is {wrote.label}, not {card.label}.",
                "Load that one, so that no other model is taken for it.",
            )


def _share(progress: Progress) -> float:
    done = progress.done if isinstance(progress, ValuesProgress) else progress.tokens
    return done / max(1, progress.total)


def answers_of(
    store: Store, batch: Batch, rows: Iterable[ResultRow], problems: Sequence[Problem] | None = None
) -> list[Answer]:
    """Return the answers of these rows. `problems`: those of the rows, if they are read already.

    Raises SettingsError if the batch's settings cannot be read, StoreError.
    """
    listed, settings = list(rows), BatchSettings.of(batch)
    if problems is None:
        every = list(store.batches.problems(batch.id))
        problems = [every[row.position] for row in listed]
    how, names = settings.how, {arm.name: settings.named(arm.models) for arm in known_arms(batch.arms)}
    context = local_context(settings.small, settings.large)
    return [
        Answer.stored(store, row.run, expected_of(problem, how) or "", how, row, names.get(row.arm), context)
        for row, problem in zip(listed, problems, strict=True)
    ]


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
