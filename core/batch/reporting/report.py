"""The report of a batch: the results of each arm, and the differences between arms.

`Report` is also the documented shape of report.json (docs/batch.md). A field that changes its meaning, or is removed,
means a new version of the schema; a new field does not.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, computed_field

from baton_reasoning.core.batch.reporting.baselines import AgainstBaselines, against_baselines
from baton_reasoning.core.batch.reporting.budgets import ScoredAnswer, accuracies_within, budgets_of
from baton_reasoning.core.batch.reporting.involvement import Involvement
from baton_reasoning.core.batch.reporting.majority import Majority
from baton_reasoning.core.batch.reporting.speed import (
    ArmConditions,
    Percentiles,
    speed_of,
    why_not_comparable,
)
from baton_reasoning.core.batch.reporting.statistics import clustered_accuracy, difference, grouped, holm
from baton_reasoning.core.batch.running.arms import Arm, arm_title, known_arms
from baton_reasoning.core.batch.running.batch import BatchSettings, ModelSummary, Provenance
from baton_reasoning.core.grading.verdict import How, Outcome
from baton_reasoning.core.intervals import Estimate
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.store.batches import Batch, ResultRow
from baton_reasoning.core.store.run_cost import Cost

EXPORTED = ConfigDict(frozen=True, populate_by_name=True, ser_json_inf_nan="null")
CHARGED = {"money", "currency", "remote_tokens"}
"""What servers charge for errors, too, unless they were tried again."""


class ArmAccuracy(BaseModel):
    """The settings of an arm, and how many of its answers are right."""

    model_config = EXPORTED

    name: str
    sweep: str = Field(description="The parameter of which this arm tries a value; empty if there is none.")
    settings: dict[str, Any] = Field(
        description="Everything that decides how a problem is solved, and the arm's own models."
    )
    jobs: int
    done: int
    correct: int
    wrong: int
    unscored: int
    failed: int
    accuracy: Estimate | None = Field(
        description="Share of correct answers among the scored ones, with Wilson's 95% interval, as wide as the "
        "problems warrant; null without a scored answer."
    )
    majority: Majority | None = Field(None, description="Of the answers of its seeds; null with fewer than three.")
    gap_recovered: Estimate | None = Field(
        description="(accuracy − small) / (large − small), of the arms of its small and of its large model alone; null "
        "without them, or where the large model is not better."
    )
    advice: str = Field(
        "", description="Why to use the large model alone instead of this pair; empty if nothing speaks for that."
    )
    aimed_share: float | None = Field(description="The large share that an arm of equal share aimed at, 0 to 1.")


class ArmReport(Cost, ArmAccuracy):
    """Sums and means over the jobs of an arm that have ended without an error; money and tokens of servers of all."""

    model_config = EXPORTED

    involvement: Involvement
    seconds_to_end: Percentiles | None = Field(description="Of an answer; null without answers.")
    seconds_to_answer: Percentiles | None = Field(
        description="To the first token after the thinking, of the answers that have one; null without any."
    )
    time_ratio: Estimate | None = Field(
        description="Seconds an answer over those of the large model alone, with a bootstrap interval over problems; "
        "null without its arm."
    )
    speed: Estimate | None = Field(
        description="Kept tokens per second of an answer, with a bootstrap interval over problems."
    )
    accuracy_in_time: tuple[Estimate, ...] = Field(
        (),
        description="Share of answers that are right and took no longer than each of the report's `time_budgets`, with "
        "Wilson's interval, as wide as the problems warrant; empty without a scored answer.",
    )
    takeovers: dict[str, int] = Field(description="By the id of their reason.")
    notices: dict[str, int] = Field(description="What engines reported, with the number of answers it concerns.")
    errors: dict[str, int] = Field(description="Why answers are missing, with their number.")
    conditions: ArmConditions

    @property
    def title(self) -> str:
        """Return what views and reports call it."""
        return arm_title(self.name)

    @property
    def answers(self) -> int:
        return self.done - self.failed

    @property
    def read(self) -> int:
        return self.small_read + self.large_read

    @property
    def reread(self) -> int:
        return self.small_reread + self.large_reread

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
    remark: str = Field(description="Why interval and test disagree; empty if they agree.")

    @property
    def title(self) -> str:
        return f"{arm_title(self.second)} minus {arm_title(self.first)}"


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
    grading: How = Field(description="How answers are compared; “auto” chooses for each problem.")
    pattern: str = Field(description="The pattern of grading by regex.")
    small: ModelSummary | None
    large: ModelSummary | None
    other_smalls: dict[str, ModelSummary] = Field(description="By the file or address that arms name.")
    other_larges: dict[str, ModelSummary] = Field(description="By the file or address that arms name.")
    chances: dict[str, float] = Field(description="Chance of takeover of each arm of equal large share.")
    unknown_arms: tuple[str, ...] = Field(
        (), description="Arms of a policy that this version of Baton does not have; they are in no figure."
    )
    arms: tuple[ArmReport, ...]
    comparisons: tuple[Comparison, ...]
    time_budgets: tuple[float, ...] = Field(
        (),
        description="Seconds that an answer may take, for `accuracy_in_time` of each arm: from the fastest right "
        "answer to the slowest.",
    )
    is_demo: bool = Field(
        False, description="Whether its models are the demo's, which are equally fast: its times say nothing of a pair."
    )
    not_comparable: str = Field(description="Why the speeds of the arms are not ranked; empty if they are.")
    is_older: bool = Field(
        False, description="Whether an older version of Baton stored settings that this one does not know."
    )


def accuracy_of(arm: ArmReport) -> float:
    return arm.accuracy.value if arm.accuracy else 0.0


def main_arm(report: Report) -> ArmReport | None:
    """Return the first arm in which both models wrote, else the first one; None without arms."""
    both = (arm for arm in report.arms if arm.takeovers and arm.small_tokens)
    return next(both, None) or next(iter(report.arms), None)


def answered(rows: Iterable[ResultRow]) -> list[ResultRow]:
    return [row for row in rows if row.has_answer]


def build_report(batch: Batch, problems: Sequence[Problem], rows: Iterable[ResultRow]) -> Report:
    """Sum up a batch. Raises SettingsError."""
    settings = BatchSettings.of(batch)
    by_arm: defaultdict[str, list[ResultRow]] = defaultdict(list)
    for row in rows:
        by_arm[row.arm].append(row)
    stored = known_arms(batch.arms)
    answers = {arm.name: answered(by_arm[arm.name]) for arm in stored}
    scored = {name: list(_scored_answers(rows)) for name, rows in answers.items()}
    against = against_baselines(stored, answers)
    budgets = budgets_of(list(scored.values()))
    arms = [
        _arm_report(
            arm,
            by_arm[arm.name],
            settings,
            against[arm.name],
            accuracies_within(scored[arm.name], budgets),
        )
        for arm in stored
    ]
    return Report(
        batch=batch.id,
        name=batch.name,
        created=batch.created,
        provenance=settings.provenance,
        problems=batch.problems,
        problem_ids=tuple(problem.id for problem in problems),
        seeds=len(settings.seed_numbers),
        seed_numbers=settings.seed_numbers,
        parallel=settings.parallel,
        grading=settings.grade,
        pattern=settings.pattern,
        small=settings.small,
        large=settings.large,
        other_smalls=settings.other_smalls,
        other_larges=settings.other_larges,
        chances=settings.chances,
        unknown_arms=tuple(arm.name for arm in batch.arms if arm.name not in answers),
        arms=tuple(arms),
        comparisons=_comparisons(stored, by_arm),
        time_budgets=budgets,
        is_demo=settings.is_demo,
        is_older=_is_older(batch, stored),
        not_comparable=why_not_comparable([(arm.title, arm.conditions) for arm in arms if arm.speed]),
    )


def _is_older(batch: Batch, arms: Sequence[Arm]) -> bool:
    unknown = [batch.settings.keys() - BatchSettings.model_fields.keys()]
    unknown += [arm.settings.keys() - Arm.model_fields.keys() for arm in batch.arms]
    return any(unknown) or any(arm.as_stored for arm in arms)


def _arm_report(
    arm: Arm,
    rows: Sequence[ResultRow],
    settings: BatchSettings,
    against: AgainstBaselines,
    accuracy_in_time: tuple[Estimate, ...],
) -> ArmReport:
    answers = answered(rows)
    outcomes = Counter(row.outcome for row in answers)
    failed = sum(bool(row.error) for row in rows)
    cost = Cost.total(row.cost for row in answers)
    charged = Cost.total([cost, *(row.cost for row in rows if not row.has_answer)])
    return ArmReport(
        **dict(cost) | charged.model_dump(include=CHARGED),
        name=arm.name,
        sweep=arm.sweep,
        settings=arm.stored().settings,
        jobs=len(rows),
        done=len(answers) + failed,
        correct=outcomes[Outcome.CORRECT],
        wrong=outcomes[Outcome.WRONG],
        unscored=outcomes[Outcome.UNSCORED],
        failed=failed,
        accuracy=clustered_accuracy(
            grouped((row.position, row.outcome is Outcome.CORRECT) for row in answers if _is_scored(row))
        ),
        majority=Majority.of(answers),
        gap_recovered=against.gap_recovered,
        advice=against.advice,
        time_ratio=against.time_ratio,
        aimed_share=settings.shares.get(arm.name),
        involvement=Involvement.of(answers),
        seconds_to_end=Percentiles.of((row.position, row.cost.seconds) for row in answers),
        seconds_to_answer=Percentiles.of((row.position, row.cost.seconds_to_answer) for row in answers),
        speed=speed_of(answers),
        accuracy_in_time=accuracy_in_time,
        takeovers=dict(Counter(takeover.reason for row in answers for takeover in row.cost.takeovers).most_common()),
        notices=dict(Counter(notice for row in rows for notice in row.notices).most_common()),
        errors=dict(Counter(row.error for row in rows if row.error).most_common()),
        conditions=ArmConditions.of(answers),
    )


def _comparisons(arms: Sequence[Arm], rows: Mapping[str, Sequence[ResultRow]]) -> tuple[Comparison, ...]:
    """Compare every arm with every later one, on the problems and seeds that both have answered."""
    scored = {
        arm.name: {
            (row.position, row.seed): (row.outcome is Outcome.CORRECT) for row in rows[arm.name] if _is_scored(row)
        }
        for arm in arms
    }
    names, found = list(scored), []
    for index, first in enumerate(names):
        for second in names[index + 1 :]:
            pairs: defaultdict[int, tuple[list[bool], list[bool]]] = defaultdict(lambda: ([], []))
            for key in sorted(scored[first].keys() & scored[second].keys()):
                pairs[key[0]][0].append(scored[first][key])
                pairs[key[0]][1].append(scored[second][key])
            if compared := difference(list(pairs.values())):
                found.append((first, second, compared))
    adjusted = holm([compared.p for *_, compared in found])
    return tuple(
        Comparison(
            first=first,
            second=second,
            difference=compared.estimate,
            better_first=compared.better_first,
            better_second=compared.better_second,
            p=compared.p,
            adjusted_p=p,
            problems=compared.problems,
            remark=compared.remark,
        )
        for (first, second, compared), p in zip(found, adjusted, strict=True)
    )


def _is_scored(row: ResultRow) -> bool:
    return row.outcome is not Outcome.UNSCORED


def _scored_answers(rows: Iterable[ResultRow]) -> Iterator[ScoredAnswer]:
    for row in rows:
        if _is_scored(row):
            yield ScoredAnswer(row.position, row.outcome is Outcome.CORRECT, row.cost.seconds)
