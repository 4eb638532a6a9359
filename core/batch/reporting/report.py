"""The report of a batch: the results of each arm, and the differences between arms."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from core.batch.reporting.run_cost import RunCost
from core.batch.reporting.speed import ArmConditions, Throughput, speed_of, throughput_of, why_not_comparable
from core.batch.reporting.statistics import Difference, Estimate, clustered_accuracy, difference, holm, pareto_front
from core.batch.running.arms import Arm
from core.batch.running.batch_settings import BatchSettings, ModelSummary
from core.grading.verdict import Outcome
from core.store.batch_rows import Batch, JobState, ResultRow, StoredArm
from core.store.store import Store

PLACES = 10
"""Bars of the step-position histogram."""


@dataclass(frozen=True)
class ArmReport:
    """Sums and means over the jobs of an arm that have ended without an error."""

    name: str
    sweep: str
    """The parameter that this arm tries a value of, if any."""
    jobs: int
    done: int
    correct: int
    wrong: int
    unscored: int
    failed: int
    accuracy: Estimate | None
    """Of the scored answers; None if there is none."""
    small_tokens: int
    large_tokens: int
    thrown_away: int
    small_read: int
    large_read: int
    seconds: float
    """Sum over the problems, each by the clock."""
    compute: float
    """FLOP: 2 · parameters · tokens, of both models, read, written and thrown away. 0 if parameters are not known."""
    takeovers: dict[str, int] = field(default_factory=dict)
    """By the id of their TakeoverReason."""
    places: tuple[int, ...] = (0,) * PLACES
    """Takeovers by the place of their step, from the first tenth of the steps to the last."""
    drafted: int = 0
    """Tokens of a draft model (speculative decoding); `accepted` of them stand. They are in no other figure."""
    accepted: int = 0
    money: float = 0.0
    """What servers charge for all its runs, errors included, in `currency`; 0 where no prices are known."""
    currency: str = ""
    remote_tokens: int = 0
    """Read and written by servers."""
    speed: Estimate | None = None
    """Kept tokens per second of an answer, with a bootstrap interval over problems; None without an answer."""
    conditions: ArmConditions = field(default_factory=ArmConditions)
    notices: dict[str, int] = field(default_factory=dict)
    """What engines reported, each sentence with the number of answers that it concerns."""
    errors: dict[str, int] = field(default_factory=dict)
    """Why answers are missing, each sentence with their number."""
    same_as: str = ""
    """The arm with equal settings whose results these are; empty for an arm that ran itself."""
    reflections: dict[str, float] = field(default_factory=dict)
    """Cues of reflection in the thinking of an answer, on average: by “small” and “large”, and in answers that are
    “correct” and “wrong”; those of which there is no answer are left out."""
    aimed_share: float | None = None
    """The large share that an arm of equal share aimed at, 0 to 1."""

    @property
    def answers(self) -> int:
        return self.done - self.failed

    @property
    def tokens(self) -> int:
        return self.small_tokens + self.large_tokens

    @property
    def large_share(self) -> float:
        """0 to 1, over all tokens of the arm."""
        return self.large_tokens / max(1, self.tokens)

    @property
    def tokens_per_second(self) -> float:
        """Kept tokens per second of an answer, by the clock: handoffs and discarded tokens slow it."""
        return self.tokens / self.seconds if self.seconds else 0.0

    @property
    def tokens_per_answer(self) -> float:
        return self.tokens / max(1, self.answers)

    @property
    def seconds_per_answer(self) -> float:
        return self.seconds / max(1, self.answers)

    @property
    def money_per_answer(self) -> float:
        return self.money / max(1, self.answers)

    @property
    def compute_per_answer(self) -> float:
        return self.compute / max(1, self.answers)


class Comparison(NamedTuple):
    """`second` against `first` on the problems and seeds that both have answered."""

    first: str
    second: str
    difference: Difference
    adjusted_p: float = 1.0
    """Holm's, over all comparisons of the report."""


@dataclass(frozen=True)
class Report:
    name: str
    problems: int
    seeds: int
    parallel: int
    small: ModelSummary | None
    large: ModelSummary | None
    arms: tuple[ArmReport, ...]
    comparisons: tuple[Comparison, ...]
    throughput: Throughput | None = None
    """Of all arms together; None where an older version of Baton ran them."""
    not_comparable: str = ""
    """Why the speeds of the arms cannot be compared, as a sentence; empty if they can."""

    def front(self) -> list[ArmReport]:
        """The arms that no other beats in accuracy and speed, fastest last; none if speeds cannot be compared."""
        shown = [arm for arm in self.arms if arm.accuracy and not self.not_comparable]
        return pareto_front(shown, lambda arm: -arm.tokens_per_second, accuracy_of)[::-1]


def accuracy_of(arm: ArmReport) -> float:
    return arm.accuracy.value if arm.accuracy else 0.0


def report_of(store: Store, batch_id: str) -> Report:
    """Reads every run's outline: a second for some thousand runs. Raises StoreError."""
    batch, rows = store.batches.open(batch_id), list(store.batches.results(batch_id))
    return build_report(batch, rows, {row.job: RunCost.of(store.runs.outline(row.run)) for row in answered(rows)})


def answered(rows: Iterable[ResultRow]) -> list[ResultRow]:
    """The rows with an answer: done, and without an error."""
    return [row for row in rows if row.state is JobState.DONE and not row.error]


