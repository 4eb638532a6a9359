"""Reads Parquet, the format of most data sets on the Hub; needs the extra `parquet` (pyarrow)."""

from collections.abc import Iterator

from baton_reasoning.core.batch.reading.record import Record, Rejected, Value, within_limits
from baton_reasoning.core.batch.reading.source import FILE_LIMIT, ProblemSource
from baton_reasoning.core.errors import ProblemFileError
from baton_reasoning.core.version import how_to_install

ROWS_AT_ONCE = 32
"""So few because a row may have texts of hundreds of MiB."""


def read(source: ProblemSource) -> Iterator[Record | Rejected]:
    """Yield a record for each row; lines are the rows' numbers.

    Raises ProblemFileError without pyarrow, or when the file is broken or unpacks to too much.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ProblemFileError(
            f"{source.name} is a Parquet file, and the package that reads it is not installed.",
            how_to_install("parquet"),
        ) from error
    too_large = ProblemFileError(f"{source.name} unpacks to more than {FILE_LIMIT // 2**20} MiB.", "Split it first.")
    number = unpacked = 0
    try:
        file = pyarrow.parquet.ParquetFile(pyarrow.BufferReader(source.data))
        if sum(file.metadata.row_group(group).total_byte_size for group in range(file.num_row_groups)) > FILE_LIMIT:
            raise too_large
        columns = [file.schema.column(number) for number in range(len(file.schema))]
        texts = [column.path for column in columns if column.logical_type.type in ("STRING", "NONE")]
        # A text that a thousand rows share is one in the file; as a dictionary it stays one until its row is read.
        file = pyarrow.parquet.ParquetFile(pyarrow.BufferReader(source.data), read_dictionary=texts)
        for batch in file.iter_batches(batch_size=ROWS_AT_ONCE):
            for fields in batch.to_pylist():
                number += 1
                if (unpacked := unpacked + _size(fields)) > FILE_LIMIT:
                    raise too_large
                yield within_limits(Record(number, fields))
    except (pyarrow.ArrowException, OSError, ValueError, ArithmeticError) as error:
        # Not all errors of pyarrow are its own: an unknown codec is an OSError, a date after 9999 an OverflowError.
        raise ProblemFileError(f"{source.name} is a damaged Parquet file.", "Download it again.") from error


def _size(value: Value) -> int:
    """Count the characters of a value, and one for everything that is no text."""
    match value:
        case str():
            return len(value)
        case list():
            return sum(map(_size, value))
        case dict():
            return sum(map(_size, value.values()))
    return 1
