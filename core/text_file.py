"""The text of a file that a person named."""

from __future__ import annotations

from pathlib import Path

from core.errors import BatonError, SettingsError


def read_text(file: Path, advice: str, failure: type[BatonError] = SettingsError) -> str:
    """Raises `failure`, with this advice, if the file cannot be read or is not in UTF-8."""
    try:
        return file.expanduser().read_text(encoding="utf-8")
    except OSError as error:
        raise failure(f"{file} cannot be read: {error.strerror or error}.", advice) from error
    except UnicodeDecodeError as error:
        raise failure(f"{file} is not text in UTF-8.", advice) from error
