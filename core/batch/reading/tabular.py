"""Reads tables: delimited text, Markdown, Excel (extra `xlsx`: openpyxl) and Parquet (extra `parquet`: pyarrow)."""

from __future__ import annotations

import csv
import re
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, time
from io import BytesIO, StringIO
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from baton_reasoning.core.batch.reading.columns import is_known_name
from baton_reasoning.core.batch.reading.source import FILE_LIMIT, ProblemSource, Record, Rejected, Value
from baton_reasoning.core.errors import ProblemFileError
from baton_reasoning.core.version import how_to_install

if TYPE_CHECKING:
    from openpyxl.worksheet._read_only import ReadOnlyWorksheet

Row = tuple[int, list[str]]
"""The line number of a row, and its cells."""
UNPACKED_LIMIT = 64 * 2**20
"""Most bytes of all parts of a workbook, unpacked; as XML in memory a part may take some ten times as much."""
_LONGEST_NAME = 80
_ROWS_ABOVE_HEADER = 10
_MARKDOWN_DASHES = re.compile(r"\s*\|?(?:\s*:?-+:?\s*\|)+(?:\s*:?-+:?)?\s*$")
_MARKDOWN_BAR = re.compile(r"(?<!\\)\|")
_SAVE_AS_CSV = "Save the sheet as CSV (UTF-8), and choose that file."

# csv's own limit holds for the whole process and breaks a long field in two.
csv.field_size_limit(FILE_LIMIT)


class Sample(NamedTuple):
    """The lines of a text from its header on, and its first rows, split at the likeliest delimiter."""

    lines: list[str]
    delimiter: str
    rows: list[list[str]]
    above: int
    """Lines above the header: a title, a comment, or Excel's `sep=;`."""

    @classmethod
    def of(cls, text: str) -> Sample:
        """Choose the delimiter with which most of the first rows have as many fields as the first one."""
        lines = list(StringIO(text.rstrip("\n")))  # not splitlines(): a form feed and its like are parts of a field
        delimiters = ",\t;" if tables_in(lines[:1000]) else ",\t;|"
        above = max(_lines_above_header(lines, delimiter) for delimiter in delimiters)
        lines = lines[above:]

        def with_delimiter(delimiter: str) -> Sample:
            rows = islice(csv.reader(lines[:1000], delimiter=delimiter), 50)
            return cls(lines, delimiter, [cells for cells in rows if cells], above)

        def score(sample: Sample) -> tuple[float, int]:
            widths = [len(cells) for cells in sample.rows]
            is_formula = sample.delimiter == "|" and not any(map(is_known_name, sample.rows[0]))  # |x|
            if widths[0] == 1 or is_formula:
                return 0.0, 0
            return round(widths.count(widths[0]) / len(widths), 1), widths[0]

        return max(map(with_delimiter, delimiters), key=score)

    def has_header(self) -> bool:
        """Tell whether the first row names columns by usual names; one alone above blank lines is a heading."""
        names = self.rows[0]
        is_heading = len(names) == 1 and any(not line.strip() for line in self.lines)
        return any(map(is_known_name, names)) and all(map(_could_be_a_name, names)) and not is_heading

    def may_be_table(self) -> bool:
        """Tell whether several rows have the same width, and the first could be names of columns."""
        widths = {len(row) for row in self.rows}
        return len(self.rows) > 1 and len(widths) == 1 and widths != {1} and all(map(_could_be_a_name, self.rows[0]))


def _lines_above_header(lines: Sequence[str], delimiter: str) -> int:
    """Count the lines with one value each above the first line of several that has the name of a column."""
    for above, line in enumerate(lines[:_ROWS_ABOVE_HEADER]):
        cells = next(csv.reader([line], delimiter=delimiter), [])
        if sum(bool(cell.strip()) for cell in cells) > 1:
            return above if any(map(is_known_name, cells)) and all(map(_could_be_a_name, cells)) else 0
    return 0


