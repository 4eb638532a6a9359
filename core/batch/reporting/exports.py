"""Writes results as CSV or JSON lines and reports as HTML, Markdown or JSON; reads them for `baton batch again`.

A new kind of file is a function and a line in `EXPORTS`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from baton_reasoning.core.batch.reporting.failures import analyse
from baton_reasoning.core.batch.reporting.page import html_report
from baton_reasoning.core.batch.reporting.report import Report
from baton_reasoning.core.batch.reporting.results import ExportedResult, Results
from baton_reasoning.core.batch.reporting.tables import markdown_report
from baton_reasoning.core.batch.running.arms import Arm
from baton_reasoning.core.batch.running.batch import local_context
from baton_reasoning.core.errors import ProblemFileError
from baton_reasoning.core.export.formats import write_file
from baton_reasoning.core.files import read_text, sha256_of
from baton_reasoning.core.grading.verdict import How, Regex
from baton_reasoning.core.models.options import DemoModel, local_path, parse_source
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.store.batches import StoredArm
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.text import counted

NOT_IN_CSV = {"schema_version", "batch", "run", "text", "answer_start", "spans", "values", "conditions", "metadata"}
"""Fields of a result that only results.jsonl has."""


def _csv(results: Results) -> Iterator[str]:
    """Yield a row for each job, without the texts, which results.jsonl has."""
    names = [*ExportedResult.model_fields, *ExportedResult.model_computed_fields]
    rows = (result.model_dump(mode="json", exclude=NOT_IN_CSV) for result in results.exported(with_text=False))
    return csv_lines(
        [name for name in names if name not in NOT_IN_CSV],
        ([" ".join(cell) if isinstance(cell, list) else cell for cell in row.values()] for row in rows),
    )


def _json_lines(results: Results) -> Iterator[str]:
    """Yield an `ExportedResult` a line (docs/batch.md)."""
    return (f"{result.model_dump_json(by_alias=True)}\n" for result in results.exported())


EXPORTS: dict[str, Callable[[Results], str | Iterator[str]]] = {
    ".csv": _csv,
    ".jsonl": _json_lines,
    ".html": lambda results: html_report(results.report, analyse(results.store, results.batch.id)),
    ".md": lambda results: markdown_report(results.report),
    ".json": lambda results: results.report.model_dump_json(by_alias=True, indent=1),
}
"""Functions that make the text of a file, by its ending; report.json is a `Report` (docs/batch.md)."""


def export(store: Store, batch: str, path: Path) -> None:
    """Write a file of the kind that its ending names, readable by its owner alone. Raises StoreError."""
    write_file(path, EXPORTS, Results.read(store, batch))


Cell = str | int | float | bool | None

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
"""A plain signed number, which no spreadsheet runs."""
# The full-width forms count as operators in some East Asian versions of Excel; blanks and invisible marks may
# be dropped by the program that reads the cell. Where the decimal sign is a comma, Excel begins another cell after each
# semicolon.
_UNSEEN = r"[\s\0-\x1f\xad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]*"
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


def csv_lines(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    """Yield the lines of a CSV file, safely; its byte order mark makes Excel read it as UTF-8."""
    writer = csv.writer(_Echo())
    yield "\ufeff"
    for row in chain([header], rows):
        yield writer.writerow(map(safe_cell, row))


RESULTS = "results.jsonl"


class Repetition(NamedTuple):
    """A report with the problems and arms to run it again."""

    report: Report
    problems: tuple[Problem, ...]
    arms: tuple[Arm, ...]

    @property
    def how(self) -> How | Regex:
        return Regex(self.report.pattern) if self.report.grading is How.REGEX else self.report.grading

    @property
    def context(self) -> int:
        """The context length of its local models, in tokens; 0 if there was none."""
        return local_context(self.report.small, self.report.large)

    def changed_models(self, small: str, large: str) -> list[str]:
        """Name each model file that is not the one of the report, in a sentence. Reads the files.

        `small`, `large`: the models that will run in the place of the report's own.
        """
        report = self.report
        models = [(small, DemoModel.SMALL, report.small), (large, DemoModel.LARGE, report.large)]
        models += [(name, DemoModel.SMALL, model) for name, model in report.other_smalls.items()]
        models += [(name, DemoModel.LARGE, model) for name, model in report.other_larges.items()]
        return [
            f"{name} is not the file of the report: its SHA-256 differs."
            for name, demo, model in models
            if model and model.sha256 and (path := local_path(parse_source(name, demo)))
            if (now := sha256_of(path)) and now != model.sha256
        ]


def read_repetition(path: Path) -> Repetition:
    """Read the report at this path, and the results beside it.

    Raises ProblemFileError if one of the files is missing or was not written by Baton, SettingsError for settings that
    this version cannot read.
    """
    advice = f"Name the report.json of a batch, with its {RESULTS} beside it."
    try:
        report = Report.model_validate_json(read_text(path, advice, ProblemFileError))
        with path.with_name(RESULTS).open(encoding="utf-8") as lines:  # which may be of gigabytes
            results = (ExportedResult.model_validate_json(line) for line in lines if line.strip())
            problems = {
                found.id: Problem(found.id, found.problem, found.expected, found.metadata, found.line, found.source)
                for found in results
            }
    except (ValidationError, UnicodeDecodeError) as error:
        raise ProblemFileError(f"{path} and the {RESULTS} beside it cannot be read as a report.", advice) from error
    except OSError as error:
        raise ProblemFileError(f"{error.filename} cannot be read: {error.strerror or error}.", advice) from error
    if missing := len(set(report.problem_ids) - problems.keys()):
        raise ProblemFileError(
            f"{counted(missing, 'problem')} of {path} cannot be found in the {RESULTS} beside it.",
            "Write both again: baton batch report DIR.",
        )
    arms = tuple(Arm.of(StoredArm(arm.name, arm.settings | {"sweep": arm.sweep})) for arm in report.arms)
    return Repetition(report, tuple(problems[identity] for identity in report.problem_ids), arms)
