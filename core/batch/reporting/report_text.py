"""Writes a report as text: all of it for the terminal, its sentences and tables also for HTML and the window."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from baton_reasoning.core.batch.reporting.report import ArmReport, Report, main_arm
from baton_reasoning.core.batch.reporting.speed import Percentiles
from baton_reasoning.core.demo_pair.settings import MEASURED_COST, MEASURED_RATIO
from baton_reasoning.core.intervals import Estimate
from baton_reasoning.core.store.batches import Conditions
from baton_reasoning.core.text import counted

MOST_COMPARISONS = 15
"""Up to so many, those of six arms, the text lists all; of more it lists those with one arm."""
MOST_SENTENCES = 5
"""Different errors, and different notices, that the report names of each arm."""


class Table(NamedTuple):
    title: str
    rows: list[tuple[str, ...]]
    """The cells of each row, header first."""


def text_report(report: Report, width: int = 0) -> str:
    """Return the report for a terminal: heading, tables, comparisons and notes.

    `width`: of the terminal, in characters; 0 is no limit.
    """
    shown = [f"{table.title}\n{columns(table.rows, width)}" for table in tables(report)]
    compared = "\n".join([*_main_comparisons(report), method_of_tests(report)]).strip()
    return "\n\n".join(filter(None, (heading(report), *shown, times_note(report), compared, footnotes(report))))


def tables(report: Report) -> tuple[Table, ...]:
    """Return the tables of a report, with a row for each arm; columns that say nothing of any arm are left out."""
    seconds = Table("Seconds to the answer and to the end", _rows(report, _SECONDS))
    return (
        Table("Accuracy", _rows(report, _ACCURACY)),
        *(() if report.is_demo else (seconds,)),
        Table("Cost of an answer", _rows(report, _COSTS)),
    )


def times_note(report: Report) -> str:
    """Say what stands in the place of the demo pair's times; empty for a report that shows times."""
    if not report.is_demo:
        return ""
    return (
        "Both demo models are equally fast, so that times say nothing here. Measured at a cost of 1 to "
        f"{MEASURED_COST}, one answer at a time (baton evidence): the pair takes {MEASURED_RATIO:.2f} of the time of "
        "the large model alone."
    )


def columns(rows: Sequence[Sequence[str]], width: int = 0) -> str:
    """Return one line for each row, its cells in columns: the first to the left, the others to the right.

    Columns that do not fit into `width` characters follow in a block of their own, which repeats the first column.
    """
    first, *others = ([*column] for column in zip(*rows, strict=True))
    names = _left(first)
    blocks = [names]
    for column in map(_right, others):
        is_too_wide = len(blocks[-1][0]) + len(column[0]) > width > 0
        if is_too_wide and blocks[-1] is not names:
            blocks.append(names)
        blocks[-1] = [line + cell for line, cell in zip(blocks[-1], column, strict=True)]
    return "\n\n".join("\n".join(lines) for lines in blocks)


def _left(column: list[str]) -> list[str]:
    return [cell.ljust(max(map(len, column))) for cell in column]


def _right(column: list[str]) -> list[str]:
    return [f"  {cell.rjust(max(map(len, column)))}" for cell in column]


def _main_comparisons(report: Report) -> list[str]:
    """Return all comparisons, or of many those with the main arm, and how many others there are."""
    lines = comparisons(report)
    if len(lines) <= MOST_COMPARISONS or not (against := main_arm(report)):
        return lines
    shown = [
        line
        for line, found in zip(lines, report.comparisons, strict=True)
        if against.name in (found.first, found.second)
    ]
    return [*shown, f"The other {len(lines) - len(shown)} comparisons are in report.html."]


def comparisons(report: Report) -> list[str]:
    """Return a line for each pair of arms; it says so if the interval and the test disagree."""
    lines = []
    several = len(report.comparisons) > 1
    for each in report.comparisons:
        change = each.difference
        lines.append(
            f"{each.title}: {100 * change.value:+.1f} points "
            f"({100 * change.low:+.1f} to {100 * change.high:+.1f}), better on {each.better_second}, worse on "
            f"{each.better_first} of {counted(each.problems, 'problem')}, {probability(each.p)}"
            + (f", adjusted {probability(each.adjusted_p)}" if several else "")
            + (f". {each.remark}" if each.remark else "")
        )
    return lines


