"""Writes results as CSV or JSON lines and reports as HTML, Markdown or JSON.

A new kind of file is a function and a line in `EXPORTS`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from baton_reasoning.core.batch.reporting import charts, tables
from baton_reasoning.core.batch.reporting.failures import FailureAnalysis, analyse, failure_table, takeover_table
from baton_reasoning.core.batch.reporting.report import Report
from baton_reasoning.core.batch.reporting.results import ExportedResult, Results
from baton_reasoning.core.export.formats import write_file
from baton_reasoning.core.export.html_page import render
from baton_reasoning.core.store.store import Store

NOT_IN_CSV = {"schema_version", "batch", "run", "text", "answer_start", "spans", "values", "conditions", "metadata"}
"""Fields of a result that only results.jsonl has."""


def _csv(results: Results) -> Iterator[str]:
    """Yield a row for each job, without the texts, which results.jsonl has, and safe for spreadsheets.

    The byte order mark makes Excel read it as UTF-8.
    """
    writer = csv.writer(_Echo(), lineterminator="\n")
    names = [*ExportedResult.model_fields, *ExportedResult.model_computed_fields]
    yield "\ufeff" + writer.writerow(name for name in names if name not in NOT_IN_CSV)
    for result in results.exported(with_text=False):
        cells = result.model_dump(mode="json", exclude=NOT_IN_CSV).values()
        yield writer.writerow(safe_cell(" ".join(cell) if isinstance(cell, list) else cell) for cell in cells)


def _json_lines(results: Results) -> Iterator[str]:
    """Yield an `ExportedResult` a line (docs/batch.md)."""
    return (f"{result.model_dump_json(by_alias=True)}\n" for result in results.exported())


MOST_FAILURES = 500
"""Rows of the table of an HTML report, at most; results.jsonl has all."""


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
        share=charts.share_chart(report),
        analysis=analysis,
        takeover_table=takeover_table(analysis.takeovers),
        failure_table=failure_table(analysis.failures, MOST_FAILURES),
    )


EXPORTS: dict[str, Callable[[Results], str | Iterator[str]]] = {
    ".csv": _csv,
    ".jsonl": _json_lines,
    ".html": lambda results: html_report(results.report, analyse(results.store, results.batch.id)),
    ".md": lambda results: tables.markdown_report(results.report),
    ".json": lambda results: results.report.model_dump_json(by_alias=True, indent=1),
}
"""Functions that make the text of a file, by its ending; report.json is a `Report` (docs/batch.md)."""


def export(store: Store, batch: str, path: Path) -> None:
    """Write a file of the kind that its ending names, readable by its owner alone, as `write_file` does."""
    write_file(path, EXPORTS, Results.read(store, batch))


Cell = str | int | float | bool | None

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
"""A plain signed number, which no spreadsheet runs."""
# The full-width forms count as operators in some East Asian versions of Excel; blanks, controls and the characters that
# Unicode calls default ignorable may be dropped by the program that reads the cell. Where the decimal sign is a comma,
# Excel begins another cell after each semicolon.
_UNSEEN = (
    r"[\s\0-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800"
    r"\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]*"
)
_FORMULA = re.compile(rf"{_UNSEEN}[=+\-@＝＋－＠]|[\t\r\n]")
_LATER_FORMULA = re.compile(rf"(?<=;)(?={_UNSEEN}(?:[=@＝＠]|[+\-＋－][^;]*[^\W\d_]))")
"""A sum of numbers, as in `(1;-2)`, runs nothing; a formula that runs something has a letter."""


def safe_cell(cell: Cell) -> Cell:
    """Put an apostrophe before each place in the cell where a spreadsheet could begin to run a formula."""
    if not isinstance(cell, str) or _NUMBER.fullmatch(cell):
        return cell
    cell = _LATER_FORMULA.sub("'", cell)
    return f"'{cell}" if _FORMULA.match(cell) else cell


class _Echo:
    """A file for `csv.writer`, which returns what `write` returns."""

    def write(self, line: str) -> str:
        return line
