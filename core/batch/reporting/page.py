"""Renders a report as one HTML file that needs nothing else: no script, no font, no picture from elsewhere."""

from __future__ import annotations

from baton_reasoning.core.batch.reporting import charts, tables
from baton_reasoning.core.batch.reporting.failures import FailureAnalysis, failure_table, takeover_table
from baton_reasoning.core.batch.reporting.report import Report
from baton_reasoning.core.export.html_template import markup, render

MOST_FAILURES = 500
"""Rows of the table, at most; results.jsonl has all."""
PHONE = (328, 260)
"""Width and height in pixels of the chart on a narrow screen, where letters of the wide one would be too small."""


def html_report(report: Report, analysis: FailureAnalysis) -> str:
    """Render the page (resources/templates/report.html). Text from models and files is escaped.

    `analysis`: of all arms.
    """
    return render(
        "report.html",
        report=report,
        sentence=tables.sentence(report),
        heading=tables.heading(report),
        main_tables=tables.main_tables(report),
        more_tables=tables.more_tables(report),
        notes=tables.notes(report),
        share=markup(charts.share_chart(report)),
        narrow_share=markup(charts.share_chart(report, *PHONE)),
        takeovers=[
            (arm.title, markup(charts.takeovers_by_reason(arm)))
            for arm in report.arms
            if arm.takeovers and arm.small_tokens
        ],
        analysis=analysis,
        takeover_table=takeover_table(analysis.takeovers),
        worth=markup(charts.worth_by_cue(analysis.takeovers)) if analysis.has_worth else "",
        failure_table=failure_table(analysis.failures, MOST_FAILURES),
    )