def method_of_tests(report: Report) -> str:
    """Name the tests that the p-values of `comparisons` come from; empty without a comparison."""
    if not report.comparisons:
        return ""
    text = "p: " + ("McNemar's exact test" if report.seeds == 1 else "the sign test over problems, several seeds each")
    count = len(report.comparisons)
    if count > 1:
        text += (
            f". Adjusted p: Holm's method over the {count} comparisons; "
            "without it, one in twenty is below 0.05 by chance"
        )
    return f"{text}."


def heading(report: Report) -> str:
    """Say in one line what was compared."""
    models = " and ".join(
        f"{which} {model.name}" for which, model in (("small", report.small), ("large", report.large)) if model
    )
    seeds = "1 seed" if report.seeds == 1 else f"{report.seeds} seeds"
    found = {parallel: None for arm in report.arms for parallel, *_ in arm.conditions.setups} or {report.parallel: None}
    at_once = " and ".join(map(str, sorted(found, reverse=True)))
    return f"{report.name}: {counted(report.problems, 'problem')}, {seeds}, {at_once} at once; {models}"


def footnotes(report: Report) -> str:
    """List what a reader must know beside the table, one fact a line: pairs that do not pay, errors, notices,
    conditions, drafts, costs."""
    lines = [f"{arm.title}: {arm.advice}" for arm in report.arms if arm.advice]
    lines += [
        f"{arm.title}: {arm.unscored} unscored, {counted(arm.failed, 'error')}, {arm.jobs - arm.done} not run"
        for arm in report.arms
        if arm.unscored or arm.failed or arm.jobs > arm.done
    ]
    for arm in report.arms:
        lines += _commonest(arm.title, arm.errors, "failed: “{}”")
        lines += _commonest(arm.title, arm.notices, "with the notice “{}”")
    lines += [f"{name}: left out, since this version of Baton does not have its policy" for name in report.unknown_arms]
    lines += [
        f"{arm.title}: a large share of {percent(arm.large_share)}, {percent(arm.aimed_share)} was aimed at"
        for arm in report.arms
        if arm.aimed_share is not None and arm.answers
    ]
    lines += [
        f"{arm.title}: {share(arm.majority.accuracy)} correct by the majority of its {arm.majority.votes} seeds, "
        "at the cost of all of them"
        for arm in report.arms
        if arm.majority
    ]
    lines += [] if report.is_demo else _speed_notes(report)
    lines += [
        f"{arm.title}: {arm.drafted:,} tokens drafted, {percent(arm.accepted / arm.drafted)} of them accepted"
        for arm in report.arms
        if arm.drafted
    ]
    lines += [
        f"{arm.title}: {arm.remote_tokens:,} tokens read and written by servers, {money(arm.money, arm.currency)}"
        for arm in report.arms
        if arm.money
    ]
    if report.is_older:
        lines.append("Begun by an older version of Baton: what this one does not know, such as votes, is left out")
    return "\n".join(lines)


def _commonest(arm: str, sentences: Mapping[str, int], template: str) -> list[str]:
    """List the commonest sentences, each with the number of answers."""
    shown = list(sentences.items())[:MOST_SENTENCES]
    lines = [f"{arm}: {counted(count, 'answer')} {template.format(sentence)}" for sentence, count in shown]
    rest = sum(sentences.values()) - sum(count for _, count in shown)
    return [*lines, f"{arm}: {counted(rest, 'answer')} for other reasons (results.jsonl)"] if rest else lines


def _speed_notes(report: Report) -> list[str]:
    lines = []
    if report.not_comparable:
        lines.append(f"Speeds cannot be compared, and are not ranked: {report.not_comparable}")
    ran = [arm for arm in report.arms if arm.conditions.setups]
    if ran:
        loads = [arm.conditions.other_load for arm in ran]
        threads = sorted({threads for arm in ran for _, threads, _ in arm.conditions.setups if threads})
        parts = [f"{' and '.join(map(str, threads))} {'thread' if threads == [1] else 'threads'}"] if threads else []
        lowest, highest = f"{min(loads):.0%}", f"{max(loads):.0%}"
        parts.append(f"{lowest if lowest == highest else f'{lowest} to {highest}'} of the CPU used by other programs")
        paused = sum(arm.conditions.paused for arm in ran)
        parts += [f"{counted(paused, 'answer')} written while the batch was paused"] if paused else []
        lines.append(f"Conditions: {', '.join(parts)}")
    return lines


def conditions_text(found: Conditions) -> str:
    """Say in one line under which conditions an answer was written."""
    parts = [f"{found.parallel} at once"]
    if found.threads:
        parts.append(counted(found.threads, "thread"))
    parts.append(f"{found.other_load:.0%} of the CPU used by other programs")
    parts += ["the batch was paused meanwhile"] if found.paused else []
    return ", ".join(parts)


