"""The tables of the documentation are what the command beside them prints."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from tests.bench.coverage import SETTINGS, simulate
from tests.bench.coverage import row as row_of_coverage
from tests.bench.grading import row as row_of_grading
from tests.core.grading.labelled_set import figures_of, graded_by_baton, read_cases

DOCS = Path(__file__).parents[2] / "docs"
BATCH = (DOCS / "batch.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("page", "command"),
    [
        ("batch.md", "python -m tests.bench.coverage"),
        ("batch.md", "python -m tests.bench.grading"),
        ("batch.md", "python -m tests.bench.large_batch"),
        ("serve.md", "python -m tests.servers.harnesses FOLDER"),
        ("evidence.md", "baton evidence"),
        ("measurements.md", "make bench"),
    ],
)
def test_a_table_names_the_command_that_prints_it(page: str, command: str) -> None:
    assert command in (DOCS / page).read_text(encoding="utf-8")
    if found := re.search(r"-m (\S+)", command):
        assert callable(import_module(found[1]).main)


@pytest.mark.parametrize("number", [1, 2])
def test_the_table_of_coverage_is_what_the_simulation_prints(number: int) -> None:
    assert row_of_coverage(SETTINGS[number], simulate(SETTINGS[number])) in BATCH


def test_every_setting_of_the_simulation_has_its_row() -> None:
    assert [setting.title for setting in SETTINGS if f"| {setting.title} |" not in BATCH] == []


@pytest.mark.long
@pytest.mark.parametrize("part", ["second_holdout", "fourth_holdout"])
def test_the_table_of_grading_is_what_the_grader_does(part: str) -> None:
    assert row_of_grading(part, figures_of(list(graded_by_baton(read_cases(part))))) in BATCH
