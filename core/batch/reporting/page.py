"""Renders a report as one HTML file that needs nothing else: no script, no font, no picture from elsewhere."""

from __future__ import annotations

from baton_reasoning.core.batch.reporting import charts, figures, tables
from baton_reasoning.core.batch.reporting.failures import FailureAnalysis
from baton_reasoning.core.batch.reporting.report import Report
from baton_reasoning.core.export.html_template import markup, render
from baton_reasoning.core.table import Column, Table

MOST_FAILURES = 500
"""Answers listed; results.jsonl has all."""


def html_report(report: Report, analysis: FailureAnalysis | None = None) -> str:
    """Render the page (resources/templates/report.html). Text from models and files is escaped.

    `analysis`: of all arms; without it the page has no list of failed answers.
    """
    return render(
        "report.html",
        report=report,
        sentence=tables.sentence(report),
        heading=tables.heading(report),
        main_tables=tables.main_tables(report),
        more_tables=tables.more_tables(report),
        notes=tables.notes(report),
        share=markup(charts.scatter_chart(charts.accuracy_against_share(report))),
        takeovers=[
            (arm.title, markup(charts.takeovers_by_reason(arm)))
            for arm in report.arms
            if arm.takeovers and arm.small_tokens
        ],
        analysis=analysis,
        takeover_table=takeover_table(analysis) if analysis and analysis.takeovers else None,
        worth=markup(charts.worth_by_cue(analysis.takeovers)) if analysis and analysis.has_worth else "",
        failure_table=failure_table(analysis, MOST_FAILURES) if analysis and analysis.failures else None,
    )


def takeover_table(analysis: FailureAnalysis) -> Table:
    """Return the takeovers by reason and cue, with the outcomes of the answers that contain them, and their worth."""
    titles = ("takeovers", "right answers", "wrong answers", *(figures.WORTH_TITLES if analysis.has_worth else ()))
    rows = tuple(
        (
            group.reason,
            group.cue,
            *(f"{count:,}" for count in (group.takeovers, group.right, group.wrong)),
            *(figures.worth_cells(group.worth, group.takeovers) if analysis.has_worth else ()),
        )
        for group in analysis.takeovers
    )
    columns = (Column("reason", is_number=False), Column("cue", is_number=False), *map(Column, titles))
    return Table("Takeovers by reason and cue", columns, rows)


def failure_table(analysis: FailureAnalysis, most: int) -> Table:
    """Return the first answers that are not right, with what is known of them."""
    titles = ("problem", "arm", "seed", "group", "what is known", "note")
    rows = tuple(
        (each.problem.id, each.row.arm, f"{each.row.seed}", each.kind.value, each.detail, each.row.note)
        for each in analysis.failures[:most]
    )
    left = len(analysis.failures) - len(rows)
    notes = (f"{left:,} more are in results.jsonl.",) if left else ()
    return Table("Failed answers", tuple(Column(title, is_number=False) for title in titles), rows, notes)
