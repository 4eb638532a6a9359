"""Checksums of model files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

_CHUNK = 16 * 2**20


def sha256_of(file: Path, cancelled: Callable[[], bool] = lambda: False) -> str:
    """64 hexadecimal digits; empty if the file cannot be read, or `cancelled` says so. About 1 GB a second."""
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
