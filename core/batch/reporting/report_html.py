"""Renders a report as one HTML file that needs nothing else: no script, no font, no picture from elsewhere."""

from __future__ import annotations

from baton_reasoning.core.batch.reporting.charts import (
    accuracy_against_share,
    accuracy_in_time,
    scatter_chart,
    takeovers_by_reason,
    worth_by_cue,
)
from baton_reasoning.core.batch.reporting.failures import FailureAnalysis, failure_table, takeover_table
from baton_reasoning.core.batch.reporting.report import Report
from baton_reasoning.core.batch.reporting.report_text import (
    comparisons,
    footnotes,
    heading,
    method_of_tests,
    tables,
    times_note,
)
from baton_reasoning.core.export.html_template import markup, render

MOST_FAILURES = 500
"""Answers listed; results.jsonl has all."""


def html_report(report: Report, analysis: FailureAnalysis | None = None) -> str:
    """Render the page (resources/templates/report.html). Text from models and files is escaped.

    `analysis`: of all arms; without it the page has no list of failed answers.
    """
    return render(
        "report.html",
        report=report,
        heading=heading(report),
        tables=tables(report),
        footnotes=footnotes(report).splitlines(),
        comparisons=comparisons(report),
        tests=method_of_tests(report),
        analysis=analysis,
        failures=failure_table(analysis.failures, MOST_FAILURES) if analysis else None,
        takeover_table=takeover_table(analysis.takeovers) if analysis else None,
        worth=markup(worth_by_cue(analysis.takeovers)) if analysis and analysis.has_worth else "",
        times_note=times_note(report),
        in_time=markup(scatter_chart(accuracy_in_time(report))),
        share=markup(scatter_chart(accuracy_against_share(report))),
        takeovers=[
            (arm.title, markup(takeovers_by_reason(arm))) for arm in report.arms if arm.takeovers and arm.small_tokens
        ],
    )
