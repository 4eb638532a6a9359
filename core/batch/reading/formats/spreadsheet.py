"""The first sheet of an Excel workbook (.xlsx): text and numbers, read with the standard library alone.

A workbook is a zip archive of XML (ECMA-376, part 1, section 18): the names of its sheets, the texts that cells share,
their number formats, and the cells of each sheet. Formulas count as the value that was saved with them.
"""

import re
import zipfile
import zlib
from collections.abc import Iterator
from io import BytesIO
from xml.etree import ElementTree

from core.batch.reading.formats.delimited import rows_below_header
from core.batch.reading.row import Record, Rejected
from core.batch.reading.source import FILE_LIMIT, ProblemSource
from core.errors import ProblemFileError

PART_LIMIT = 32 * 2**20
"""Most bytes of one part of the archive, unpacked; as XML in memory it takes some ten times as much."""
_MOST_COLUMNS = 16_384
_BUILT_IN_DATES = frozenset([*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)])
"""Number formats of dates and times (section 18.8.30)."""
_OUTSIDE_FORMAT = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]')
_SAVE_AS_CSV = "Save the sheet as CSV (UTF-8), and choose that file."
_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, EOFError, ElementTree.ParseError, KeyError, IndexError, ValueError, OSError),
    *(NotImplementedError, RuntimeError),  # a way to pack that zipfile does not know; an archive with a password
)


class _IsADate(ValueError):
    """Its cell holds a number of days, which only a spreadsheet shows as a date."""


def read(source: ProblemSource) -> Iterator[Record | Rejected]:
    """A row for each record of the first sheet that is not hidden; the first one names the columns as in a CSV file.

    Raises ProblemFileError for a file that is no workbook, is damaged, or unpacks to too much.
    """
    try:
        workbook = _Workbook(source)
        records = list(workbook.rows())
    except _DAMAGED as error:
        raise ProblemFileError(f"{source.name} cannot be read as an Excel workbook.", _SAVE_AS_CSV) from error
    yield from rows_below_header(records, source)


class _Workbook:
    def __init__(self, source: ProblemSource) -> None:
        self._name = source.name
        self._archive = zipfile.ZipFile(BytesIO(source.data))
        parts = {element.get("Id"): element.get("Target", "") for element in self._xml("xl/_rels/workbook.xml.rels")}
        sheets = [element for element in self._xml("xl/workbook.xml").iter() if _tag(element) == "sheet"]
        sheet = sorted(sheets, key=lambda each: each.get("state", "visible") != "visible")[0]
        target = parts[next((value for name, value in sheet.items() if name.endswith("}id")), "")]
        self._sheet = target.removeprefix("/") if target.startswith("/") else f"xl/{target}"
        if len(sheets) > 1:
            source.remarks.append(f"{source.label}: only the sheet “{sheet.get('name', '')}” was read.")
        self._texts = [_text(item) for item in self._optional_xml("xl/sharedStrings.xml")]
        self._dates = self._date_styles()

    def rows(self) -> Iterator[tuple[int, list[str]] | Rejected]:
        size = 0
        for number, row in enumerate((each for each in self._xml(self._sheet).iter() if _tag(each) == "row"), start=1):
            line = int(row.get("r", number))
            cells: list[str] = []
            try:
                for cell in row:
                    at = _column(cell.get("r", "")) or len(cells) + 1
                    cells += [""] * (at - len(cells) - 1) + [self._value(cell)]
            except _IsADate:
                yield Rejected(line, f"The cell {cell.get('r', '')} is a date or a time; format the column as text.")
                continue
            while cells and not cells[-1].strip():  # cells that have a colour but no content
                cells.pop()
            # A text that many cells share is one in the file.
            if (size := size + sum(map(len, cells)) + len(cells)) > FILE_LIMIT:
                raise self._too_large()
            if cells:
                yield line, cells

    def _value(self, cell: ElementTree.Element) -> str:
        kind, value = cell.get("t", "n"), next((each.text or "" for each in cell if _tag(each) == "v"), "")
        if kind == "inlineStr":
            return "".join(_text(each) for each in cell)
        if kind == "s":
            return self._texts[int(value)]
        if kind == "b":
            return "TRUE" if value == "1" else "FALSE"
        if kind != "n" or not value:
            return value
        if int(cell.get("s", 0)) in self._dates:
            raise _IsADate
        return f"{float(value):.15g}"  # as many digits as Excel shows and saves as CSV

    def _date_styles(self) -> set[int]:
        """The styles of cells that show a number as a date or time, by their index."""
        styles = self._optional_xml("xl/styles.xml")
        own = {
            int(each.get("numFmtId", 0)): _OUTSIDE_FORMAT.sub("", each.get("formatCode", "")).lower()
            for each in styles.iter()
            if _tag(each) == "numFmt"
        }
        dates = _BUILT_IN_DATES | {number for number, code in own.items() if re.search("[ymdhs]", code)}
        formats = next((each for each in styles if _tag(each) == "cellXfs"), ())
        return {index for index, each in enumerate(formats) if int(each.get("numFmtId", 0)) in dates}

    def _optional_xml(self, part: str) -> ElementTree.Element:
        return self._xml(part) if part in self._archive.namelist() else ElementTree.Element("none")

    def _xml(self, part: str) -> ElementTree.Element:
        with self._archive.open(part) as packed:
            data = packed.read(PART_LIMIT + 1)
        if len(data) > PART_LIMIT:
            raise self._too_large()
        if b"<!DOCTYPE" in data or b"<!ENTITY" in data:  # a workbook has none; entities could unpack without end
            raise ValueError
        return ElementTree.fromstring(data)

    def _too_large(self) -> ProblemFileError:
        return ProblemFileError(f"{self._name} unpacks to more than {PART_LIMIT // 2**20} MiB.", _SAVE_AS_CSV)


def _tag(element: ElementTree.Element) -> str:
    """Without its namespace, of which there are two: transitional and strict."""
    return element.tag.rpartition("}")[2]


def _text(item: ElementTree.Element) -> str:
    """All of a text and its formatted runs, without the pronunciation that Japanese texts may have (rPh)."""
    if _tag(item) == "rPh":
        return ""
    return (item.text or "" if _tag(item) == "t" else "") + "".join(map(_text, item))


def _column(reference: str) -> int:
    """3 for `C7`; 0 for a cell without a reference."""
    number = 0
    for letter in reference.rstrip("0123456789"):
        number = number * 26 + ord(letter) - ord("A") + 1
    if not 0 <= number <= _MOST_COLUMNS:
        raise ValueError(reference)
    return number
