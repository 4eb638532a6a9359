"""Makes the sentence, the tables and the notes of a report, which terminal, HTML, Markdown and window show."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from baton_reasoning.core.batch.reporting import figures
from baton_reasoning.core.batch.reporting.report import ArmReport, Comparison, Report
from baton_reasoning.core.demo_pair import MEASURED_COST, MEASURED_RATIO
from baton_reasoning.core.export.markdown import escaped
from baton_reasoning.core.intervals import Estimate
from baton_reasoning.core.table import NOTHING, Table, columns_of
from baton_reasoning.core.text import counted, one_line
from baton_reasoning.core.words.numbers import money

MOST_SENTENCES = 5
"""Different errors, and different notices, that the report lists for each arm, at most."""
FEWEST_GRADED = 10
"""Graded answers from which an arm has a figure in the sentence."""
OFTEN_CUT_OFF = 0.05
"""Share of answers that were cut off, from which the sentence says it."""
SHARE_MISSED = 0.02
"""An arm of equal share that misses its large share by more is no fair control."""


def report_parts(report: Report) -> Iterator[str | Table]:
    """Yield the paragraphs and tables that a terminal shows; the HTML report has `more_tables`, too."""
    yield sentence(report)
    yield heading(report)
    yield from main_tables(report)
    if found := notes(report):
        yield "\n".join(found)
    if folded := [table.title for table in more_tables(report)]:
        yield f"Also in the HTML report: {', '.join(folded)}."


def markdown_report(report: Report) -> str:
    """Return the report as Markdown, with all tables. Tags and images in foreign text are escaped."""
    parts = [f"# {one_line(report.name)}", sentence(report), heading(report)]
    for table in (*main_tables(report), *more_tables(report)):
        parts += [f"## {table.title}", table.as_markdown(), *table.notes]
    listed = "\n".join(f"- {note}" for note in notes(report))
    return escaped("\n\n".join([*parts, listed]).strip()) + "\n"


def sentence(report: Report) -> str:
    """Compare the accuracy of the main arm with its models alone and chance, of how many answers, in a sentence.

    An arm with fewer than `FEWEST_GRADED` graded answers is not compared, unless the batch has no more: then there are
    counts, and no percentages. Another sentence says where more than `OFTEN_CUT_OFF` of the answers were cut off.
    """
    main = report.arm(report.main)
    if main is None or not any(arm.answers for arm in report.arms):
        failed = sum(arm.failed for arm in report.arms)
        return f"No answer yet; {counted(failed, 'error')}." if failed else "No answer yet."
    roles = {report.small_alone: "small alone", report.large_alone: "large alone", report.by_chance: "by chance"}
    role = roles.get(main.name) or ("both together" if [arm for arm in report.arms if arm.is_pair] == [main] else "")
    fewest, named = (FEWEST_GRADED if main.jobs >= FEWEST_GRADED else 1), {role or main.name: main}
    is_running = any(arm.done < arm.jobs for arm in report.arms)
    opening, who = f"{role.capitalize() or main.name}:", role or f"“{main.name}”"
    if main.graded < fewest:
        few, why = _few(main), ", too few to compare" if main.graded else ""
        text = f"So far: {few} by {who}{why}" if is_running else f"{opening} {few}{why}"
    else:
        found = ((words, report.arm(name)) for name, words in roles.items() if name != main.name)
        named |= {words: arm for words, arm in found if arm and arm.graded >= fewest}
        text = f"{f'So far: {who}' if is_running else opening} {_result(main, has_percentages=fewest > 1)}"
        if others := ", ".join(f"{words} {_right(arm)}" for words, arm in named.items() if arm is not main):
            text += f"; {others}"
    return f"{text}.{_cut_off(named)}"


def _few(arm: ArmReport) -> str:
    if arm.graded:
        return counted(arm.graded, "graded answer")
    return "no graded answer" if arm.answers else "no answer"


def _result(arm: ArmReport, *, has_percentages: bool) -> str:
    """Return “46 of 50 right (92%) with 29% by the large model”."""
    assert arm.accuracy
    if not has_percentages:
        return f"{_right(arm)} right"
    share = f" with {figures.rounded(arm.large_share)} by the large model" if arm.is_pair else ""
    return f"{_right(arm)} right ({figures.rounded(arm.accuracy.value)}){share}"


def _right(arm: ArmReport) -> str:
    return f"{arm.correct:,} of {arm.graded:,}"


def _cut_off(arms: Mapping[str, ArmReport]) -> str:
    """Say of which arms many answers were cut off; nothing where few were. `arms`: by what the sentence calls them."""
    often = {name: arm for name, arm in arms.items() if arm.cut_off > OFTEN_CUT_OFF * arm.answers}
    found = (f"{name} {arm.cut_off:,} of {arm.answers:,}" for name, arm in often.items())
    return f" Cut off at a limit: {', '.join(found)}." if often else ""


def heading(report: Report) -> str:
    """Say in one line what was compared."""
    models = " and ".join(
        f"{which} {model.label}" for which, model in (("small", report.small), ("large", report.large)) if model
    )
    found = {parallel: None for arm in report.arms for parallel, *_ in arm.setups} or {report.parallel: None}
    at_once = " and ".join(map(str, sorted(found, reverse=True)))
    seeds = counted(report.seeds, "seed")
    return f"{one_line(report.name)}: {counted(report.problems, 'problem')}, {seeds}, {at_once} at once; {models}"


def main_tables(report: Report) -> tuple[Table, ...]:
    """Return a table of arms, and one of their differences from the main arm."""
    arms = _arm_table("Accuracy against large share", report, partial(_main_cells, report))
    return _with_figures(arms, _differences(report))


def time_tables(report: Report) -> tuple[Table, ...]:
    """Return the tables of what an answer took: seconds, unless the models are the demo's, and tokens."""
    seconds = _arm_table("Seconds to the answer and to the end", report, _seconds_cells)
    took = _arm_table("What an answer took", report, _cost_cells)
    return _with_figures(*(() if report.is_demo else (seconds,)), took)


