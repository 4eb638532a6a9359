"""Checks that a model file has the bytes it should have: damaged weights load without an error, and write nonsense.

The expected SHA-256 is the one that the Hub published for a download, the name of a file in Hugging Face's cache, or an
entry of a list SHA256SUMS beside the file, as the demo pair has. Any other file is compared with what it was at its
first use. A file is read once for each path, size and modification time.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel

from baton_reasoning.core.errors import ModelFileError, SettingsError
from baton_reasoning.core.files import read_json, write_json
from baton_reasoning.core.models.gguf_format import shards_of

SUMS = "SHA256SUMS"
PAUSE = 0.01
"""Seconds between two chunks of a file that is read beside an answer, so that half of a core stays free."""
_CHUNK = 16 * 2**20
_SHA256 = re.compile("[0-9a-f]{64}")


class _Known(BaseModel):
    bytes: int
    modified: int
    """In nanoseconds."""
    sha256: str
    expected: str


class _KnownFiles(BaseModel):
    files: dict[str, _Known] = {}


class Checksums:
    """The known hashes of model files, kept in a JSON file by their paths."""

    _lock: ClassVar = threading.Lock()

    def __init__(self, file: Path) -> None:
        self._file = file

    def learn(self, file: Path, sha256: str) -> None:
        """Record the published SHA-256 of a file that has just been compared with it."""
        self._keep(file, sha256.lower(), sha256.lower())

    def changed(self, models: Iterable[Path], stopped: threading.Event) -> Iterator[ModelFileError]:
        """Yield an error, to be shown, for each file of these models that does not have the bytes it should have.

        Reads each file that is new or was touched: seconds per GB, on about half a core. Raises ModelFileError if a
        part of a model is missing.
        """
        for file in dict.fromkeys(shard for model in models for shard in shards_of(model)):
            if self._is_changed(file, lambda: stopped.wait(PAUSE)):
                yield ModelFileError(
                    f"{file.name} is damaged or was replaced: its bytes are not those of its download or first use.",
                    "Download or copy it again; if you changed it yourself, give it another name.",
                )

    def _is_changed(self, file: Path, cancelled: Callable[[], bool]) -> bool:
        known = read_json(_KnownFiles, self._file).files.get(str(file.absolute()))
        try:
            status = file.stat()
        except OSError:  # deleted meanwhile
            return False
        if known and (known.bytes, known.modified) == (status.st_size, status.st_mtime_ns):
            return known.sha256 != known.expected
        if not (sha256 := sha256_of(file, cancelled)):
            return False
        # Another size is a deliberate change; what was published holds all the same.
        before = known.expected if known and known.bytes == status.st_size else sha256
        expected = published_sha256(file) or before
        self._keep(file, sha256, expected)
        return sha256 != expected

    def _keep(self, file: Path, sha256: str, expected: str) -> None:
        with self._lock, suppress(OSError, SettingsError):  # if it is not saved, it is computed again the next time
            status = file.stat()
            known = read_json(_KnownFiles, self._file)
            known.files[str(file.absolute())] = _Known(
                bytes=status.st_size, modified=status.st_mtime_ns, sha256=sha256, expected=expected
            )
            write_json(known, self._file, "Checksums")


def published_sha256(file: Path) -> str:
    """Return the hash by Hugging Face's cache or by a list beside the file; empty if neither says one."""
    if _SHA256.fullmatch(file.resolve().name):
        return file.resolve().name
    with suppress(OSError, UnicodeDecodeError):
        for line in file.with_name(SUMS).read_text(encoding="utf-8").splitlines():
            digest, _, name = line.partition(" ")
            if name.strip(" *") == file.name and _SHA256.fullmatch(digest.lower()):
                return digest.lower()
    return ""


def sha256_of(file: Path, cancelled: Callable[[], bool] = lambda: False) -> str:
    """Hash a file, about 1 GB a second: 64 hexadecimal digits, empty if it cannot be read or `cancelled` says so."""
    digest = hashlib.sha256()
    try:
        with file.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                if cancelled():
                    return ""
                digest.update(chunk)
    except OSError:
        return ""
    return digest.hexdigest()
