"""Builds the report of a batch: the results of each arm, and the differences between arms.

`Report` is also the documented shape of report.json (docs/batch.md). A field that changes its meaning, or is removed,
means a new version of the schema; a new field does not.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import combinations
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, computed_field

from baton_reasoning.core.analysis.run_cost import Cost
from baton_reasoning.core.batch.reporting import baselines, statistics
from baton_reasoning.core.batch.running.arms import Arm, arm_title, known_arms
from baton_reasoning.core.batch.running.batch import BatchSettings, ModelSummary, Provenance
from baton_reasoning.core.grading.verdict import GradingMethod, Outcome
from baton_reasoning.core.intervals import Estimate, holm
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.store.batches import Batch, ResultRow
from baton_reasoning.core.thinking.events import CUT_OFF
from baton_reasoning.core.thinking.policy import Needs
from baton_reasoning.core.thinking.registry import POLICIES

EXPORTED = ConfigDict(frozen=True, populate_by_name=True, ser_json_inf_nan="null")
CHARGED = {"money", "currency", "remote_tokens"}
"""Also counted for jobs that ended in an error, which servers charge, unless they were run again."""
DIFFERENT = 0.1
"""Speeds are not compared if the shares of a setup differ by more."""

Setups = Sequence[tuple[int, int, int]]
"""Of an arm; see `ArmReport.setups`."""


class Percentiles(BaseModel):
    """The 50th and the 95th percentile of seconds, with intervals over problems."""

    model_config = ConfigDict(frozen=True)

    p50: Estimate
    p95: Estimate

    @classmethod
    def of(cls, seconds: Iterable[tuple[int, float | None]]) -> Self | None:
        """`seconds`: the position of a problem and the seconds of an answer, or None. Returns None without any."""
        problems = statistics.grouped((problem, each) for problem, each in seconds if each is not None)
        p50, p95 = statistics.quantile(problems, 0.5), statistics.quantile(problems, 0.95)
        return cls(p50=p50, p95=p95) if p50 and p95 else None


class ArmReport(Cost):
    """Sums and means over the jobs of an arm that have ended without an error; money and tokens of servers of all."""

    model_config = EXPORTED

    name: str
    settings: dict[str, Any] = Field(description="All that decides how a problem is solved, and its own models.")
    jobs: int
    done: int
    correct: int
    wrong: int
    unscored: int
    failed: int
    cut_off: int = Field(
        description="Answers that ended at a limit of tokens, time or context, whatever their verdict."
    )
    no_answer: int = Field(description="Texts in which no answer was found; many of them were cut off.")
    accuracy: Estimate | None = Field(
        description="Share of correct answers among the scored ones, with Wilson's 95% interval, as wide as the "
        "problems warrant; null without a scored answer."
    )
    gap_recovered: Estimate | None = Field(
        description="(accuracy − small) / (large − small), of the arms of its small and of its large model alone; null "
        "without them, or where the large model is not better."
    )
    advice: str = Field("", description="Why to use the large model alone instead; empty if nothing speaks for that.")
    aimed_share: float | None = Field(description="The large share that an arm of equal share aimed at, 0 to 1.")
    seconds_to_end: Percentiles | None = Field(description="Of an answer; null without answers.")
    seconds_to_answer: Percentiles | None = Field(description="To the first token after the thinking, where it ended.")
    time_ratio: Estimate | None = Field(description="Seconds over those of the large model alone; null without it.")
    takeovers: dict[str, int] = Field(description="By the id of their reason.")
    notices: dict[str, int] = Field(description="What engines reported, with the number of answers it concerns.")
    errors: dict[str, int] = Field(description="Why answers are missing, with their number.")
    setups: tuple[tuple[int, int, int], ...] = Field(
        description="(texts at once, threads of a local model, answers) of each setup, the commonest first."
    )

    @property
    def title(self) -> str:
        """The name, and the title of its settings beside it."""
        return arm_title(self.name)

    @property
    def needs(self) -> Needs:
        """The models that its policy needs."""
        return POLICIES[self.settings["settings"]["policy"]["policy"]].needs

    @property
    def is_pair(self) -> bool:
        """Whether both models write in it, and it is no control with the large share of another arm."""
        return self.needs.small and self.needs.large and not self.settings.get("equal_share_of")

    @property
    def answers(self) -> int:
        return self.done - self.failed

    @property
    def graded(self) -> int:
        return self.correct + self.wrong

    @property
    def recomputed(self) -> int:
        return self.small_recomputed + self.large_recomputed

    @computed_field(description="Kept tokens per second, by the clock: handoffs and discarded tokens slow it.")
    @property
    def tokens_per_second(self) -> float:
        return self.tokens / self.seconds if self.seconds else 0.0

    @computed_field
    @property
    def tokens_per_answer(self) -> float:
        return self.tokens / max(1, self.answers)

    @computed_field
    @property
    def seconds_per_answer(self) -> float:
        return self.seconds / max(1, self.answers)

    @computed_field
    @property
    def money_per_answer(self) -> float:
        return self.money / max(1, self.answers)


class Comparison(BaseModel):
    """Accuracy of `second` minus that of `first`, on the problems and seeds that both have answered."""

    model_config = EXPORTED

    first: str
    second: str
    difference: Estimate
    better_first: int = Field(description="Problems that `first` solved with more seeds.")
    better_second: int
    p: float = Field(description="McNemar's exact test; with several seeds the sign test over problems.")
    adjusted_p: float = Field(1.0, description="Holm's, over all comparisons of the report.")
    problems: int

    @property
    def title(self) -> str:
        return f"{self.second} minus {self.first}"


class Report(BaseModel):
    """report.json."""

    model_config = EXPORTED

    schema_version: Literal["baton-report-1"] = Field("baton-report-1", alias="schema")
    batch: str = Field(description="Id of the batch.")
    name: str
    created: datetime
    provenance: Provenance
    problems: int
    problem_ids: tuple[str, ...] = Field(description="Ids of the problems, in the order of their files.")
    seeds: int
    seed_numbers: tuple[int, ...]
    parallel: int
    grading: GradingMethod = Field(description="How answers are compared; “auto” chooses for each problem.")
    pattern: str = Field(description="The pattern of grading by regex.")
    small: ModelSummary | None
    large: ModelSummary | None
    other_smalls: dict[str, ModelSummary] = Field(description="By the file or address that arms name.")
    other_larges: dict[str, ModelSummary] = Field(description="By the file or address that arms name.")
    chances: dict[str, float] = Field(description="Chance of takeover of each arm of equal large share.")
    unknown_arms: tuple[str, ...] = Field(
        (), description="Arms of a policy or with a setting that this version of Baton does not have; in no figure."
    )
    main: str = Field("", description="The first arm in which both models write, else the first; empty without arms.")
    small_alone: str = Field("", description="The arm of its small model alone; empty if there is none.")
    large_alone: str = Field("", description="The arm of its large model alone; empty if there is none.")
    by_chance: str = Field("", description="The arm of random takeovers at its large share; empty if there is none.")
    arms: tuple[ArmReport, ...]
    comparisons: tuple[Comparison, ...]
    is_demo: bool = Field(False, description="Whether its models are the demo's, which are equally fast.")
    not_comparable: str = Field(description="Why the speeds of the arms are not ranked; empty if they are.")

    def arm(self, name: str) -> ArmReport | None:
        """Return the arm of this name."""
        return next((arm for arm in self.arms if arm.name == name), None)


def build_report(batch: Batch, problems: Sequence[Problem], rows: Iterable[ResultRow]) -> Report:
    """Sum up a batch; the order of the rows changes nothing. Raises SettingsError."""
    settings = BatchSettings.of(batch)
    by_arm: defaultdict[str, list[ResultRow]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: (row.position, row.seed)):
        by_arm[row.arm].append(row)
    stored = known_arms(batch.arms)
    answers = {arm.name: [row for row in by_arm[arm.name] if row.has_answer] for arm in stored}
    against = baselines.against_baselines(stored, answers)
    arms = tuple(_arm_report(arm, by_arm[arm.name], settings, against[arm.name]) for arm in stored)
    return Report(
        batch=batch.id,
        name=batch.name,
        created=batch.created,
        problems=batch.problems,
        problem_ids=tuple(problem.id for problem in problems),
        seeds=len(settings.seed_numbers),
        grading=settings.grade,
        **{name: value for name, value in settings if name in Report.model_fields},
        unknown_arms=tuple(arm.name for arm in batch.arms if arm.name not in answers),
        **_main_arms(stored),
        arms=arms,
        comparisons=_comparisons({name: baselines.marks_of(rows) for name, rows in answers.items()}),
        is_demo=settings.is_demo,
        not_comparable=why_not_comparable({arm.name: arm.setups for arm in arms if arm.seconds}),
    )


def main_arm(arms: Sequence[Arm]) -> Arm | None:
    """Return the first arm in which both models write, else the first; None without arms."""
    return next((arm for arm in arms if arm.is_pair), arms[0] if arms else None)


def _main_arms(arms: Sequence[Arm]) -> dict[str, str]:
    """Name the main arm and those that it is compared with, by the fields of `Report`."""
    main = main_arm(arms)
    if main is None:
        return {}
    found = {
        "small_alone": baselines.baseline(baselines.SMALL_ALONE, main, arms),
        "large_alone": baselines.baseline(baselines.LARGE_ALONE, main, arms),
        "by_chance": next((arm for arm in arms if arm.equal_share_of == main.name), None),
    }
    return {"main": main.name} | {role: arm.name for role, arm in found.items() if arm}


def _arm_report(
    arm: Arm, rows: Sequence[ResultRow], settings: BatchSettings, against: baselines.AgainstBaselines
) -> ArmReport:
    answers = [row for row in rows if row.has_answer]
    outcomes = Counter(row.outcome for row in answers)
    failed = sum(bool(row.error) for row in rows)
    cost = Cost.total(row.cost for row in answers)
    charged = Cost.total([cost, *(row.cost for row in rows if not row.has_answer)])
    marks = baselines.marks_of(answers)
    setups = Counter((row.conditions.parallel, row.conditions.threads) for row in answers if row.conditions)
    return ArmReport(
        **dict(cost) | charged.model_dump(include=CHARGED),
        **against._asdict(),
        name=arm.name,
        settings=arm.stored().settings,
        jobs=len(rows),
        done=len(answers) + failed,
        correct=outcomes[Outcome.CORRECT],
        wrong=outcomes[Outcome.WRONG],
        unscored=outcomes[Outcome.UNSCORED],
        failed=failed,
        cut_off=sum(row.finish in CUT_OFF for row in answers),
        no_answer=sum(not row.answer for row in answers),
        accuracy=statistics.clustered_accuracy(statistics.grouped((job[0], right) for job, right in marks.items())),
        aimed_share=settings.shares.get(arm.name),
        seconds_to_end=Percentiles.of((row.position, row.cost.seconds) for row in answers),
        seconds_to_answer=Percentiles.of((row.position, row.cost.seconds_to_answer) for row in answers),
        takeovers=dict(Counter(takeover.reason for row in answers for takeover in row.cost.takeovers).most_common()),
        notices=dict(Counter(notice for row in rows for notice in row.notices).most_common()),
        errors=dict(Counter(row.error for row in rows if row.error).most_common()),
        setups=tuple((*setup, count) for setup, count in setups.most_common()),
    )


def _comparisons(marks: Mapping[str, Mapping[baselines.Job, bool]]) -> tuple[Comparison, ...]:
    """Compare every arm with every later one, on the problems and seeds of which both have a scored answer.

    `marks`: by the name of the arm, in order.
    """
    found = []
    for first, second in combinations(marks, 2):
        problems = baselines.by_problem(marks[first], marks[second])
        pairs = [([one for one, _ in of_one], [other for _, other in of_one]) for of_one in problems]
        if compared := statistics.difference(pairs):
            found.append((first, second, compared))
    adjusted = holm([compared.p for *_, compared in found])
    return tuple(
        Comparison(first=first, second=second, adjusted_p=p, **compared._asdict())
        for (first, second, compared), p in zip(found, adjusted, strict=True)
    )


def why_not_comparable(setups: Mapping[str, Setups]) -> str:
    """Say in a sentence why the speeds of arms cannot be compared; empty if they can.

    `setups`: by the name of the arm.
    """
    shares = {name: _shares_of_ways(found) for name, found in setups.items() if found}
    for way in {way: None for found in shares.values() for way in found}:
        by_arm = [(found.get(way, 0.0), name) for name, found in shares.items()]
        (least, fewer), (most, more) = min(by_arm), max(by_arm)
        if most - least > DIFFERENT:
            return f"{most:.0%} of the answers of {more} and {least:.0%} of those of {fewer} were written {way}."
    return ""


def _shares_of_ways(setups: Setups) -> dict[str, float]:
    """Return the share of answers written in each setup, which is described in words."""
    counts: Counter[str] = Counter()
    for parallel, threads, answers in setups:
        counts[f"{parallel} at once" + (f" with {threads} threads" if threads > 1 else "")] += answers
    total = sum(answers for *_, answers in setups)
    return {way: answers / total for way, answers in counts.items()}