def read_delimited(source: ProblemSource) -> Iterator[Record | Rejected]:
    """Yield the rows of values separated by comma, semicolon, tab or bar, quoted as in RFC 4180.

    Raises ProblemFileError where quotes do not match up: what follows could be read in more than one way.
    """
    sample = Sample.of(source.text)
    reader = csv.reader(sample.lines, delimiter=sample.delimiter, strict=True)
    first = sample.above + 1

    def rows() -> Iterator[Row]:
        nonlocal first
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield first, cells
            first = sample.above + reader.line_num + 1

    try:
        yield from _below_header(rows())
    except csv.Error as error:
        raise ProblemFileError(
            f"{source.name} cannot be read: the quotes of the row in line {first} do not match up.",
            "Write a quote inside a quoted field twice.",
        ) from error


def tables_in(lines: Sequence[str]) -> list[range]:
    """Find the tables of a Markdown text: names, a line of dashes, and rows, each with a bar."""
    found: list[range] = []
    for at in range(1, len(lines)):
        if _MARKDOWN_DASHES.match(lines[at]) and "|" in lines[at - 1] and not (found and at <= found[-1].stop):
            end = next((end for end in range(at + 1, len(lines)) if "|" not in lines[end]), len(lines))
            found.append(range(at - 1, end))
    return found


def markdown_rows(text: str) -> list[Row]:
    """Return the rows of a text that is one table, perhaps below a heading; none for any other."""
    lines = text.split("\n")
    tables = tables_in(lines)
    if len(tables) != 1 or any(
        line.strip() and not line.startswith("#") for at, line in enumerate(lines) if at not in tables[0]
    ):
        return []
    names, _, *rows = tables[0]
    inside = ((at, lines[at].strip().removeprefix("|").removesuffix("|")) for at in (names, *rows))
    return [(at + 1, [cell.strip().replace("\\|", "|") for cell in _MARKDOWN_BAR.split(row)]) for at, row in inside]


def read_markdown_table(source: ProblemSource) -> Iterator[Record | Rejected]:
    """Yield the rows of a text that is one table."""
    (_, names), *rows = markdown_rows(source.text)
    yield from _below_header(rows, _unique(names))


def read_workbook(source: ProblemSource) -> Iterator[Record | Rejected]:
    """Yield the rows of the first visible sheet with a header. Formulas count as their saved value.

    Raises ProblemFileError without openpyxl, or for a file that is no workbook, is damaged, or unpacks to too much.
    """
    try:
        import openpyxl
    except ImportError as error:
        raise _without_package(source, "an Excel workbook", extra="xlsx") from error
    try:
        with zipfile.ZipFile(BytesIO(source.data)) as archive:
            # zipfile unpacks no part to more than the size that the archive gives for it.
            is_too_large = sum(part.file_size for part in archive.infolist()) > UNPACKED_LIMIT
        if not is_too_large:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about styles and extensions, which hold no problem
                book = openpyxl.load_workbook(BytesIO(source.data), read_only=True, data_only=True, keep_links=False)
                title, rows = _first_table([sheet for sheet in book.worksheets if sheet.sheet_state == "visible"])
    except Exception as error:  # openpyxl raises whatever comes of a damaged part
        raise ProblemFileError(
            f"{source.name} is damaged or protected by a password, or no Excel workbook.", _SAVE_AS_CSV
        ) from error
    if is_too_large:
        raise ProblemFileError(f"{source.name} unpacks to more than {UNPACKED_LIMIT // 2**20} MiB.", _SAVE_AS_CSV)
    if len(book.sheetnames) > 1:
        source.remarks.append(f"{source.name}: only the sheet “{title}” was read.")
    yield from _below_header(rows)


