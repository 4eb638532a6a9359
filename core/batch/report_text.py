"""A report as plain text (for the terminal and a README) and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from core.batch.report import ArmReport, Report
from core.batch.statistics import Estimate

HEADER = (
    "arm",
    "correct",
    "95% interval",
    "large share",
    "tokens/answer",
    "thrown away",
    "s/answer",
    "tok/s",
    "MFLOP/answer",
)


def table(report: Report, markdown: bool = False) -> str:
    """One line an arm."""
    rows = rows_of(report)
    if markdown:
        lines = [f"| {' | '.join(row)} |" for row in rows]
        lines.insert(1, "|---" + "|---:" * (len(rows[0]) - 1) + "|")
        return "\n".join(lines)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def comparisons(report: Report) -> str:
    """One sentence for each pair of arms."""
    lines = []
    for first, second, found in report.comparisons:
        low, high = found.estimate.interval
        lines.append(
            f"{second} less {first}: {100 * found.estimate.value:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f}), "
            f"better on {found.better_second}, worse on {found.better_first} of {found.problems} problems, "
            f"{probability(found.p)}"
        )
    return "\n".join(lines)


def markdown_report(report: Report) -> str:
    """Heading, table and comparisons, to stand in a README."""
    lines = "".join(f"- {line}\n" for line in (*comparisons(report).splitlines(), *footnotes(report).splitlines()))
    return f"{heading(report)}\n\n{table(report, markdown=True)}\n\n{lines}"


def heading(report: Report) -> str:
    """What was compared, in one line."""
    models = " and ".join(
        f"{which} {model.name}" for which, model in (("small", report.small), ("large", report.large)) if model
    )
    seeds = "1 seed" if report.seeds == 1 else f"{report.seeds} seeds"
    return f"{report.name}: {report.problems} problems, {seeds}, {report.parallel} at once; {models}"


def footnotes(report: Report) -> str:
    """What stays out of the accuracy, what draft models did, and what servers charge, if there is anything."""
    left_out = [
        f"{arm.name}: {arm.unscored} unscored, {arm.failed} errors, {arm.jobs - arm.done} not run"
        for arm in report.arms
        if arm.unscored or arm.failed or arm.jobs > arm.done
    ]
    drafts = [
        f"{arm.name}: {arm.drafted:,} tokens drafted, {percent(arm.accepted / arm.drafted)} of them accepted"
        for arm in report.arms
        if arm.drafted
    ]
    bills = [
        f"{arm.name}: {arm.remote_tokens:,} tokens read and written by servers, {money(arm.money, arm.currency)}"
        for arm in report.arms
        if arm.money
    ]
    return "\n".join(left_out + drafts + bills)


def money(amount: float, currency: str) -> str:
    """With as many places as tell it from nothing."""
    return f"{amount:.2f} {currency}".rstrip() if amount >= 0.1 or not amount else f"{amount:.2g} {currency}".rstrip()


def percent(value: float) -> str:
    return f"{100 * value:.1f}%"


def interval(estimate: Estimate | None) -> str:
    return f"{100 * estimate.interval.low:.1f}–{100 * estimate.interval.high:.1f}" if estimate else "–"


def probability(p: float) -> str:
    return "p < 0.0001" if p < 0.0001 else "p = " + f"{p:.4f}".rstrip("0").rstrip(".")


def report_to_json(report: Report) -> dict[str, Any]:
    """Everything in it, with the derived figures, as JSON values."""
    return {
        "name": report.name,
        "problems": report.problems,
        "seeds": report.seeds,
        "parallel": report.parallel,
        "small": report.small.model_dump() if report.small else None,
        "large": report.large.model_dump() if report.large else None,
        "arms": [_arm_to_json(arm) for arm in report.arms],
        "comparisons": [
            {
                "first": first,
                "second": second,
                "difference": found.estimate.value,
                "low": found.estimate.interval.low,
                "high": found.estimate.interval.high,
                "better_first": found.better_first,
                "better_second": found.better_second,
                "p": found.p,
                "problems": found.problems,
            }
            for first, second, found in report.comparisons
        ],
        "pareto_front": [arm.name for arm in report.front()],
    }


def _arm_to_json(arm: ArmReport) -> dict[str, Any]:
    accuracy = arm.accuracy
    return {
        **asdict(arm),
        "accuracy": accuracy.value if accuracy else None,
        "accuracy_low": accuracy.interval.low if accuracy else None,
        "accuracy_high": accuracy.interval.high if accuracy else None,
        "takeovers": dict(arm.takeovers),
        "places": list(arm.places),
        "large_share": arm.large_share,
        "tokens_per_second": arm.tokens_per_second,
        "tokens_per_answer": arm.tokens_per_answer,
        "seconds_per_answer": arm.seconds_per_answer,
        "compute_per_answer": arm.compute_per_answer,
        "money_per_answer": arm.money_per_answer,
    }


def rows_of(report: Report) -> list[tuple[str, ...]]:
    """The table with its header; money is a column of it where any was spent."""
    rows = [HEADER, *map(_cells, report.arms)]
    if any(arm.money for arm in report.arms):
        spent = ("money/answer", *(money(arm.money_per_answer, arm.currency) for arm in report.arms))
        rows = [(*row, cell) for row, cell in zip(rows, spent, strict=True)]
    return rows


def _cells(arm: ArmReport) -> tuple[str, ...]:
    return (
        arm.name,
        percent(arm.accuracy.value) if arm.accuracy else "–",
        interval(arm.accuracy),
        percent(arm.large_share),
        f"{arm.tokens_per_answer:,.0f}",
        f"{arm.thrown_away / max(1, arm.answers):,.0f}",
        f"{arm.seconds_per_answer:,.2f}",
        f"{arm.tokens_per_second:,.0f}",
        f"{arm.compute_per_answer / 1e6:,.0f}" if arm.compute else "–",
    )
