"""A report as plain text, for the terminal and for a README."""

from __future__ import annotations

from collections.abc import Mapping

from core.batch.reporting.report import ArmReport, Report
from core.batch.reporting.statistics import Difference, Estimate
from core.export.markdown import escaped
from core.store.batch_rows import Conditions
from core.text import counted

MOST_SENTENCES = 5
"""Different errors, and notices, of an arm that the report names."""

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
    """One sentence for each pair of arms, and one for each interval that disagrees with its test."""
    lines = []
    several = len(report.comparisons) > 1
    for first, second, found, adjusted in report.comparisons:
        low, high = found.estimate.interval
        lines.append(
            f"{second} less {first}: {100 * found.estimate.value:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f}), "
            f"better on {found.better_second}, worse on {found.better_first} of {counted(found.problems, 'problem')}, "
            f"{probability(found.p)}"
            + (f", adjusted {probability(adjusted)}" if several else "")
            + (f". {disagreement(found)}" if found.disagrees else "")
        )
    return "\n".join(lines)


def method_of_tests(report: Report) -> str:
    """Which tests the p-values beside `comparisons` come from; empty without a comparison."""
    if not report.comparisons:
        return ""
    words = "p: " + ("McNemar's exact test" if report.seeds == 1 else "the sign test over problems, several seeds each")
    count = len(report.comparisons)
    if count > 1:
        words += (
            f". Adjusted p: Holm's method over the {count} comparisons; "
            "without it, one in twenty is below 0.05 by chance"
        )
    return f"{words}."


def disagreement(found: Difference) -> str:
    """Why the interval and the test of a comparison point different ways."""
    differing = found.better_first + found.better_second
    if found.p < 0.05:
        return (
            f"The interval includes 0 although p < 0.05: on the {differing} that differ, the test counts which arm was "
            "better, the interval also by how much."
        )
    return (
        "The interval leaves out 0 although p ≥ 0.05: it is an approximation and the test is exact; with "
        f"{differing} problems that differ, go by the test."
    )


def markdown_report(report: Report) -> str:
    """Heading, table and comparisons, to stand in a README; names of models and words of servers are no markup."""
    notes = (comparisons(report), method_of_tests(report), footnotes(report))
    lines = "".join(f"- {line}\n" for each in notes for line in each.splitlines())
    return escaped(f"{heading(report)}\n\n{table(report, markdown=True)}\n\n{lines}")


def heading(report: Report) -> str:
    """What was compared, in one line."""
    models = " and ".join(
        f"{which} {model.name}" for which, model in (("small", report.small), ("large", report.large)) if model
    )
    seeds = "1 seed" if report.seeds == 1 else f"{report.seeds} seeds"
    found = {parallel: None for arm in report.arms for parallel, *_ in arm.conditions.setups} or {report.parallel: None}
    at_once = " and ".join(map(str, sorted(found, reverse=True)))
    return f"{report.name}: {counted(report.problems, 'problem')}, {seeds}, {at_once} at once; {models}"


def footnotes(report: Report) -> str:
    """What a reader has to know beside the table, a line each: errors, notices, conditions, drafts, charges."""
    ran = [arm for arm in report.arms if not arm.same_as]
    lines = [
        f"{arm.name}: {arm.unscored} unscored, {counted(arm.failed, 'error')}, {arm.jobs - arm.done} not run"
        for arm in ran
        if arm.unscored or arm.failed or arm.jobs > arm.done
    ]
    for arm in ran:
        lines += _counted(arm.name, arm.errors, "failed: “{}”")
        lines += _counted(arm.name, arm.notices, "with the notice “{}”")
    lines += [f"{arm.name}: the same settings as {arm.same_as}, run once" for arm in report.arms if arm.same_as]
    lines += [
        f"{arm.name}: a large share of {percent(arm.large_share)}, {percent(arm.aimed_share)} was aimed at"
        for arm in ran
        if arm.aimed_share is not None and arm.answers
    ]
    lines += [f"{arm.name}: {_reflections(arm)}" for arm in ran if any(arm.reflections.values())]
    lines += _speed_notes(report)
    lines += [
        f"{arm.name}: {arm.drafted:,} tokens drafted, {percent(arm.accepted / arm.drafted)} of them accepted"
        for arm in ran
        if arm.drafted
    ]
    lines += [
        f"{arm.name}: {arm.remote_tokens:,} tokens read and written by servers, {money(arm.money, arm.currency)}"
        for arm in ran
        if arm.money
    ]
    return "\n".join(lines)