def more_tables(report: Report) -> tuple[Table, ...]:
    """Return the tables of details: seconds, costs, all comparisons."""
    titles = ("arms", _POINTS, "better", "worse", "problems", "p", _ADJUSTED)
    compared = Table("All comparisons", columns_of(titles), tuple(map(_compared, report.comparisons)))
    return (*time_tables(report), *_with_figures(compared))


def _with_figures(*tables: Table) -> tuple[Table, ...]:
    """Leave out tables without a figure."""
    return tuple(table for table in tables if table.rows and len(table.columns) > 1)


def _arm_table(title: str, report: Report, cells_of: Callable[[ArmReport], dict[str, str]]) -> Table:
    """Return a table with a row for each arm. `cells_of`: the cells of an arm with answers, by column title."""
    cells = {arm.name: cells_of(arm) for arm in report.arms if arm.answers}
    titles = next(iter(cells.values()), {})
    rows = tuple((arm.title, *cells.get(arm.name, dict.fromkeys(titles, NOTHING)).values()) for arm in report.arms)
    return Table(title, columns_of(("arm", *titles)), rows).without_empty()


def _main_cells(report: Report, arm: ArmReport) -> dict[str, str]:
    cells = {"correct (95% CI)": figures.share(arm.accuracy)}
    if any(each.cut_off for each in report.arms):
        cells["cut off"] = f"{arm.cut_off:,}"
    if any(each.no_answer for each in report.arms):
        cells["no answer"] = f"{arm.no_answer:,}"
    cells["large share"] = figures.percent(arm.large_share)
    if not report.is_demo:
        cells["s/answer"] = f"{arm.seconds_per_answer:,.2f}"
        cells["× large"] = f"{arm.time_ratio.value:,.2f}" if arm.time_ratio else NOTHING
    return cells | {"money": money(arm.money_per_answer, arm.currency) if arm.money else NOTHING}


def _seconds_cells(arm: ArmReport) -> dict[str, str]:
    cells = {}
    for name, seconds in (("answer", arm.seconds_to_answer), ("end", arm.seconds_to_end)):
        cells[f"{name} p50"] = figures.estimated(seconds.p50 if seconds else None)
        cells[f"{name} p95"] = figures.estimated(seconds.p95 if seconds else None)
    return cells | {"mean / large": figures.estimated(arm.time_ratio), "tok/s": f"{arm.tokens_per_second:,.0f}"}


def _cost_cells(arm: ArmReport) -> dict[str, str]:
    of_an_answer = {
        "tokens": arm.tokens,
        "discarded": arm.discarded_tokens,
        "first read": arm.small_read + arm.large_read - arm.recomputed,
        "read again": arm.recomputed,
    }
    return {
        "gap recovered": figures.estimated(arm.gap_recovered),
        **{title: f"{count / arm.answers:,.0f}" for title, count in of_an_answer.items()},
        "handoffs": f"{arm.handoffs / arm.answers:,.1f}",
        "drafts accepted": figures.percent(arm.accepted / arm.drafted) if arm.drafted else NOTHING,
    }


