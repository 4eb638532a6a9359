"""A pydantic value as a JSON file that is whole at any moment."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from pydantic import BaseModel

from core.errors import SettingsError


def write_json(value: BaseModel, path: Path, what: str) -> None:
    """Write all of it, or leave the old file as it is. `what` is written, in words. Raises SettingsError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, unfinished = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(value.model_dump_json(indent=2))
            file.flush()
            os.fsync(file.fileno())
        Path(unfinished).replace(path)
    except OSError as error:
        raise SettingsError(
            f"{what} could not be saved in {path.parent}: {error.strerror or error}.",
            "They hold until Baton is closed.",
        ) from error
