"""Remembers the SHA-256 of large files by path, size and both times: hashing a model takes seconds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from baton_reasoning.core.files import hash_file
from baton_reasoning.core.store.database import Database


class _Stamp(NamedTuple):
    """What changes with the content of a file. Who overwrites one can set `modified` back, but not `changed`.

    On Windows `changed` is the time of creation: there a file that was set back counts as the same.
    """

    size: int
    modified: int
    """Nanoseconds, as `changed`."""
    changed: int

    @classmethod
    def of(cls, file: Path) -> _Stamp:
        found = file.stat()
        return cls(found.st_size, found.st_mtime_ns, found.st_ctime_ns)


class FileHashes:
    def __init__(self, database: Database) -> None:
        self._database = database

    def sha256(self, file: Path) -> Iterator[int | str]:
        """Yield the number of bytes of each part as it is read, unless the hash is known, and last the SHA-256.

        It is 64 hexadecimal digits; "" if the file cannot be read, or changes meanwhile. Raises StoreError.
        """
        try:
            stamp = _Stamp.of(file)
            if known := self._known(file, stamp):
                yield known
                return
            for read in hash_file(file):
                if isinstance(read, int):
                    yield read
                    continue
                is_whole = stamp == _Stamp.of(file)
                if is_whole:  # saved without waiting: if that fails, the file is hashed again
                    statement = "INSERT OR REPLACE INTO file_hashes VALUES (?, ?, ?, ?, ?)"
                    self._database.execute(statement, str(file.absolute()), *stamp, read)
                yield read if is_whole else ""
        except OSError:
            yield ""

    def _known(self, file: Path, stamp: _Stamp) -> str:
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT sha256 FROM file_hashes WHERE path = ? AND size = ? AND modified = ? AND changed = ?",
                (str(file.absolute()), *stamp),
            ).fetchone()
        return row["sha256"] if row else ""
