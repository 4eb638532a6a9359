"""The first sheet of an Excel workbook is read; a damaged, hostile or ambiguous one is refused in a sentence."""

from __future__ import annotations

import sys
import zipfile
from datetime import date
from io import BytesIO
from pathlib import Path

import openpyxl
import pytest
from openpyxl.styles import PatternFill

from baton_reasoning.core.errors import ProblemFileError
from tests.core.batch.files import read, texts

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
UNKNOWN_TEXT = '<sheetData><row r="1"><c r="A1" t="s"><v>9</v></c></row></sheetData>'
ENTITIES = '<!ENTITY e0 "0123456789">' + "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
"""The last one unpacks to ten billion characters."""

CellValue = str | float | date | None


def workbook(*rows: tuple[CellValue, ...], formats: dict[str, str] | None = None) -> bytes:
    """A hidden sheet before the one with these rows. `formats`: number formats by cell."""
    book = openpyxl.Workbook()
    notes, sums = book.active, book.create_sheet("Sums")
    assert notes is not None
    notes.title, notes.sheet_state = "Notes", "hidden"
    for row in (("Frage", None, "Antwort"), *rows):
        sums.append(row)
    for cell, code in (formats or {}).items():
        sums[cell].number_format = code
    sums["F9"].fill = PatternFill("solid", "FF0000")
    book.save(packed := BytesIO())
    return packed.getvalue()


def with_part(name: str, content: str) -> bytes:
    """A workbook with another text for one of its parts."""
    packed = BytesIO()
    with zipfile.ZipFile(BytesIO(workbook(("Why?", None, 1)))) as old, zipfile.ZipFile(packed, "w") as new:
        for each in old.namelist():
            new.writestr(each, content if each == name else old.read(each))
    return packed.getvalue()


@pytest.mark.parametrize(
    ("cell", "expected"),
    [(4, "4"), (0.1 + 0.2, "0.3"), ("\\frac{1}{2}", "\\frac{1}{2}"), (True, "TRUE"), (None, None)],
)
def test_texts_and_numbers_are_read_as_a_sheet_shows_them(
    tmp_path: Path, cell: CellValue, expected: str | None
) -> None:
    found = read(tmp_path, "sums.xlsx", workbook((None,), ("What is 2 + 2?", None, cell)))
    (problem,) = found.problems
    assert (problem.text, problem.expected, problem.source_line) == ("What is 2 + 2?", expected, 3)
    assert (found.rejected, found.notes) == ((), ("sums.xlsx: only the sheet “Sums” was read.",))


@pytest.mark.parametrize(
    "sheets",
    [
        [(), (("Questions of 2026",),), (("Frage", "Antwort"), ("What is the sum of 2 and 2?", 4))],
        [(("Sums of 2026",), (), ("Question", "Answer"), ("What is the sum of 2 and 2?", 4))],
        [(), (("What is the sum of 2 and 2?",),)],
    ],
    ids=["the first sheet with a header", "a title above the header", "no header"],
)
def test_the_rows_of_the_first_sheet_with_a_header_are_read(
    tmp_path: Path, sheets: list[tuple[tuple[CellValue, ...], ...]]
) -> None:
    book = openpyxl.Workbook()
    for number, rows in enumerate(sheets):
        sheet = book.create_sheet(f"Sums {number}", number)
        for row in rows:
            sheet.append(row)
    book.save(packed := BytesIO())
    found = read(tmp_path, "sums.xlsx", packed.getvalue())
    assert (texts(found), found.rejected) == (["What is the sum of 2 and 2?"], ())
    assert [problem.expected for problem in found.problems] == ["4" if len(sheets[-1]) > 1 else None]
    assert found.notes == (f"sums.xlsx: only the sheet “Sums {len(sheets) - 1}” was read.",)


def test_a_row_with_an_error_is_rejected(tmp_path: Path) -> None:
    found = read(tmp_path, "sums.xlsx", workbook(("What is 1 / 0?", None, "#DIV/0!"), ("What is 2 + 2?", None, 4)))
    assert texts(found) == ["What is 2 + 2?"]
    assert [bad.reason for bad in found.rejected] == ["The cell C2 has the error #DIV/0!; correct its formula."]


def test_a_workbook_with_a_password_is_refused_as_one(tmp_path: Path) -> None:
    with pytest.raises(ProblemFileError, match=r"sums.xlsx is protected by a password, or an old Excel file. Save"):
        read(tmp_path, "sums.xlsx", b"\xd0\xcf\x11\xe0 EncryptedPackage")


def test_a_row_with_a_date_is_rejected_since_its_number_would_be_a_wrong_answer(tmp_path: Path) -> None:
    rows = (("Which day?", None, date(2024, 1, 31)), ("Which month?", None, 45_000), ("How many days?", None, 4))
    found = read(tmp_path, "sums.xlsx", workbook(*rows, formats={"C3": "yyyy\\-mm", "C4": '0.0" days"'}))
    assert texts(found) == ["How many days?"]
    reason = "The cell {} is a date or a time; format the column as text."
    assert [bad.reason for bad in found.rejected] == [reason.format("C2"), reason.format("C3")]


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04rest",
        workbook()[:-40],
        with_part("xl/worksheets/sheet2.xml", "<worksheet><sheetData><row><c"),
        with_part("xl/workbook.xml", "<workbook/>"),
        with_part("xl/worksheets/sheet2.xml", f'<worksheet xmlns="{MAIN}">{UNKNOWN_TEXT}</worksheet>'),
        with_part("xl/styles.xml", f"<!DOCTYPE x [{ENTITIES}]><x>&e9;</x>"),
    ],
)
def test_what_is_no_whole_workbook_is_refused_with_a_way_on(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ProblemFileError, match=r"cannot be read as an Excel workbook. Save the sheet as CSV"):
        read(tmp_path, "sums.xlsx", content)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("baton_reasoning.core.batch.reading.formats.spreadsheet.UNPACKED_LIMIT", 1 << 20)
    with pytest.raises(ProblemFileError, match=r"unpacks to more than 1 MiB"):
        read(tmp_path, "sums.xlsx", with_part("docProps/app.xml", " " * (2 << 20)))


def test_a_text_that_many_cells_share_fills_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("baton_reasoning.core.batch.reading.formats.spreadsheet.FILE_LIMIT", 1 << 10)
    with pytest.raises(ProblemFileError, match=r"unpacks to more than"):
        read(tmp_path, "sums.xlsx", workbook(*[("What is 2 + 2?",)] * 200))


def test_without_its_package_a_sentence_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(ProblemFileError, match=r"pip install .*\[xlsx\]"):
        read(tmp_path, "sums.xlsx", workbook())
