"""Reads and writes files that a person named, JSON files, and files that only their owner may read."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from baton_reasoning.core.errors import BatonError, SettingsError

FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of a disk, a quota or a file system that takes no more."""
LARGEST_TEXT = 256 * 2**20
"""Bytes that are read of a text file: devices such as /dev/zero never end."""
HASHED_AT_ONCE = 16 * 2**20
"""Bytes, which take about 20 ms."""
DEVICE_NAME = re.compile(r"(?=(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[0-9¹²³]) *(\.|$))", re.IGNORECASE)
"""Matches what Windows takes for a device, whatever the ending."""


def expanded(path: Path) -> Path:
    """Expand ~ to the home folder. Raises SettingsError for the home of a user that does not exist."""
    try:
        return path.expanduser()
    except (RuntimeError, ValueError) as error:  # no such user, or no possible name of one
        raise SettingsError(f"{path} cannot be found: there is no such user.", "Write the whole path.") from error


def file_name(name: str, otherwise: str) -> str:
    """Leave out of a name what names of files cannot have; return `otherwise` if nothing is left.

    The names of Windows' devices get a “_” in front, on every system: files travel.
    """
    left = re.sub(r'[\\/:*?"<>|\x00-\x1f]+', "-", name).strip(" .-")
    return f"_{left}" if DEVICE_NAME.match(left) else left or otherwise


def read_text(file: Path, advice: str, failure: type[BatonError] = SettingsError) -> str:
    """Read a text file. Raises `failure`, with this advice, if it cannot be read, is not UTF-8, or is too large."""
    try:
        with expanded(file).open("rb") as opened:
            content = opened.read(LARGEST_TEXT + 1)
        if len(content) > LARGEST_TEXT:
            raise failure(f"{file} is larger than {LARGEST_TEXT // 2**20} MiB.", advice)
        return content.decode("utf-8").replace("\r\n", "\n")
    except OSError as error:
        raise failure(f"{file} cannot be read: {error.strerror or error}.", advice) from error
    except UnicodeDecodeError as error:
        raise failure(f"{file} is not text in UTF-8.", advice) from error


def private_folder(folder: Path) -> None:
    """Create the folder, and its parents; one that did not exist is the owner's alone (0700). Raises OSError."""
    if not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def make_private(file: Path) -> None:
    """Let only its owner read and write this file (0600), which is created empty if it is missing.

    A link, a device or a folder stays as it is, and so do a file of another owner and one that cannot be created:
    opening it reports the error.
    """
    with suppress(OSError):
        file.touch(mode=0o600, exist_ok=False)  # creates nothing behind a link that leads nowhere
    with suppress(OSError):
        if stat.S_ISREG(file.lstat().st_mode):
            file.chmod(0o600)


def hash_file(file: Path) -> Iterator[int | str]:
    """Yield the number of bytes of each part as it is read, and last the SHA-256 in hexadecimal. Raises OSError."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(HASHED_AT_ONCE):
            digest.update(chunk)
            yield len(chunk)
    yield digest.hexdigest()


def replace_text(path: Path, parts: Iterable[str]) -> None:
    """Write a file, readable by its owner alone, which appears when it is complete; until then the old one stays.

    A link stays one: the file that it names is replaced. A device or a pipe is written to. Raises OSError.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        with path.open("w", encoding="utf-8", newline="") as stream:
            stream.writelines(parts)
        return
    handle, name = tempfile.mkstemp(prefix=".baton-", dir=path.parent)
    unfinished = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


Value = TypeVar("Value", bound=BaseModel)


def write_json(value: BaseModel, path: Path, what: str) -> None:
    """Write a file atomically. `what` names it in the SettingsError that is raised if that fails."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_text(path, [value.model_dump_json(indent=2)])
    except OSError as error:
        raise SettingsError(
            f"{what} could not be saved in {path.parent}: {error.strerror or error}.",
            "They hold until Baton is closed.",
        ) from error


def read_json(kind: type[Value], path: Path) -> Value:
    """Read a file; each value that is missing or wrong in it has its default. Never raises."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return kind()
    return tolerant_value(kind, data) if isinstance(data, dict) else kind()


def tolerant_value(kind: type[Value], data: dict[str, Any]) -> Value:
    """Validate JSON values; each that is wrong is replaced by its default."""
    while True:
        try:
            return kind.model_validate(data)
        except ValidationError as error:
            kept = data
            for fault in error.errors(include_url=False, include_input=False):
                kept = _without(kept, fault["loc"])
            if kept is data:  # the fault is in no value that could be left out
                return kind()
            data = kept


def _without(data: dict[str, Any], place: tuple[int | str, ...]) -> dict[str, Any]:
    """Copy data without the value at `place`, or at the part of it that exists; return `data` itself if none does."""
    if not place:
        return {} if data else data
    key = str(place[0])
    inside = data.get(key)
    if len(place) > 1 and isinstance(inside, dict):
        kept = _without(inside, place[1:])
        return data if kept is inside else {**data, key: kept}
    return {name: value for name, value in data.items() if name != key} if key in data else data
