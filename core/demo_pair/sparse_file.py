"""A large file that holds little: some pieces, and zeros between and after them.

It is written with holes where the file system has them (Linux, macOS), so that it takes the room of its pieces alone.
"""

from __future__ import annotations

import errno
import os
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO

_CHUNK = 2**20


@dataclass(frozen=True)
class SparseFile:
    """A file, and what it should hold."""

    path: Path
    pieces: tuple[tuple[int, bytes], ...]
    """Where each begins, in ascending order, and its bytes."""
    size: int

    def make(self) -> Path:
        """Write the file unless it is there, whole; return its path. Raises OSError.

        Other programs see all or nothing of it, also if they make it at the same time.
        """
        if self.is_whole:
            return self.path
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f"{self.path.stem}.", suffix=".part", dir=self.path.parent)
        part = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                self._write(file)
            if not self.is_whole:  # another window may have made it meanwhile, and loaded it
                part.replace(self.path)
        finally:
            part.unlink(missing_ok=True)
        return self.path

    @property
    def is_whole(self) -> bool:
        """Whether the file is there and holds these bytes. Only what was ever written to it is read."""
        with suppress(OSError):
            if self.path.is_file() and self.path.stat().st_size == self.size:
                with self.path.open("rb", buffering=0) as file:
                    return self._is_in(file)
        return False

    def _write(self, file: BinaryIO) -> None:
        for start, data in self.pieces:
            file.seek(start)
            file.write(data)
        file.truncate(self.size)

    def _is_in(self, file: BinaryIO) -> bool:
        end = 0
        for start, data in chain(self.pieces, [(self.size, b"")]):
            if not _is_zero(file, end, start):
                return False
            file.seek(start)
            if file.read(len(data)) != data:
                return False
            end = start + len(data)
        return True


def _is_zero(file: BinaryIO, start: int, end: int) -> bool:
    while (start := _next_written(file, start)) < end:
        file.seek(start)
        data = file.read(min(_CHUNK, end - start))
        if not data or data != bytes(len(data)):
            return False
        start += len(data)
    return True


def _next_written(file: BinaryIO, start: int) -> int:
    """Return where the next bytes outside a hole begin; `start` where the system knows no holes."""
    if hasattr(os, "SEEK_DATA"):
        try:
            return os.lseek(file.fileno(), start, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # a hole up to the end of the file
                return sys.maxsize
    return start
