"""An arm as a log of Inspect (UK AI Security Institute), written through Inspect's own Python API.

A sample for each problem and seed (its epoch), with a span for each step and, inside it, for each author.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.batch.reporting.records import ReportRecord, ResultRecord
from core.batch.reporting.report import ArmReport
from core.errors import StoreError

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog, EvalSample

_MARKS = {"correct": "C", "wrong": "I", "unscored": "N"}
"""Inspect's own values for a score; an error has none."""


def write_inspect_log(report: ReportRecord, arm: ArmReport, records: Sequence[ResultRecord], path: Path) -> None:
    """Raises StoreError if Inspect is not installed."""
    try:
        from inspect_ai.log import write_eval_log
    except ImportError as error:
        raise StoreError(
            "Logs of Inspect are written by its own package, which is not installed.",
            "Install it where Baton is installed: .venv/bin/pip install inspect-ai.",
        ) from error
    write_eval_log(inspect_log(report, arm, records), str(path))


def inspect_log(report: ReportRecord, arm: ArmReport, records: Sequence[ResultRecord]) -> EvalLog:
    """Raises ImportError without Inspect."""
    from inspect_ai.log import EvalConfig, EvalDataset, EvalLog, EvalMetric, EvalResults, EvalScore, EvalSpec, EvalStats

    models = [model.name for model in (report.small, report.large) if model]
    started = min((record.started for record in records if record.started), default=report.created)
    ended = max((record.ended for record in records if record.ended), default=report.created)
    arms = {each.name: each.settings for each in report.arms}
    spec = EvalSpec(
        run_id=report.batch,
        created=started.isoformat(),
        task=report.name,
        task_args={"arm": arm.name, "settings": arms[arm.name]},
        dataset=EvalDataset(name=report.name, samples=report.problems),
        model=f"baton/{'+'.join(models) or arm.name}",
        config=EvalConfig(epochs=report.seeds),
        metadata={"arm": arm.name, "provenance": report.provenance.model_dump(mode="json")},
        packages={"baton": report.provenance.baton},
    )
    metrics = {"accuracy": EvalMetric(name="accuracy", value=arm.accuracy.value)} if arm.accuracy else {}
    return EvalLog(
        status="success" if arm.done == arm.jobs and not arm.failed else "error",
        eval=spec,
        results=EvalResults(
            total_samples=arm.jobs,
            completed_samples=arm.done,
            scores=[EvalScore(name="baton", scorer="baton", metrics=metrics)],
        ),
        stats=EvalStats(started_at=started.isoformat(), completed_at=ended.isoformat()),
        samples=[_sample(record, report) for record in records],
    )


def _sample(record: ResultRecord, report: ReportRecord) -> EvalSample:
    from inspect_ai.event import InfoEvent, SpanBeginEvent, SpanEndEvent
    from inspect_ai.log import EvalError, EvalSample
    from inspect_ai.model import (
        ChatMessageAssistant,
        ChatMessageUser,
        ContentReasoning,
        ContentText,
        ModelOutput,
    )
    from inspect_ai.scorer import Score

    def spans() -> Iterator[Any]:
        at: dict[str, Any] = {"timestamp": record.started} if record.started else {}
        for step, pieces in groupby(record.spans, key=lambda span: span.step):
            name = f"step {step + 1}"
            yield SpanBeginEvent(id=name, name=name, type="step", **at)
            for piece in pieces:
                inside = f"{name} {piece.start}"
                yield SpanBeginEvent(id=inside, parent_id=name, name=piece.author, type="author", span_id=name, **at)
                about = piece.model_dump() | {"text": record.text[piece.start : piece.end]}
                yield InfoEvent(source="baton", data=about, span_id=inside, **at)
                yield SpanEndEvent(id=inside, span_id=inside, **at)
            yield SpanEndEvent(id=name, span_id=name, **at)

    answer = record.text if record.answer_start is None else record.text[record.answer_start :]
    thinking = "" if record.answer_start is None else record.text[: record.answer_start]
    content = [*([ContentReasoning(reasoning=thinking)] if thinking else []), ContentText(text=answer)]
    message = ChatMessageAssistant(content=content)
    score = Score(
        value=_MARKS.get(record.outcome, "N"), answer=record.answer, explanation=record.reason, metadata=record.metadata
    )
    seeds = list(report.seed_numbers)
    return EvalSample(
        id=record.id,
        epoch=seeds.index(record.seed) + 1 if record.seed in seeds else 1,
        input=record.problem,
        target=record.expected or "",
        messages=[ChatMessageUser(content=record.problem), message],
        output=ModelOutput.from_message(message),
        scores=None if record.error else {"baton": score},
        metadata={"arm": record.arm, "seed": record.seed, "large_share": record.large_share, **record.metadata},
        events=list(spans()),
        total_time=record.seconds,
        error=EvalError(message=record.error, traceback="", traceback_ansi="") if record.error else None,
    )