def build_report(batch: Batch, rows: Iterable[ResultRow], costs: Mapping[int, RunCost]) -> Report:
    """`costs`: of the rows with an answer, by their job. Raises SettingsError."""
    settings = BatchSettings.of(batch)
    by_arm: defaultdict[str, list[ResultRow]] = defaultdict(list)
    for row in rows:
        by_arm[row.arm].append(row)
    arms = [
        _arm_report(arm, by_arm[arm.name], [costs[row.job] for row in answered(by_arm[arm.name])], settings)
        for arm in batch.arms
    ]
    return Report(
        batch.name,
        batch.problems,
        settings.seeds,
        settings.parallel,
        settings.small,
        settings.large,
        (*arms, *_aliases(arms, settings)),
        _with_adjusted_p(_comparisons(batch, by_arm)),
        throughput_of([row for each in by_arm.values() for row in answered(each)]),
        why_not_comparable([(arm.name, arm.conditions) for arm in arms]),
    )


def _aliases(arms: Sequence[ArmReport], settings: BatchSettings) -> Iterable[ArmReport]:
    known = {arm.name: arm for arm in arms}
    for alias in settings.aliases:
        if twin := known.get(alias.same_as):
            yield replace(twin, name=alias.name, sweep=alias.sweep, same_as=alias.same_as)


def _arm_report(
    arm: StoredArm,
    rows: Sequence[ResultRow],
    costs: Sequence[RunCost],
    settings: BatchSettings,
) -> ArmReport:
    answers = answered(rows)
    models = Arm.of(arm).models
    small, large = settings.small_of(models.small), settings.large_of(models.large)
    outcomes = Counter(_outcome(row) for row in answers)
    failed = sum(bool(row.error) for row in rows)
    figures = [row.figures for row in answers]
    small_tokens, large_tokens = sum(each.small_tokens for each in figures), sum(each.large_tokens for each in figures)
    thrown_away = sum(each.thrown_away for each in costs)
    small_read, large_read = sum(each.small_read for each in costs), sum(each.large_read for each in costs)
    takeovers = [takeover for each in costs for takeover in each.takeovers]
    places = Counter(min(PLACES - 1, int(takeover.place * PLACES)) for takeover in takeovers)
    compute = 2.0 * (
        (small.parameters if small else 0) * (small_tokens + thrown_away + small_read)
        + (large.parameters if large else 0) * (large_tokens + large_read)
    )
    return ArmReport(
        arm.name,
        arm.settings.get("sweep", ""),
        len(rows),
        len(answers) + failed,
        outcomes[Outcome.CORRECT],
        outcomes[Outcome.WRONG],
        outcomes[Outcome.UNSCORED],
        failed,
        clustered_accuracy(list(_marks(answers).values())),
        small_tokens,
        large_tokens,
        thrown_away,
        small_read,
        large_read,
        sum(each.seconds for each in figures),
        compute,
        dict(Counter(takeover.reason for takeover in takeovers).most_common()),
        tuple(places[place] for place in range(PLACES)),
        sum(each.drafted for each in costs),
        sum(each.accepted for each in costs),
        sum(row.figures.money for row in rows),
        next((row.figures.currency for row in rows if row.figures.currency), ""),
        sum(row.figures.remote_tokens for row in rows),
        speed_of(answers),
        ArmConditions.of(answers),
        dict(Counter(notice for row in rows for notice in row.notices).most_common()),
        dict(Counter(row.error for row in rows if row.error).most_common()),
        reflections=_reflections(answers, costs),
        aimed_share=settings.shares.get(arm.name),
    )


def _reflections(answers: Sequence[ResultRow], costs: Sequence[RunCost]) -> dict[str, float]:
    """Means by author over all answers, then by outcome."""
    counts: defaultdict[str, list[int]] = defaultdict(list)
    for row, cost in zip(answers, costs, strict=True):
        counts["small"].append(cost.small_reflections)
        counts["large"].append(cost.large_reflections)
        if (outcome := _outcome(row)) is not Outcome.UNSCORED:
            counts[outcome.value].append(cost.small_reflections + cost.large_reflections)
    return {name: sum(each) / len(each) for name, each in counts.items()}


def _comparisons(batch: Batch, rows: dict[str, list[ResultRow]]) -> Iterable[Comparison]:
    """Every arm against every later one, on the problems and seeds that both have answered."""
    scored = {
        arm.name: {(row.position, row.seed): _is_right(row) for row in rows[arm.name] if _scored(row)}
        for arm in batch.arms
    }
    names = list(scored)
    for index, first in enumerate(names):
        for second in names[index + 1 :]:
            pairs: defaultdict[int, tuple[list[bool], list[bool]]] = defaultdict(lambda: ([], []))
            for key in sorted(scored[first].keys() & scored[second].keys()):
                pairs[key[0]][0].append(scored[first][key])
                pairs[key[0]][1].append(scored[second][key])
            if found := difference(list(pairs.values())):
                yield Comparison(first, second, found)


def _with_adjusted_p(found: Iterable[Comparison]) -> tuple[Comparison, ...]:
    found = list(found)
    adjusted = holm([each.difference.p for each in found])
    return tuple(each._replace(adjusted_p=p) for each, p in zip(found, adjusted, strict=True))


def _marks(rows: Iterable[ResultRow]) -> dict[int, list[bool]]:
    marks: defaultdict[int, list[bool]] = defaultdict(list)
    for row in rows:
        if _scored(row):
            marks[row.position].append(_is_right(row))
    return marks


def _outcome(row: ResultRow) -> Outcome:
    return row.verdict.outcome if row.verdict else Outcome.UNSCORED


def _scored(row: ResultRow) -> bool:
    return row.state is JobState.DONE and _outcome(row) is not Outcome.UNSCORED


def _is_right(row: ResultRow) -> bool:
    return _outcome(row) is Outcome.CORRECT
