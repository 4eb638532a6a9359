"""The first sheet of an Excel workbook is read; a damaged, hostile or ambiguous one is refused in a sentence."""

import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import pytest

from core.errors import ProblemFileError
from tests.core.batch.files import read, texts

MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
WORKBOOK = {
    "xl/workbook.xml": f'<workbook {MAIN} xmlns:r="{RELATIONS}"><sheets>'
    '<sheet name="Notes" state="hidden" r:id="rId2"/><sheet name="Sums" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="rId1" Target="worksheets/sheet1.xml"/><Relationship Id="rId2" Target="/xl/sheet2.xml"/>'
    "</Relationships>",
    "xl/sharedStrings.xml": f"<sst {MAIN}><si><t>Frage</t></si><si><t>Antwort</t></si>"
    "<si><r><t>What is </t></r><r><t>2 + 2?</t></r><rPh><t>nani</t></rPh></si></sst>",
    "xl/styles.xml": f'<styleSheet {MAIN}><numFmts><numFmt numFmtId="170" formatCode="yyyy\\-mm"/>'
    '<numFmt numFmtId="171" formatCode="0.0&quot; days&quot;"/></numFmts>'
    '<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="170"/><xf numFmtId="171"/></cellXfs></styleSheet>',
}
HEADER = '<row r="1"><c r="A1" t="s"><v>0</v></c><c r="C1" t="s"><v>1</v></c></row>'


def workbook(rows: str, parts: Mapping[str, str] = {}) -> bytes:
    sheet = f"<worksheet {MAIN}><sheetData>{rows}</sheetData></worksheet>"
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (WORKBOOK | {"xl/worksheets/sheet1.xml": sheet} | dict(parts)).items():
            archive.writestr(name, content)
    return packed.getvalue()


def row(number: int, answer: str) -> str:
    return f'<row r="{number}"><c r="A{number}" t="s"><v>2</v></c>{answer}</row>'


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ('<c r="C2"><v>4</v></c>', "4"),
        ('<c r="C2"><v>0.30000000000000004</v></c>', "0.3"),
        ('<c r="C2"><f>2+2</f><v>4</v></c>', "4"),
        ('<c r="C2" t="str"><f>A1</f><v>four</v></c>', "four"),
        ('<c r="C2" t="inlineStr"><is><t>\\frac{1}{2}</t></is></c>', "\\frac{1}{2}"),
        ('<c r="C2" t="b"><v>1</v></c>', "TRUE"),
        ('<c r="C2" s="3"><v>4</v></c>', "4"),
        ('<c r="C2"/>', None),
    ],
)
def test_texts_and_numbers_are_read_as_a_sheet_shows_them(tmp_path: Path, cell: str, expected: str | None) -> None:
    found = read(tmp_path, "sums.xlsx", workbook(HEADER + row(2, cell)))
    (problem,) = found.problems
    assert (problem.text, problem.expected, problem.source_line) == ("What is 2 + 2?", expected, 2)
    assert found.notes == ("sums.xlsx: only the sheet “Sums” was read.",)


@pytest.mark.parametrize("style", [1, 2])
def test_a_row_with_a_date_is_rejected_since_its_number_would_be_a_wrong_answer(tmp_path: Path, style: int) -> None:
    rows = row(2, f'<c r="C2" s="{style}"><v>45321</v></c>') + row(3, '<c r="C3"><v>4</v></c>')
    found = read(tmp_path, "sums.xlsx", workbook(HEADER + rows))
    assert texts(found) == ["What is 2 + 2?"]
    assert [bad.reason for bad in found.rejected] == [
        "The cell C2 is a date or a time; format the column as text.",
    ]


def test_coloured_cells_without_content_are_no_columns(tmp_path: Path) -> None:
    found = read(tmp_path, "sums.xlsx", workbook(HEADER + row(2, '<c r="C2"><v>4</v></c><c r="D2"/><c r="F2"/>')))
    assert (len(found.problems), found.rejected) == (1, ())


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04rest",
        b"\xd0\xcf\x11\xe0 an old or locked workbook",
        workbook(HEADER)[:-40],
        workbook("<row><c"),
        workbook('<row r="x"/>'),
        workbook('<row r="1"><c r="ZZZZZZZ1"><v>1</v></c></row>'),
        workbook(HEADER + row(2, '<c t="s"><v>99</v></c>')),
        workbook(HEADER, {"xl/workbook.xml": f"<workbook {MAIN}/>"}),
        workbook("&all;", {"xl/styles.xml": '<!DOCTYPE x [<!ENTITY all "0">]><x>&all;</x>'}),
    ],
)
def test_what_is_no_whole_workbook_is_refused_with_a_way_on(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ProblemFileError, match=r"cannot be read as an Excel workbook. Save the sheet as CSV"):
        read(tmp_path, "sums.xlsx", content)


def test_a_zip_bomb_stops_at_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.batch.reading.formats.spreadsheet.PART_LIMIT", 1 << 20)
    with pytest.raises(ProblemFileError, match=r"unpacks to more than 1 MiB"):
        read(tmp_path, "sums.xlsx", workbook(" " * (2 << 20)))


def test_a_text_that_many_cells_share_fills_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.batch.reading.formats.spreadsheet.FILE_LIMIT", 1 << 10)
    rows = "".join(row(number, "") for number in range(2, 200))
    with pytest.raises(ProblemFileError, match=r"unpacks to more than"):
        read(tmp_path, "sums.xlsx", workbook(HEADER + rows))