def _counted(arm: str, sentences: Mapping[str, int], words: str) -> list[str]:
    """The commonest sentences, each with the number of answers."""
    shown = list(sentences.items())[:MOST_SENTENCES]
    lines = [f"{arm}: {counted(count, 'answer')} {words.format(sentence)}" for sentence, count in shown]
    rest = sum(sentences.values()) - sum(count for _, count in shown)
    return [*lines, f"{arm}: {counted(rest, 'answer')} for other reasons (results.jsonl)"] if rest else lines


def _reflections(arm: ArmReport) -> str:
    found = arm.reflections
    words = f"{found['small'] + found['large']:.1f} cues of reflection an answer"
    words += f" ({found['small']:.1f} by small, {found['large']:.1f} by large)"
    by_outcome = [f"{found[name]:.1f} in {name} ones" for name in ("correct", "wrong") if name in found]
    return ", ".join([words, *by_outcome])


def _speed_notes(report: Report) -> list[str]:
    lines = []
    if report.not_comparable:
        lines.append(f"Speeds cannot be compared, and are not ranked: {report.not_comparable}")
    if found := report.throughput:
        lines.append(
            f"All arms together: {speed(found.tokens_per_second, ' tok/s')} over {found.seconds:,.1f} s, "
            f"{found.at_once:.1f} texts at once on average"
        )
    ran = [arm for arm in report.arms if arm.conditions.setups and not arm.same_as]
    if ran:
        loads = [arm.conditions.other_load for arm in ran]
        threads = sorted({threads for arm in ran for _, threads, _ in arm.conditions.setups if threads})
        words = [f"{' and '.join(map(str, threads))} {'thread' if threads == [1] else 'threads'}"] if threads else []
        lowest, highest = f"{min(loads):.0%}", f"{max(loads):.0%}"
        words.append(f"{lowest if lowest == highest else f'{lowest} to {highest}'} of the CPU used by other programs")
        for count, what in (
            (sum(arm.conditions.paused for arm in ran), "written while the batch was paused"),
            (sum(arm.conditions.resumed for arm in ran), "continued after an interruption"),
        ):
            words += [f"{counted(count, 'answer')} {what}"] if count else []
        lines.append(f"Conditions: {', '.join(words)}")
    return lines


def conditions_in_words(found: Conditions) -> str:
    """Under which conditions one answer was written, in one line."""
    words = [f"{found.parallel} at once"]
    if found.threads:
        words.append("1 thread" if found.threads == 1 else f"{found.threads} threads")
    words.append(f"{found.other_load:.0%} of the CPU used by other programs")
    words += ["the batch was paused meanwhile"] if found.paused else []
    words += ["continued after an interruption"] if found.resumed else []
    return ", ".join(words)


def money(amount: float, currency: str) -> str:
    """With as many places as tell it from nothing."""
    return f"{amount:.2f} {currency}".rstrip() if amount >= 0.1 or not amount else f"{amount:.2g} {currency}".rstrip()


def percent(value: float) -> str:
    return f"{100 * value:.1f}%"


def interval(estimate: Estimate | None) -> str:
    return f"{100 * estimate.interval.low:.1f}–{100 * estimate.interval.high:.1f}" if estimate else "–"


def probability(p: float) -> str:
    return "p < 0.0001" if p < 0.0001 else "p = " + f"{p:.4f}".rstrip("0").rstrip(".")


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
        speed(arm.speed) if arm.speed else "–",
        f"{arm.compute_per_answer / 1e6:,.0f}" if arm.compute else "–",
    )


def speed(found: Estimate, unit: str = "") -> str:
    """With its interval, which a single problem does not give."""
    low, high = found.interval
    spread = f" ({low:,.0f}–{high:,.0f})" if high > low else ""
    return f"{found.value:,.0f}{unit}{spread}"
