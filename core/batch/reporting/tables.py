"""Makes the sentence, the tables and the notes of a report, once; terminal, HTML, Markdown and window show them.

`main_tables` and `notes` follow the sentence; `more_tables` are for who looks closer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from baton_reasoning.core.batch.reporting import figures
from baton_reasoning.core.batch.reporting.report import ArmReport, Comparison, Report
from baton_reasoning.core.batch.running.arms import arm_title
from baton_reasoning.core.demo_pair.settings import MEASURED_COST, MEASURED_RATIO
from baton_reasoning.core.export.markdown import escaped
from baton_reasoning.core.intervals import Estimate
from baton_reasoning.core.table import NOTHING, Column, Table
from baton_reasoning.core.text import counted

MOST_SENTENCES = 5
"""Different errors, and different notices, that the report names of each arm."""
SHARE_MISSED = 0.02
"""From this difference to the large share that it aimed at, an arm of equal share is no fair control."""
MORE = "Quantiles of the seconds, tokens and every comparison are in the HTML report."


def text_report(report: Report, width: int = 0) -> str:
    """Return the report for a terminal of this width in characters, without what the HTML report folds; 0: no limit."""
    tables = main_tables(report)
    shown = (f"{table.title}\n{table.as_text(width)}" for table in tables)
    told = [*(note for table in tables for note in table.notes), *notes(report)]
    return "\n\n".join(filter(None, (sentence(report), heading(report), *shown, "\n".join(told), MORE)))


def markdown_report(report: Report) -> str:
    """Return the report as Markdown, all tables included. Text from models and servers makes no tag or image."""
    parts = [f"# {report.name}", sentence(report), heading(report)]
    for table in (*main_tables(report), *more_tables(report)):
        parts += [f"## {table.title}", table.as_markdown(), *table.notes]
    listed = "\n".join(f"- {note}" for note in notes(report))
    return escaped("\n\n".join([*parts, listed]).strip()) + "\n"


def sentence(report: Report) -> str:
    """Say in a sentence how good the main arm is, beside its models alone and chance."""
    main = report.arm(report.main)
    if main is None or not any(arm.answers for arm in report.arms):
        failed = sum(arm.failed for arm in report.arms)
        return f"No answer yet; {counted(failed, 'error')}." if failed else "No answer yet."
    roles = {report.small_alone: "small alone", report.large_alone: "large alone", report.by_chance: "by chance"}
    subject = "Both together" if [arm for arm in report.arms if arm.is_pair] == [main] else main.title
    if main.name in roles:
        subject = roles[main.name].capitalize()
    text = f"{subject}: {_right(main)}"
    if main.is_pair and main.answers:
        text += f" with {figures.rounded(main.large_share)} by the large model"
    others = [
        f"{role} {figures.rounded(arm.accuracy.value)}"
        for name, role in roles.items()
        if name != main.name and (arm := report.arm(name)) and arm.accuracy
    ]
    return "; ".join([text, *([", ".join(others)] if others else [])]) + "."


def _right(arm: ArmReport) -> str:
    if arm.accuracy:
        return f"{figures.rounded(arm.accuracy.value)} right"
    return "no graded answer" if arm.answers else "no answer yet"


def heading(report: Report) -> str:
    """Say in one line what was compared."""
    models = " and ".join(
        f"{which} {model.name}" for which, model in (("small", report.small), ("large", report.large)) if model
    )
    found = {parallel: None for arm in report.arms for parallel, *_ in arm.conditions.setups} or {report.parallel: None}
    at_once = " and ".join(map(str, sorted(found, reverse=True)))
    seeds = counted(report.seeds, "seed")
    return f"{report.name}: {counted(report.problems, 'problem')}, {seeds}, {at_once} at once; {models}"


def main_tables(report: Report, against: str = "") -> tuple[Table, ...]:
    """Return the arms, and their differences from one of them: the main arm, or the one that is named."""
    arms = _arm_table("Accuracy against large share", report, [*_MAIN, *([] if report.is_demo else _SECONDS), _MONEY])
    differences = _differences(report, against or report.main)
    return (arms, differences) if differences.rows else (arms,)


def more_tables(report: Report) -> tuple[Table, ...]:
    """Return the tables that only some readers look at."""
    seconds = _arm_table("Seconds to the answer and to the end", report, _QUANTILES)
    took = _arm_table("What an answer took", report, _COSTS)
    compared = Table("All comparisons", _COMPARED, tuple(map(_compared, report.comparisons)))
    return (*(() if report.is_demo else (seconds,)), took, *((compared,) if compared.rows else ()))


ArmColumn = tuple[Column, Callable[[ArmReport], str]]
"""A column, and the cell of an arm."""


def _arm_table(title: str, report: Report, columns: Iterable[ArmColumn]) -> Table:
    """Return a table with a row for each arm, without the columns that say nothing of any."""
    heads, cells = zip(*columns, strict=True)
    rows = tuple((arm.title, *(cell(arm) for cell in cells)) for arm in report.arms)
    return Table(title, (_POLICY, *heads), rows).without_empty()


def _answers(cell: Callable[[ArmReport], str]) -> Callable[[ArmReport], str]:
    """Return nothing for an arm without an answer."""
    return lambda arm: cell(arm) if arm.answers else NOTHING


def _each(tokens: Callable[[ArmReport], int]) -> Callable[[ArmReport], str]:
    return _answers(lambda arm: f"{tokens(arm) / arm.answers:,.0f}")


_MAIN: Sequence[ArmColumn] = (
    (Column("correct", "95% CI"), lambda arm: figures.share(arm.accuracy)),
    (Column("large share"), _answers(lambda arm: figures.percent(arm.large_share))),
)
_SECONDS: Sequence[ArmColumn] = (
    (Column("s/answer"), _answers(lambda arm: f"{arm.seconds_per_answer:,.2f}")),
    (Column("× large"), lambda arm: f"{arm.time_ratio.value:,.2f}" if arm.time_ratio else NOTHING),
)
_MONEY: ArmColumn = (
    Column("money"),
    lambda arm: figures.money(arm.money_per_answer, arm.currency) if arm.money else NOTHING,
)
_QUANTILES: Sequence[ArmColumn] = (
    (Column("answer p50"), lambda arm: figures.estimated(arm.seconds_to_answer.p50 if arm.seconds_to_answer else None)),
    (Column("answer p95"), lambda arm: figures.estimated(arm.seconds_to_answer.p95 if arm.seconds_to_answer else None)),
    (Column("end p50"), lambda arm: figures.estimated(arm.seconds_to_end.p50 if arm.seconds_to_end else None)),
    (Column("end p95"), lambda arm: figures.estimated(arm.seconds_to_end.p95 if arm.seconds_to_end else None)),
    (Column("mean / large"), lambda arm: figures.estimated(arm.time_ratio)),
    (Column("tok/s"), _answers(lambda arm: f"{arm.tokens_per_second:,.0f}")),
)
_COSTS: Sequence[ArmColumn] = (
    (Column("gap recovered"), lambda arm: figures.estimated(arm.gap_recovered)),
    (Column("tokens"), _each(lambda arm: arm.tokens)),
    (Column("discarded"), _each(lambda arm: arm.discarded_tokens)),
    (Column("handoffs"), _answers(lambda arm: f"{arm.handoffs / arm.answers:,.1f}")),
    (Column("first read"), _each(lambda arm: arm.read - arm.reread)),
    (Column("read again"), _each(lambda arm: arm.reread)),
    (
        Column("drafts accepted"),
        lambda arm: figures.percent(arm.accepted / arm.drafted) if arm.drafted else NOTHING,
    ),
)
_POLICY = Column("policy", is_number=False)
_POINTS = Column("points", "95% CI")
_P, _ADJUSTED = Column("p"), Column("adjusted p")
_COMPARED = (
    *(Column("policies", is_number=False), _POINTS),
    *(Column("better"), Column("worse"), Column("problems"), _P, _ADJUSTED),
)


def _differences(report: Report, against: str) -> Table:
    """Return the accuracy of each other arm minus that of `against`."""
    several = len(report.comparisons) > 1
    found = [each for each in report.comparisons if against in (each.first, each.second)]
    rows = []
    for each in found:
        other, change = each.second, each.difference
        if against == each.second:
            other, change = each.first, Estimate(-change.value, -change.high, -change.low)
        adjusted = (figures.probability(each.adjusted_p),) if several else ()
        rows.append((arm_title(other), figures.points(change), figures.probability(each.p), *adjusted))
    notes = (*(f"{each.title}: {each.remark}" for each in found if each.remark), _method(report))
    columns = (_POLICY, _POINTS, _P, *((_ADJUSTED,) if several else ()))
    return Table(f"Difference from “{arm_title(against)}”", columns, tuple(rows), notes)


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
    """List what a reader must know beside the tables, and do: a sentence each."""
    found = [f"{arm.title}: {arm.advice}." for arm in report.arms if arm.advice]
    found += _missing(report)
    if unscored := [f"{arm.title} {arm.unscored:,}" for arm in report.arms if arm.unscored]:
        found.append(f"Not graded, and in no accuracy: {', '.join(unscored)}. Look at them, or grade another way.")
    for arm in report.arms:
        found += _commonest(arm.title, arm.notices, "with the notice “{}”")
    found += [
        f"{name}: left out, since this version of Baton does not have its policy." for name in report.unknown_arms
    ]
    if report.is_older:
        found.append("Begun by an older version of Baton: what this one does not know, such as votes, is left out.")
    found += [
        f"{arm.title}: a large share of {figures.percent(arm.large_share)}, {figures.percent(arm.aimed_share)} was "
        "aimed at; compare it with care."
        for arm in report.arms
        if arm.aimed_share is not None and arm.answers and abs(arm.large_share - arm.aimed_share) > SHARE_MISSED
    ]
    return [*found, *_seconds(report)]


def _missing(report: Report) -> Iterator[str]:
    """Say why answers are missing, and how to get them."""
    for arm in report.arms:
        yield from _commonest(arm.title, arm.errors, "failed: “{}”")
    failed = sum(arm.failed for arm in report.arms)
    waiting = sum(arm.jobs - arm.done for arm in report.arms)
    parts = [counted(failed, "error")] if failed else []
    parts += [f"{waiting:,} not run"] if waiting else []
    if parts:
        yield f"{', '.join(parts)}: resume the batch for these answers."


def _commonest(arm: str, sentences: Mapping[str, int], template: str) -> list[str]:
    """List the commonest sentences, each with the number of answers."""
    shown = list(sentences.items())[:MOST_SENTENCES]
    lines = [f"{arm}: {counted(count, 'answer')} {template.format(sentence)}" for sentence, count in shown]
    rest = sum(sentences.values()) - sum(count for _, count in shown)
    return [*lines, f"{arm}: {counted(rest, 'answer')} for other reasons (results.jsonl)"] if rest else lines


def _seconds(report: Report) -> list[str]:
    """Say why seconds are not there, or cannot be compared."""
    if report.is_demo:
        return [
            "Both demo models are equally fast, so that times say nothing here. Measured at a cost of 1 to "
            f"{MEASURED_COST}, one answer at a time (baton evidence): the pair takes {MEASURED_RATIO:.2f} of the time "
            "of the large model alone."
        ]
    return [f"Seconds cannot be compared: {report.not_comparable}"] if report.not_comparable else []
