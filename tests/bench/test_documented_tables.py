"""The tables of the documentation are what the command beside them prints."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.bench.coverage import SETTINGS, Setting, simulate
from tests.bench.grading import row as row_of_grading
from tests.core.grading.labelled_set import figures_of, graded_by_baton, read_cases

DOCS = Path(__file__).parents[2] / "docs"
BATCH = (DOCS / "batch.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("setting", SETTINGS[2:4], ids=lambda setting: setting.title)
def test_the_intervals_hold_the_true_value_as_often_as_the_page_says(setting: Setting) -> None:
    least, most = map(float, re.findall(r"at\s(?:least|most)\s([\d.]+)%", BATCH.partition("simulated batches")[2]))
    found = simulate(setting)
    assert round(min(found.accuracy, found.difference), 1) >= least
    assert setting.gain or round(found.rejected, 1) <= most


@pytest.mark.long
@pytest.mark.parametrize("part", ["second_holdout", "fourth_holdout"])
def test_the_table_of_grading_is_what_the_grader_does(part: str) -> None:
    assert row_of_grading(part, figures_of(list(graded_by_baton(read_cases(part))))) in BATCH
