"""Writes an arm as a log of Inspect (UK AI Security Institute) through Inspect's own Python API.

A sample for each problem and seed (its epoch), or for each vote, with a span for each step and, inside it, for each
author.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baton_reasoning.core.batch.reporting.exported_result import ExportedResult
from baton_reasoning.core.batch.reporting.report import ArmReport, Report
from baton_reasoning.core.errors import StoreError
from baton_reasoning.core.store.batch_rows import StoredArm
from baton_reasoning.core.version import how_to_install

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog, EvalSample

_MARKS = {"correct": "C", "wrong": "I", "unscored": "N"}
"""Inspect's own values for a score; an error has none."""


def write_inspect_log(report: Report, arm: ArmReport, results: Sequence[ExportedResult], path: Path) -> None:
    """Write the log. Raises StoreError if Inspect is not installed."""
    try:
        from inspect_ai.log import write_eval_log
    except ImportError as error:
        raise StoreError(
            "Logs of Inspect are written by its own package, which is not installed.", how_to_install("inspect")
        ) from error
    write_eval_log(inspect_log(report, arm, results), str(path))


def inspect_log(report: Report, arm: ArmReport, results: Sequence[ExportedResult]) -> EvalLog:
    """Build the log. Raises ImportError without Inspect."""
    from inspect_ai.log import EvalConfig, EvalDataset, EvalLog, EvalMetric, EvalResults, EvalScore, EvalSpec, EvalStats

    seeds = StoredArm(arm.name, arm.settings).seeds_of(report.seed_numbers)
    models = [model.name for model in (report.small, report.large) if model]
    started = min((each.started for each in results if each.started), default=report.created)
    ended = max((each.ended for each in results if each.ended), default=report.created)
    spec = EvalSpec(
        run_id=report.batch,
        created=started.isoformat(),
        task=report.name,
        task_args={"arm": arm.name, "settings": arm.settings},
        dataset=EvalDataset(name=report.name, samples=report.problems),
        model=f"baton/{'+'.join(models) or arm.name}",
        config=EvalConfig(epochs=len(seeds)),
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
        samples=[_sample(each, seeds.index(each.seed) + 1) for each in results],
    )


def _sample(result: ExportedResult, epoch: int) -> EvalSample:
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
        at: dict[str, Any] = {"timestamp": result.started} if result.started else {}
        for step, pieces in groupby(result.spans, key=lambda span: span.step):
            name = f"step {step + 1}"
            yield SpanBeginEvent(id=name, name=name, type="step", **at)
            for piece in pieces:
                inside = f"{name} {piece.start}"
                yield SpanBeginEvent(id=inside, parent_id=name, name=piece.author, type="author", span_id=name, **at)
                values = [each.model_dump() for each in result.values if each.is_of(piece)]
                about = piece.model_dump() | {"text": result.text[piece.start : piece.end], "values": values}
                yield InfoEvent(source="baton", data=about, span_id=inside, **at)
                yield SpanEndEvent(id=inside, span_id=inside, **at)
            yield SpanEndEvent(id=name, span_id=name, **at)

    answer = result.text if result.answer_start is None else result.text[result.answer_start :]
    thinking = "" if result.answer_start is None else result.text[: result.answer_start]
    content = [*([ContentReasoning(reasoning=thinking)] if thinking else []), ContentText(text=answer)]
    message = ChatMessageAssistant(content=content)
    score = Score(
        value=_MARKS.get(result.outcome, "N"), answer=result.answer, explanation=result.reason, metadata=result.metadata
    )
    return EvalSample(
        id=result.id,
        epoch=epoch,
        input=result.problem,
        target=result.expected or "",
        messages=[ChatMessageUser(content=result.problem), message],
        output=ModelOutput.from_message(message),
        scores=None if result.error else {"baton": score},
        metadata={"arm": result.arm, "seed": result.seed, "large_share": result.large_share, **result.metadata},
        events=list(spans()),
        total_time=result.seconds,
        error=EvalError(message=result.error, traceback="", traceback_ansi="") if result.error else None,
    )
