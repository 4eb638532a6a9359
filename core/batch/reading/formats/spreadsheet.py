"""Reads the first visible sheet with a header of an Excel workbook (.xlsx); needs the extra `xlsx` (openpyxl)."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import TYPE_CHECKING, Any

from baton_reasoning.core.batch.reading.columns import is_known_name
from baton_reasoning.core.batch.reading.formats.delimited import is_header, rows_below_header
from baton_reasoning.core.batch.reading.record import Record, Rejected
from baton_reasoning.core.batch.reading.source import FILE_LIMIT, ProblemSource
from baton_reasoning.core.errors import ProblemFileError
from baton_reasoning.core.version import how_to_install

if TYPE_CHECKING:
    from openpyxl.worksheet._read_only import ReadOnlyWorksheet

Row = tuple[int, list[str]] | Rejected
"""The number and the texts of a row, or why it cannot be read."""
UNPACKED_LIMIT = 64 * 2**20
"""Most bytes of all parts of the archive, unpacked; as XML in memory a part may take some ten times as much."""
LOCKED = b"\xd0\xcf\x11\xe0"
"""First bytes of an OLE2 file, in which Excel wraps what it encrypts."""
_SAVE_AS_CSV = "Save the sheet as CSV (UTF-8), and choose that file."


def read(source: ProblemSource) -> Iterator[Record | Rejected]:
    """Yield a record for each row; the first names the columns as in a CSV file. Formulas count as their saved value.

    Raises ProblemFileError without openpyxl, or for a file that is no workbook, is damaged, or unpacks to too much.
    """
    try:
        import openpyxl
    except ImportError as error:
        raise ProblemFileError(
            f"{source.name} is an Excel workbook, and the package that reads it is not installed.",
            how_to_install("xlsx"),
        ) from error
    if source.data.startswith(LOCKED):
        raise ProblemFileError(f"{source.name} is protected by a password, or an old Excel file.", _SAVE_AS_CSV)
    try:
        with zipfile.ZipFile(BytesIO(source.data)) as archive:
            # zipfile unpacks no part to more than the size that the archive gives for it.
            if sum(part.file_size for part in archive.infolist()) > UNPACKED_LIMIT:
                raise _too_large(source)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about styles and extensions, which hold no problem
            workbook = openpyxl.load_workbook(BytesIO(source.data), read_only=True, data_only=True, keep_links=False)
            title, rows = _first_table([each for each in workbook.worksheets if each.sheet_state == "visible"], source)
    except ProblemFileError:
        raise
    except Exception as error:  # openpyxl raises whatever comes of a damaged part
        raise ProblemFileError(f"{source.name} cannot be read as an Excel workbook.", _SAVE_AS_CSV) from error
    if len(workbook.sheetnames) > 1:
        source.remarks.append(f"{source.label}: only the sheet “{title}” was read.")
    yield from rows_below_header(rows, source)


def _first_table(sheets: list[ReadOnlyWorksheet], source: ProblemSource) -> tuple[str, list[Row]]:
    """Return the title and rows of the first sheet with a header, else of the first that is not empty."""
    others: list[tuple[str, list[Row]]] = []
    for sheet in sheets:
        sheet.reset_dimensions()  # some programs write wrong ones
        rows = list(_rows(sheet.rows, source))
        readable = [row for row in rows if not isinstance(row, Rejected)]
        if len(readable) > 1 and not is_header(readable[0][1]) and any(map(is_known_name, readable[1][1])):
            rows.remove(readable.pop(0))  # a title above the header
        if readable and is_header(readable[0][1]):
            return sheet.title, rows
        others.append((sheet.title, rows))
    return next((each for each in others if each[1]), others[0])


def _rows(rows: Iterable[tuple[Any, ...]], source: ProblemSource) -> Iterator[Row]:
    """Yield each row of openpyxl's cells that is not empty as its number and texts; reject one with a date or error."""
    size = 0
    for number, row in enumerate(rows, start=1):
        if date := next((cell for cell in row if cell.is_date), None):
            yield Rejected(number, f"The cell {date.coordinate} is a date or a time; format the column as text.")
            continue
        if error := next((cell for cell in row if cell.data_type == "e"), None):
            yield Rejected(number, f"The cell {error.coordinate} has the error {error.value}; correct its formula.")
            continue
        cells = [_text(cell.value) for cell in row]
        while cells and not cells[-1].strip():  # cells that have a colour but no content
            cells.pop()
        # Many cells may share one text of the file.
        if (size := size + sum(map(len, cells)) + len(cells)) > FILE_LIMIT:
            raise _too_large(source)
        if cells:
            yield number, cells


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).upper()
        case int() | float():
            return f"{value:.15g}"  # as many digits as Excel shows and saves as CSV
    return str(value)


def _too_large(source: ProblemSource) -> ProblemFileError:
    return ProblemFileError(f"{source.name} unpacks to more than {UNPACKED_LIMIT // 2**20} MiB.", _SAVE_AS_CSV)
