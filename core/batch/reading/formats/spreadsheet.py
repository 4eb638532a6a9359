"""Reads the first visible sheet of an Excel workbook (.xlsx); needs the extra `xlsx` (openpyxl)."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Any

from core.batch.reading.formats.delimited import rows_below_header
from core.batch.reading.record import Record, Rejected
from core.batch.reading.source import FILE_LIMIT, ProblemSource
from core.errors import ProblemFileError
from core.version import how_to_install

UNPACKED_LIMIT = 64 * 2**20
"""Most bytes of all parts of the archive, unpacked; as XML in memory a part may take some ten times as much."""
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
    try:
        with zipfile.ZipFile(BytesIO(source.data)) as archive:
            # zipfile unpacks no part to more than the size that the archive gives for it.
            if sum(part.file_size for part in archive.infolist()) > UNPACKED_LIMIT:
                raise _too_large(source)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about styles and extensions, which hold no problem
            workbook = openpyxl.load_workbook(BytesIO(source.data), read_only=True, data_only=True, keep_links=False)
            sheet = next(each for each in workbook.worksheets if each.sheet_state == "visible")
            sheet.reset_dimensions()  # some programs write wrong ones
            rows = list(_rows(sheet.rows, source))
    except ProblemFileError:
        raise
    except Exception as error:  # openpyxl raises whatever comes of a damaged part
        raise ProblemFileError(f"{source.name} cannot be read as an Excel workbook.", _SAVE_AS_CSV) from error
    if len(workbook.sheetnames) > 1:
        source.remarks.append(f"{source.label}: only the sheet “{sheet.title}” was read.")
    yield from rows_below_header(rows, source)


def _rows(rows: Iterable[tuple[Any, ...]], source: ProblemSource) -> Iterator[tuple[int, list[str]] | Rejected]:
    """Yield each row of openpyxl's cells that is not empty as its number and texts; reject one with a date."""
    size = 0
    for number, row in enumerate(rows, start=1):
        if date := next((cell for cell in row if cell.is_date), None):
            yield Rejected(number, f"The cell {date.coordinate} is a date or a time; format the column as text.")
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
