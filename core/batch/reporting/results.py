"""All results of a batch, read once: what every export is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from core.batch.reporting.records import (
    ArmConditionsRecord,
    ArmRecord,
    ComparisonRecord,
    ConditionsRecord,
    IntervalRecord,
    ModelRecord,
    ReportRecord,
    ResultRecord,
    SpanRecord,
    ThroughputRecord,
)
from core.batch.reporting.report import ArmReport, Comparison, Report, answered, build_report
from core.batch.reporting.report_text import disagreement
from core.batch.reporting.run_cost import RunCost
from core.batch.reporting.speed import Throughput
from core.batch.reporting.statistics import Estimate
from core.batch.running.batch_settings import BatchSettings, ModelSummary
from core.problem import Problem
from core.store.batch_rows import Batch, ResultRow
from core.store.outline import Outline, PieceOutline
from core.store.store import Store

NOT_WRITTEN = Outline((), None)
PROGRESS_EVERY = 500
"""Runs between two reports of progress."""


@dataclass(frozen=True)
class Results:
    store: Store
    batch: Batch
    problems: list[Problem]
    rows: list[ResultRow]
    costs: dict[int, RunCost]
    """Of the rows with an answer, by their job."""

    @classmethod
    def read(cls, store: Store, batch_id: str, on_progress: Callable[[float], object] = lambda _: None) -> Results:
        """Reads the outline of every run: a second for some thousand. `on_progress` gets the share that is read, 0 to
        1. Raises StoreError."""
        rows = list(store.batches.results(batch_id))
        costs, with_answer = {}, answered(rows)
        for number, row in enumerate(with_answer):
            costs[row.job] = RunCost.of(store.runs.outline(row.run))
            if number % PROGRESS_EVERY == 0:
                on_progress(number / len(with_answer))
        return cls(store, store.batches.open(batch_id), list(store.batches.problems(batch_id)), rows, costs)

    @cached_property
    def settings(self) -> BatchSettings:
        return BatchSettings.of(self.batch)

    @cached_property
    def report(self) -> Report:
        return build_report(self.batch, self.rows, self.costs)

    def problem(self, row: ResultRow) -> Problem:
        return self.problems[row.position]

    def records(self) -> Iterator[ResultRecord]:
        """A record for each job, those without a result included; reads the text of each run. Raises StoreError."""
        for row in self.rows:
            yield self._record(row, self.store.runs.outline(row.run) if row.started else NOT_WRITTEN)

    def _record(self, row: ResultRow, outline: Outline) -> ResultRecord:
        problem, metrics, verdict = self.problem(row), row.figures, row.verdict
        cost = self.costs.get(row.job) or RunCost.of(outline)
        return ResultRecord(
            batch=self.batch.id,
            run=row.run,
            id=problem.id,
            problem=problem.text,
            arm=row.arm,
            seed=row.seed,
            state=row.state.value,
            answer=row.answer,
            expected=problem.expected,
            outcome=outcome_of(row),
            graded_by=verdict.how.value if verdict else None,
            reason=verdict.reason if verdict else "",
            error=row.error,
            notices=row.notices,
            text=outline.text,
            answer_start=outline.answer_position,
            spans=tuple(map(_span, outline.pieces)),
            large_share=round(metrics.large_share, 6),
            small_tokens=metrics.small_tokens,
            large_tokens=metrics.large_tokens,
            discarded_tokens=cost.thrown_away,
            small_read=cost.small_read,
            large_read=cost.large_read,
            handoffs=metrics.handoffs,
            steps=metrics.steps,
            seconds=round(metrics.seconds, 6),
            money=metrics.money,
            currency=metrics.currency,
            remote_tokens=metrics.remote_tokens,
            finish=row.finish.value if row.finish else "",
            started=row.started,
            ended=row.ended,
            conditions=ConditionsRecord(**row.conditions._asdict()) if row.conditions else None,
            source=problem.source,
            line=problem.source_line,
            metadata=dict(problem.metadata),
            note=row.note,
        )

    @cached_property
    def report_record(self) -> ReportRecord:
        settings, report = self.settings, self.report
        by_name = {arm.name: arm.settings for arm in self.batch.arms}
        return ReportRecord(
            batch=self.batch.id,
            name=report.name,
            created=self.batch.created,
            provenance=settings.provenance,
            problems=report.problems,
            problem_ids=tuple(problem.id for problem in self.problems),
            seeds=report.seeds,
            seed_numbers=settings.seed_numbers,
            parallel=report.parallel,
            grading=settings.grade.value,
            pattern=settings.pattern,
            small=_model(settings.small),
            large=_model(settings.large),
            guides={guide: found for guide, model in settings.guides.items() if (found := _model(model))},
            smalls={name: found for name, model in settings.smalls.items() if (found := _model(model))},
            chances=settings.chances,
            arms=tuple(_arm(arm, by_name[arm.same_as or arm.name]) for arm in report.arms),
            comparisons=tuple(map(_comparison, report.comparisons)),
            throughput=_throughput(report.throughput),
            not_comparable=report.not_comparable,
            pareto_front=tuple(arm.name for arm in report.front()),
        )


def outcome_of(row: ResultRow) -> str:
    """correct, wrong, unscored or error; the state of a job that is not done."""
    if row.error:
        return "error"
    return row.verdict.outcome.value if row.verdict else row.state.value


def _span(piece: PieceOutline) -> SpanRecord:
    return SpanRecord(
        author=piece.author.value,
        start=piece.position,
        end=piece.position + len(piece.text),
        step=piece.step,
        tokens=piece.token_count,
        reason=piece.reason,
        cue=piece.cue.word if piece.cue else None,
        in_answer=piece.in_answer,
        discarded_tokens=piece.replaced_tokens,
    )


def _model(model: ModelSummary | None) -> ModelRecord | None:
    return ModelRecord(**model.model_dump(exclude={"path"}), file=Path(model.path).name) if model else None


def _interval(estimate: Estimate | None) -> IntervalRecord | None:
    return estimate and IntervalRecord(value=estimate.value, low=estimate.interval.low, high=estimate.interval.high)


def _arm(arm: ArmReport, settings: dict[str, object]) -> ArmRecord:
    accuracy = arm.accuracy
    return ArmRecord(
        name=arm.name,
        same_as=arm.same_as,
        sweep=arm.sweep,
        settings=settings,
        jobs=arm.jobs,
        done=arm.done,
        correct=arm.correct,
        wrong=arm.wrong,
        unscored=arm.unscored,
        failed=arm.failed,
        accuracy=accuracy.value if accuracy else None,
        accuracy_low=accuracy.interval.low if accuracy else None,
        accuracy_high=accuracy.interval.high if accuracy else None,
        large_share=arm.large_share,
        aimed_share=arm.aimed_share,
        small_tokens=arm.small_tokens,
        large_tokens=arm.large_tokens,
        thrown_away=arm.thrown_away,
        small_read=arm.small_read,
        large_read=arm.large_read,
        seconds=arm.seconds,
        tokens_per_second=arm.tokens_per_second,
        speed=_interval(arm.speed),
        tokens_per_answer=arm.tokens_per_answer,
        seconds_per_answer=arm.seconds_per_answer,
        compute=arm.compute,
        compute_per_answer=arm.compute_per_answer,
        takeovers=dict(arm.takeovers),
        reflections=arm.reflections,
        places=arm.places,
        drafted=arm.drafted,
        accepted=arm.accepted,
        money=arm.money,
        money_per_answer=arm.money_per_answer,
        currency=arm.currency,
        remote_tokens=arm.remote_tokens,
        notices=arm.notices,
        errors=arm.errors,
        conditions=ArmConditionsRecord(**arm.conditions._asdict()),
    )


def _comparison(found: Comparison) -> ComparisonRecord:
    low, high = found.difference.estimate.interval
    return ComparisonRecord(
        first=found.first,
        second=found.second,
        difference=found.difference.estimate.value,
        low=low,
        high=high,
        better_first=found.difference.better_first,
        better_second=found.difference.better_second,
        p=found.difference.p,
        adjusted_p=found.adjusted_p,
        problems=found.difference.problems,
        remark=disagreement(found.difference) if found.difference.disagrees else "",
    )


def _throughput(found: Throughput | None) -> ThroughputRecord | None:
    if found is None:
        return None
    low, high = found.tokens_per_second.interval
    speed = IntervalRecord(value=found.tokens_per_second.value, low=low, high=high)
    return ThroughputRecord(tokens_per_second=speed, seconds=found.seconds, at_once=found.at_once)
