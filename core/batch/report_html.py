"""A report as one HTML file that needs nothing else: no script, no font, no picture from elsewhere."""

from __future__ import annotations

from html import escape

from core.batch.charts import (
    accuracy_against_share,
    accuracy_against_speed,
    places_of_takeovers,
    scatter_chart,
    takeovers_by_reason,
)
from core.batch.report import Report
from core.batch.report_text import comparisons, footnotes, heading, rows_of

_STYLE = """
body { font: 15px/1.5 Inter, Helvetica, Arial, sans-serif; color: #1b1c1f; max-width: 60rem; margin: 2rem auto }
body { padding: 0 1rem } svg { max-width: 100%; height: auto } h2 { margin-top: 2rem } .note { color: #62656d }
table { border-collapse: collapse; width: 100% } th { color: #62656d; font-weight: 500 }
th, td { padding: .4rem .6rem; border-bottom: 1px solid #e4e3df; text-align: right }
th:first-child, td:first-child { text-align: left }
"""


def html_report(report: Report) -> str:
    """The whole page. What stands in it from models or files is escaped."""
    charts = [
        f"<h3>{escape(arm.name)}</h3>{takeovers_by_reason(arm)}{places_of_takeovers(arm)}"
        for arm in report.arms
        if arm.takeovers and arm.small_tokens
    ]
    header, *rows = rows_of(report)
    lines = [f"<li>{escape(line)}</li>" for line in comparisons(report).splitlines()]
    notes = [f"<p class='note'>{escape(line)}</p>" for line in footnotes(report).splitlines()]
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{escape(report.name)}</title><style>{_STYLE}</style></head><body>
<h1>{escape(report.name)}</h1>
<p>{escape(heading(report))}</p>
<table><tr>{_row(header, "th")}</tr>
{"".join(f"<tr>{_row(cells, 'td')}</tr>" for cells in rows)}</table>
{"".join(notes)}
<p class="note">Accuracy with Wilson's interval, over scored answers. Tokens that stand; thrown away are lookaheads
and steps that were replaced. Speed is by the clock, a problem among {report.parallel} at once. Compute is
2 · parameters · tokens, read, written and thrown away.</p>
<h2>Accuracy against speed</h2>
{scatter_chart(accuracy_against_speed(report))}
<p class="note">A dashed line joins the arms that no other beats.</p>
<h2>Accuracy against large share</h2>
{scatter_chart(accuracy_against_share(report))}
<p class="note">A line joins the arms that try values of one parameter.</p>
<h2>Arms compared</h2>
<ul>{"".join(lines)}</ul>
<p class="note">p: McNemar's exact test on the same problems (with several seeds, the sign test over problems). It is
meant for one comparison: among {len(report.comparisons)}, one in twenty is below 0.05 by chance alone.</p>
<h2>Where the large model stepped in</h2>
{"".join(charts) or "<p>No takeover.</p>"}
</body></html>
"""


def _row(cells: tuple[str, ...], tag: str) -> str:
    return "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells)
