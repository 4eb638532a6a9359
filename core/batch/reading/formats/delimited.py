"""Reads values separated by comma, semicolon or tab, quoted as in RFC 4180."""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from io import StringIO
from itertools import islice

from baton_reasoning.core.batch.reading.columns import is_known_name
from baton_reasoning.core.batch.reading.record import Record, Rejected, within_limits
from baton_reasoning.core.batch.reading.source import FILE_LIMIT, ProblemSource
from baton_reasoning.core.errors import ProblemFileError

_DELIMITERS = (",", ";", "\t")
_SAMPLE_ROWS = 50
_LONGEST_HEADER = 80

# csv's own limit holds for the whole process and breaks a long field in two. Rows check theirs later.
csv.field_size_limit(FILE_LIMIT)


def read(source: ProblemSource) -> Iterator[Record | Rejected]:
    """Yield the records. The first row names the columns unless it looks like data.

    Raises ProblemFileError when there is no record at all.
    """
    lines = _lines(source.text)
    delimiter = _guess_delimiter(lines, preferred="\t" if source.suffix == ".tsv" else ",")
    yield from rows_below_header(_rows(lines, delimiter, source), source)


def is_table(text: str) -> bool:
    """Tell whether a text is a table: its first row names columns, by usual names or above rows of the same width."""
    lines = _lines(text)
    rows = _sample(lines, _guess_delimiter(lines, preferred=","))
    if not rows or not is_header(rows[0]) or not all(map(_could_be_a_name, rows[0])):
        return False
    return any(map(is_known_name, rows[0])) or (len(rows) > 1 and len(set(map(len, rows))) == 1)


def rows_below_header(
    records: Iterable[tuple[int, list[str]] | Rejected], source: ProblemSource
) -> Iterator[Record | Rejected]:
    """Yield a record for each row, given as line and cells; the first names the columns unless it looks like data.

    Raises ProblemFileError when there is no record at all.
    """
    header: list[str] | None = None
    for record in records:
        if isinstance(record, Rejected):
            yield record
            continue
        line, cells = record
        if header is None:
            if is_header(cells):
                header = _unique(cells)
                continue
            header = [f"column {number}" for number in range(1, len(cells) + 1)]
        if len(cells) > len(header):
            yield Rejected(line, f"The row has {len(cells)} fields, the header {len(header)}.")
            continue
        yield within_limits(Record(line, dict(zip(header, cells, strict=False))))
    if header is None:
        raise ProblemFileError(f"{source.name} has no rows that can be read.", "Check its quotes.")


def _lines(text: str) -> list[str]:
    return list(StringIO(text))  # not splitlines(): a form feed and its like are parts of a field


def _rows(lines: list[str], delimiter: str, source: ProblemSource) -> Iterator[tuple[int, list[str]]]:
    """Yield each row that is not empty with the number of its first line.

    Raises ProblemFileError where quotes do not match up: what follows could be read in more than one way.
    """
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    first = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield first, cells
            first = reader.line_num + 1
    except csv.Error as error:
        raise ProblemFileError(
            f"{source.name} cannot be read: the quotes of the row in line {first} do not match up.",
            "Write a quote inside a quoted field twice.",
        ) from error


def _guess_delimiter(lines: list[str], preferred: str) -> str:
    """Find the delimiter with which most of the first rows have as many fields as the first one."""

    def score(delimiter: str) -> tuple[float, bool, int]:
        widths = [len(cells) for cells in _sample(lines, delimiter)]
        if not widths or widths[0] == 1:
            return (0.0, delimiter == preferred, 0)
        agreeing = Counter(widths)[widths[0]] / len(widths)
        return (round(agreeing, 1), delimiter == preferred, widths[0])

    return max(_DELIMITERS, key=score)


def _sample(lines: list[str], delimiter: str) -> list[list[str]]:
    return [cells for cells in islice(csv.reader(lines[:1000], delimiter=delimiter), _SAMPLE_ROWS) if cells]


def is_header(cells: list[str]) -> bool:
    """Tell whether a row names columns: one of its cells is a usual name, or all of several could be names."""
    if any(is_known_name(cell) for cell in cells):
        return True
    return len(cells) > 1 and all(_could_be_a_name(cell) for cell in cells)


def _could_be_a_name(cell: str) -> bool:
    cell = cell.strip()
    return len(cell) <= _LONGEST_HEADER and not cell.endswith(("?", ".")) and not cell[:1].isdigit()


def _unique(cells: list[str]) -> list[str]:
    """Name the columns by these cells; an empty or repeated name gets its number, so that no value is lost."""
    names: list[str] = []
    for number, cell in enumerate(cells, start=1):
        name = cell.strip()
        names.append(name if name and name not in names else f"{name or 'column'} {number}")
    return names
