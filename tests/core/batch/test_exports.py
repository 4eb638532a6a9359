"""What a model wrote never runs as a formula in a spreadsheet."""

import csv
from pathlib import Path

import pytest

from baton_reasoning.core.batch.reporting.exports import Cell, safe_cell, write_csv


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
def test_text_that_could_run_gets_an_apostrophe(cell: str) -> None:
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
def test_a_formula_after_a_semicolon_which_parts_cells_in_half_of_europe_cannot_run(cell: str, safe: str) -> None:
    assert safe_cell(cell) == safe


@pytest.mark.parametrize(
    "cell",
    [
        *(-5, 3.5, True, None, "-5", "+5", "-1.5e-3", "-.5", "x = 1", "", "5-3", r"\boxed{-5}"),
        *("(1;-2)", "a; b", "[0;+1]"),
    ],
)
def test_numbers_and_plain_text_stay_as_they_are(cell: Cell) -> None:
    assert safe_cell(cell) == cell


def test_a_written_file_reads_back_with_quotes_line_breaks_and_umlauts(tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    write_csv(path, ["id", "=answer"], [["1", 'He said "Größe"\nand left'], ["2", "=2"], ["3", -3]])
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [["id", "'=answer"], ["1", 'He said "Größe"\nand left'], ["2", "'=2"], ["3", "-3"]]