_POINTS, _ADJUSTED = "points (95% CI)", "adjusted p"


def _differences(report: Report) -> Table:
    """Return the accuracy of each other arm minus that of the main arm."""
    rows = []
    for each in report.comparisons:
        if report.main not in (each.first, each.second):
            continue
        other, change = each.second, each.difference
        if report.main == each.second:
            other, change = each.first, Estimate(-change.value, -change.high, -change.low)
        adjusted = figures.probability(each.adjusted_p) if len(report.comparisons) > 1 else NOTHING
        rows.append((other, figures.points(change), figures.probability(each.p), adjusted))
    title = f"Difference from “{report.main}”"
    return Table(title, columns_of(("arm", _POINTS, "p", _ADJUSTED)), tuple(rows), (_method(report),)).without_empty()


def _compared(each: Comparison) -> tuple[str, ...]:
    counts = (f"{count:,}" for count in (each.better_second, each.better_first, each.problems))
    return (each.title, figures.points(each.difference), *counts, *map(figures.probability, (each.p, each.adjusted_p)))


def _method(report: Report) -> str:
    """Name the tests that the p-values come from."""
    text = "p: " + ("McNemar's exact test" if report.seeds == 1 else "the sign test over problems, several seeds each")
    if (count := len(report.comparisons)) > 1:
        text += (
            f". Adjusted p: Holm's method over the {count} comparisons; "
            "without it, one in twenty is below 0.05 by chance"
        )
    return f"{text}."


def notes(report: Report) -> list[str]:
    """List what the tables do not show and what to do about it, a sentence each."""
    found = [f"{arm.name}: {arm.advice}." for arm in report.arms if arm.advice]
    found += _missing(report)
    if unscored := [f"{arm.name} {arm.unscored:,}" for arm in report.arms if arm.unscored]:
        found.append(f"Not graded, and in no accuracy: {', '.join(unscored)}. Look at them, or grade another way.")
    for arm in report.arms:
        found += _commonest(arm.name, arm.notices, "with the notice “{}”")
    found += [
        f"{name}: left out, since this version of Baton does not have its policy, or a setting of it."
        for name in report.unknown_arms
    ]
    found += [
        f"{arm.name}: a large share of {figures.percent(arm.large_share)}, {figures.percent(arm.aimed_share)} was "
        "aimed at; compare it with care."
        for arm in report.arms
        if arm.aimed_share is not None and arm.answers and abs(arm.large_share - arm.aimed_share) > SHARE_MISSED
    ]
    return [*found, *about_seconds(report)]


def _missing(report: Report) -> Iterator[str]:
    """Say why answers are missing, and how to get them."""
    for arm in report.arms:
        yield from _commonest(arm.name, arm.errors, "failed: “{}”")
    failed = sum(arm.failed for arm in report.arms)
    waiting = sum(arm.jobs - arm.done for arm in report.arms)
    parts = [counted(failed, "error")] if failed else []
    parts += [f"{waiting:,} not run"] if waiting else []
    if parts:
        yield f"{', '.join(parts)}: resume the batch for these answers."


def _commonest(arm: str, sentences: Mapping[str, int], template: str) -> list[str]:
    """List the commonest sentences, each with the number of answers."""
    shown = list(sentences.items())[:MOST_SENTENCES]
    lines = [f"{arm}: {counted(count, 'answer')} {template.format(one_line(sentence))}" for sentence, count in shown]
    rest = sum(sentences.values()) - sum(count for _, count in shown)
    return [*lines, f"{arm}: {counted(rest, 'answer')} for other reasons (results.jsonl)"] if rest else lines


def about_seconds(report: Report) -> list[str]:
    """Say why seconds are not there, or cannot be compared."""
    if report.is_demo:
        return [
            "Both demo models are equally fast, so that times say nothing here. Measured at a cost of 1 to "
            f"{MEASURED_COST}, one answer at a time (baton evidence): the pair takes {MEASURED_RATIO:.2f} of the time "
            "of the large model alone."
        ]
    return [f"Seconds cannot be compared: {report.not_comparable}"] if report.not_comparable else []
