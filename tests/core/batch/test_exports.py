"""What a model wrote never runs as a formula in a spreadsheet."""

import csv
from pathlib import Path

import pytest

from core.batch.exports import Cell, safe_cell, safe_row, write_csv


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
    ],
)
def test_text_that_could_run_gets_an_apostrophe(cell: str) -> None:
    assert safe_cell(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", [-5, 3.5, True, None, "-5", "+5", "-1.5e-3", "-.5", "x = 1", "", "5-3", r"\boxed{-5}"])
def test_numbers_and_plain_text_stay_as_they_are(cell: Cell) -> None:
    assert safe_cell(cell) is cell


def test_a_row_is_made_safe_cell_by_cell() -> None:
    assert safe_row(["=1", 2, "three"]) == ["'=1", 2, "three"]


def test_a_written_file_reads_back_with_quotes_line_breaks_and_umlauts(tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    write_csv(path, ["id", "=answer"], [["1", 'He said "Größe"\nand left'], ["2", "=2"], ["3", -3]])
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [["id", "'=answer"], ["1", 'He said "Größe"\nand left'], ["2", "'=2"], ["3", "-3"]]
