"""What a model wrote never runs as a formula in a spreadsheet."""

from __future__ import annotations

import csv
import json

import pytest

from baton_reasoning.core.batch.reporting.exports import (
    NOT_IN_CSV,
    Cell,
    csv_lines,
    export,
    safe_cell,
)
from baton_reasoning.core.batch.running.arms import arms_of
from baton_reasoning.core.batch.running.batch import create_batch
from baton_reasoning.core.export.formats import write_file
from baton_reasoning.core.run import RunSettings
from tests.core.batch.counting import problems


@pytest.mark.parametrize(
    "cell",
    [
        "=1+1",
        '=HYPERLINK("http://example.org")',
        "+cmd|' /C calc'!A0",
        "-2+3",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "＝1",
        "-inf",
        "-x",
        "-5\n=1",
        "+1_000",
        " =1",
        "\ufeff=1",
        "\u200b\u00a0@SUM(A1)",
    ],
)
def test_text_that_could_run_gets_an_apostrophe(cell):
    assert safe_cell(cell) == f"'{cell}"


@pytest.mark.parametrize(
    ("cell", "safe"),
    [
        ("a;=cmd", "a;'=cmd"),
        ("a; \u200b@SUM(A1)", "a;' \u200b@SUM(A1)"),
        ("a;-cmd|' /C calc'!A0;b", "a;'-cmd|' /C calc'!A0;b"),
        ("=1;=2", "'=1;'=2"),
    ],
)
def test_a_formula_after_a_semicolon_which_parts_cells_in_half_of_europe_cannot_run(cell, safe):
    assert safe_cell(cell) == safe


@pytest.mark.parametrize(
    "cell",
    [
        *(-5, 3.5, True, None, "-5", "+5", "-1.5e-3", "-.5", "x = 1", "", "5-3", r"\boxed{-5}"),
        *("(1;-2)", "a; b", "[0;+1]"),
    ],
)
def test_numbers_and_plain_text_stay_as_they_are(cell):
    assert safe_cell(cell) == cell


def test_a_row_has_every_field_of_its_result_but_texts_and_lists(store, tmp_path):
    batch = create_batch(store, "counting", problems(2), arms_of(["small"], RunSettings()))
    for name in ("results.csv", "results.jsonl"):
        export(store, batch, tmp_path / name)
    rows = list(csv.DictReader((tmp_path / "results.csv").read_text("utf-8-sig").splitlines()))
    lines = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text("utf-8").splitlines()]
    for row, line in zip(rows, lines, strict=True):
        assert line.keys() - row.keys() == {"schema", *NOT_IN_CSV} - {"schema_version"}
        assert {name: cell for name, cell in row.items() if cell} == {
            name: str(line[name]) for name in row if line[name] not in ("", None, [])
        }


def test_a_written_file_reads_back_with_quotes_line_breaks_and_umlauts(tmp_path):
    path = tmp_path / "report.csv"
    rows: list[list[Cell]] = [["1", 'He said "Größe"\nand left'], ["2", "=2"], ["3", -3]]
    write_file(path, {".csv": lambda rows: csv_lines(["id", "=answer"], rows)}, rows)
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    with path.open(encoding="utf-8-sig", newline="") as file:
        read = list(csv.reader(file))
    assert read == [["id", "'=answer"], ["1", 'He said "Größe"\nand left'], ["2", "'=2"], ["3", "-3"]]