def money(amount: float, currency: str) -> str:
    """Format an amount with enough places to tell it from nothing."""
    return f"{amount:.2f} {currency}".rstrip() if amount >= 0.1 or not amount else f"{amount:.2g} {currency}".rstrip()


def percent(value: float) -> str:
    return f"{100 * value:.1f}%"


def interval(estimate: Estimate | None) -> str:
    return f"{100 * estimate.low:.1f}–{100 * estimate.high:.1f}" if estimate else "–"


def probability(p: float) -> str:
    return "p < 0.0001" if p < 0.0001 else "p = " + f"{p:.4f}".rstrip("0").rstrip(".")


Column = tuple[str, Callable[[ArmReport], str]]
"""A title, and the cell of an arm."""
NOTHING = "–"


def _rows(report: Report, columns: Sequence[Column]) -> list[tuple[str, ...]]:
    """Return the rows of a table, header first. A column after the first is left out if it says nothing of any arm."""
    name, *others = ((title, *map(cell, report.arms)) for title, cell in columns)
    told = [column for column in others if set(column[1:]) != {NOTHING}]
    return list(zip(name, *told, strict=True))


def _an_answer(tokens: int, arm: ArmReport) -> str:
    return f"{tokens / max(1, arm.answers):,.0f}"


def _p50(found: Percentiles | None) -> str:
    return estimated(found.p50 if found else None)


def _p95(found: Percentiles | None) -> str:
    return estimated(found.p95 if found else None)


_NAME: Column = ("policy", lambda arm: arm.title)
_ACCURACY: tuple[Column, ...] = (
    _NAME,
    ("correct", lambda arm: percent(arm.accuracy.value) if arm.accuracy else NOTHING),
    ("95% interval", lambda arm: interval(arm.accuracy)),
    ("gap recovered", lambda arm: estimated(arm.gap_recovered)),
    ("large share", lambda arm: percent(arm.large_share)),
    ("share of steps", lambda arm: share(arm.involvement.steps)),
    ("share of answers", lambda arm: share(arm.involvement.problems)),
)
_SECONDS: tuple[Column, ...] = (
    _NAME,
    ("answer p50", lambda arm: _p50(arm.seconds_to_answer)),
    ("answer p95", lambda arm: _p95(arm.seconds_to_answer)),
    ("end p50", lambda arm: _p50(arm.seconds_to_end)),
    ("end p95", lambda arm: _p95(arm.seconds_to_end)),
    ("mean", lambda arm: f"{arm.seconds_per_answer:,.2f}" if arm.speed else NOTHING),
    ("mean / large", lambda arm: estimated(arm.time_ratio)),
    ("tok/s", lambda arm: speed(arm.speed) if arm.speed else NOTHING),
)
_COSTS: tuple[Column, ...] = (
    _NAME,
    ("tokens", lambda arm: f"{arm.tokens_per_answer:,.0f}"),
    ("discarded", lambda arm: _an_answer(arm.discarded_tokens, arm)),
    ("handoffs", lambda arm: estimated(arm.involvement.handoffs)),
    ("first read", lambda arm: _an_answer(arm.read - arm.reread, arm)),
    ("read again", lambda arm: _an_answer(arm.reread, arm)),
    ("money", lambda arm: money(arm.money_per_answer, arm.currency) if arm.money else NOTHING),
)


def share(estimate: Estimate | None) -> str:
    """Format a share with its interval, in percent."""
    return f"{percent(estimate.value)} ({interval(estimate)})" if estimate else NOTHING


def estimated(estimate: Estimate | None) -> str:
    """Format a value with its interval."""
    return f"{estimate.value:,.2f} ({estimate.low:,.2f}–{estimate.high:,.2f})" if estimate else NOTHING


def signed(difference: Estimate) -> str:
    """Format a difference of values: “▲ +0.44 (+0.12 to +0.66)”; without ▲ or ▼ where it may be chance."""
    sign = "▲ " if difference.low > 0 else "▼ " if difference.high < 0 else ""
    return f"{sign}{difference.value:+.2f} ({difference.low:+.2f} to {difference.high:+.2f})"


def speed(found: Estimate) -> str:
    """Format a speed with its interval, which a single problem does not give."""
    spread = f" ({found.low:,.0f}–{found.high:,.0f})" if found.high > found.low else ""
    return f"{found.value:,.0f}{spread}"