def read_parquet(source: ProblemSource) -> Iterator[Record | Rejected]:
    """Yield a record for each row; lines are the rows' numbers.

    Raises ProblemFileError without pyarrow, or when the file is damaged.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise _without_package(source, "a Parquet file", extra="parquet") from error
    number = 0
    try:
        file = pyarrow.parquet.ParquetFile(pyarrow.BufferReader(source.data))
        for batch in file.iter_batches(batch_size=32):  # so few because a row may have texts of hundreds of MiB
            for fields in batch.to_pylist():
                number += 1
                yield Record(number, {name: _as_json(value, name, source) for name, value in fields.items()})
    except (pyarrow.ArrowException, OSError, ValueError, ArithmeticError) as error:
        # Not all errors of pyarrow are its own: an unknown codec is an OSError, a date after 9999 an OverflowError.
        raise ProblemFileError(f"{source.name} is a damaged Parquet file.", "Download it again.") from error


def _as_json(value: Any, column: str, source: ProblemSource) -> Value:
    """Convert a value of Parquet to one of JSON: dates and times to ISO 8601, bytes to their text if they are UTF-8."""
    match value:
        case None | str() | bool() | int() | float():
            return value
        case dict():
            return {name: _as_json(each, column, source) for name, each in value.items()}
        case list() | tuple():
            return [_as_json(each, column, source) for each in value]
        case date() | time():
            return value.isoformat().removesuffix("T00:00:00")
        case bytes():
            try:
                return value.decode()
            except UnicodeDecodeError:
                remark = f"{source.name}: the bytes in “{column}” are no text, and were not taken."
                if remark not in source.remarks:
                    source.remarks.append(remark)
                return None
    return str(value)


def _without_package(source: ProblemSource, kind: str, extra: str) -> ProblemFileError:
    message = f"{source.name} is {kind}, and the package that reads it is not installed."
    return ProblemFileError(message, how_to_install(extra))


def _below_header(rows: Iterable[Row | Rejected], header: Sequence[str] = ()) -> Iterator[Record | Rejected]:
    """Yield a record for each row; without a `header` the first names the columns, unless it looks like data."""
    for row in rows:
        if isinstance(row, Rejected):
            yield row
            continue
        line, cells = row
        if not header and _is_header(cells):
            header = _unique(cells)
            continue
        header = header or [f"column {number}" for number in range(1, len(cells) + 1)]
        if len(cells) > len(header):
            yield Rejected(line, f"The row has {len(cells)} fields, the header {len(header)}.")
        else:
            yield Record(line, dict(zip(header, cells, strict=False)))


def _is_header(cells: list[str]) -> bool:
    """Tell whether a row names columns: one of its cells is a usual name, or all of several could be names."""
    return any(map(is_known_name, cells)) or (len(cells) > 1 and all(map(_could_be_a_name, cells)))


def _could_be_a_name(cell: str) -> bool:
    cell = cell.strip()
    return len(cell) <= _LONGEST_NAME and not cell.endswith(("?", ".")) and not cell[:1].isdigit()


def _unique(cells: list[str]) -> list[str]:
    """Return unique column names: an empty or repeated one gets its column number."""
    names: list[str] = []
    for number, name in enumerate(map(str.strip, cells), start=1):
        names.append(name if name and name not in names else f"{name or 'column'} {number}")
    return names


def _first_table(sheets: list[ReadOnlyWorksheet]) -> tuple[str, list[Row | Rejected]]:
    """Return the title of the first sheet with a header and its rows from there, else those of the first with rows."""
    tables = [(sheet.title, list(_sheet_rows(sheet))) for sheet in sheets]
    for title, rows in tables:
        for place, row in enumerate(rows[:_ROWS_ABOVE_HEADER]):
            if not isinstance(row, Rejected) and any(map(is_known_name, row[1])):
                return title, rows[place:]
    return next((each for each in tables if each[1]), tables[0])


def _sheet_rows(sheet: ReadOnlyWorksheet) -> Iterator[Row | Rejected]:
    """Yield each row that is not empty; reject one with a date, whose number would be wrong."""
    sheet.reset_dimensions()  # some programs write wrong ones
    rows: Iterable[tuple[Any, ...]] = sheet.rows  # its type has merged cells, too, which it never reads
    for number, row in enumerate(rows, start=1):
        if bad := next((cell for cell in row if cell.is_date or cell.data_type == "e"), None):
            yield Rejected(number, f"The cell {bad.coordinate} is a date or an error; format it as text or correct it.")
            continue
        cells = [_cell_text(cell.value) for cell in row]
        while cells and not cells[-1].strip():  # cells that have a colour but no content
            cells.pop()
        if cells:
            yield number, cells


def _cell_text(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).upper()
        case float():
            return f"{value:.15g}"  # as many digits as Excel shows and saves as CSV
    return str(value)
