"""Parquet, the format of most data sets on the Hub; needs pyarrow."""

from collections.abc import Iterator

from core.batch.row import Record, Rejected, within_limits
from core.batch.source import FILE_LIMIT, ProblemSource
from core.errors import ProblemFileError


def read(source: ProblemSource) -> Iterator[Record | Rejected]:
    """A row for each record; lines are the records' numbers.

    Raises ProblemFileError without pyarrow, or when the file is broken or unpacks to too much.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ProblemFileError(
            f"{source.name} is a Parquet file, and the package that reads it is not installed.",
            "Install it where Baton is installed: .venv/bin/pip install pyarrow.",
        ) from error
    number = 0
    try:
        file = pyarrow.parquet.ParquetFile(pyarrow.BufferReader(source.data))
        unpacked = sum(file.metadata.row_group(group).total_byte_size for group in range(file.num_row_groups))
        if unpacked > FILE_LIMIT:
            raise ProblemFileError(f"{source.name} unpacks to more than {FILE_LIMIT // 2**20} MiB.", "Split it first.")
        for batch in file.iter_batches(batch_size=256):
            for fields in batch.to_pylist():
                number += 1
                yield within_limits(Record(number, fields))
    except pyarrow.ArrowException as error:
        raise ProblemFileError(f"{source.name} is a damaged Parquet file.", "Download it again.") from error
