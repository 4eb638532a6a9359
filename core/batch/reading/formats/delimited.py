"""Reads values separated by comma, semicolon, tab or bar, quoted as in RFC 4180."""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from io import StringIO
from itertools import islice

from baton_reasoning.core.batch.reading.columns import is_known_name
from baton_reasoning.core.batch.reading.record import Record, Rejected, within_limits
from baton_reasoning.core.batch.reading.source import FILE_LIMIT, ProblemSource
from baton_reasoning.core.errors import ProblemFileError

_DELIMITERS = (",", ";", "\t", "|")
_SAMPLE_ROWS = 50
_LONGEST_HEADER = 80
_MOST_PASSES = 10
"""How often all lines together may be read again after broken records: a quote that is never closed takes in every line
that follows it."""

# csv's own limit holds for the whole process and breaks a long field in two. Rows check theirs later.
csv.field_size_limit(FILE_LIMIT)


def read(source: ProblemSource) -> Iterator[Record | Rejected]:
    """Yield the records. The first row names the columns unless it looks like data.

    Raises ProblemFileError when there is no record at all.
    """
    lines = list(StringIO(source.text))  # not splitlines(): a form feed and its like are parts of a field
    delimiter = _guess_delimiter(lines, preferred="\t" if source.suffix == ".tsv" else ",")
    yield from rows_below_header(_records(lines, delimiter), source)


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


def _records(lines: list[str], delimiter: str) -> Iterator[tuple[int, list[str]] | Rejected]:
    """Yield each row with the number of its first line.

    After a broken row, reading continues with the next line, unless it reads the same lines again and again.
    """
    start = read_again = 0
    while start < len(lines):
        reader = csv.reader(islice(lines, start, None), delimiter=delimiter, strict=True)
        begin = start
        try:
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    yield begin + 1, cells
                begin = start + reader.line_num
            return
        except csv.Error as error:
            reason = (
                "A quote opens here and is never closed."
                if "end of data" in str(error)
                else f"The quotes do not match up ({error})."
            )
            yield Rejected(begin + 1, reason)
            read_again += start + reader.line_num - begin
            start = begin + 1
            if read_again > _MOST_PASSES * len(lines):
                yield Rejected(start + 1, "Too many quotes do not match up; the rest of the file was not read.")
                return


def _guess_delimiter(lines: list[str], preferred: str) -> str:
    """Find the delimiter with which most of the first rows have as many fields as the first one."""

    def score(delimiter: str) -> tuple[float, bool, int]:
        reader = csv.reader(iter(lines[:1000]), delimiter=delimiter)
        widths = [len(cells) for cells in islice(reader, _SAMPLE_ROWS) if cells]
        if not widths or widths[0] == 1:
            return (0.0, delimiter == preferred, 0)
        agreeing = Counter(widths)[widths[0]] / len(widths)
        return (round(agreeing, 1), delimiter == preferred, widths[0])

    return max(_DELIMITERS, key=score)


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
