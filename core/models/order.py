"""What is to be downloaded: one model, of one file or several, with a note on disk that outlives the program.

While a download is under way its bytes lie beside their target as “NAME.part”, and the order itself as
“FIRST.order.json”: after a crash `find_unfinished` reads it again, and the download goes on where it stopped.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from core.errors import DownloadError

PART = ".part"
NOTE = ".order.json"
SPARE_BYTES = 64 * 2**20
"""Left free by a download: a disk filled to the last byte harms other programs."""


@dataclass(frozen=True)
class RemoteFile:
    """One file on a server. `sha256` as 64 hexadecimal digits, None where the server does not say."""

    url: str
    name: str
    bytes: int
    sha256: str | None = None


@dataclass(frozen=True)
class Order:
    """The files of one model, and the folder they go to; they appear there together, when all are right."""

    title: str
    folder: Path
    files: tuple[RemoteFile, ...]

    def __post_init__(self) -> None:
        if not self.files:
            raise DownloadError(f"{self.title} has no files to download.")
        for file in self.files:
            # A name comes from a server: it must not lead out of the folder.
            if file.bytes < 0 or file.name in ("", ".", "..") or PurePosixPath(file.name).name != file.name:
                raise DownloadError(f"The server names a file that cannot be stored: {file.name!r}.")
            if "\\" in file.name or "\0" in file.name or ":" in file.name:
                raise DownloadError(f"The server names a file that cannot be stored: {file.name!r}.")

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)

    @property
    def model(self) -> Path:
        """The file to load when all are there."""
        return self.target(self.files[0])

    def target(self, file: RemoteFile) -> Path:
        return self.folder / file.name

    def part(self, file: RemoteFile) -> Path:
        return self.folder / f"{file.name}{PART}"

    @property
    def note(self) -> Path:
        return self.folder / f"{self.files[0].name}{NOTE}"

    def bytes_here(self) -> int:
        """Bytes of the order that already lie on this disk, checked or not."""
        return sum(self.bytes_of(file) for file in self.files)

    def bytes_of(self, file: RemoteFile) -> int:
        for path in (self.target(file), self.part(file)):
            if path.exists():
                return min(path.stat().st_size, file.bytes)
        return 0


def write_note(order: Order) -> None:
    """Leave the order beside its parts. Raises OSError."""
    content = {"title": order.title, "files": [asdict(file) for file in order.files]}
    unfinished = order.note.with_suffix(".new")
    with unfinished.open("w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(order.note)


def read_note(path: Path) -> Order | None:
    """The order that a note describes; None if it cannot be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        files = tuple(RemoteFile(**file) for file in content["files"])
        return Order(str(content["title"]), path.parent, files)
    except (OSError, ValueError, TypeError, KeyError, DownloadError):
        return None


def find_unfinished(folder: Path) -> tuple[Order, ...]:
    """Downloads that were paused or cut off anywhere below the folder, by title."""
    notes = sorted(folder.rglob(f"*{NOTE}")) if folder.exists() else []
    found = [order for note in notes if (order := read_note(note)) is not None]
    return tuple(sorted(found, key=lambda order: order.title.lower()))


def keep_only_what_fits(order: Order) -> None:
    """Throw away parts that belong to something else: another file was published under the same name."""
    before = read_note(order.note)
    if before is None or before.files == order.files:
        return
    identities = {file.name: (file.bytes, file.sha256) for file in before.files}
    for file in order.files:
        if identities.get(file.name) != (file.bytes, file.sha256) or file.sha256 is None:
            order.part(file).unlink(missing_ok=True)


def discard(order: Order) -> None:
    """Leave nothing of an unfinished download: no part, no note, no lone shard. Raises DownloadError."""
    try:
        for path in _leavings(order):
            path.unlink(missing_ok=True)
        for folder in (order.folder, order.folder.parent):
            if folder.exists() and not any(folder.iterdir()):
                folder.rmdir()
    except OSError as error:
        raise DownloadError(
            f"What was downloaded of {order.title} could not be removed: {error.strerror or error}.",
            f"Remove it by hand from {order.folder}.",
        ) from error


def _leavings(order: Order) -> Iterator[Path]:
    yield order.note
    yield from (order.part(file) for file in order.files)
    targets = [order.target(file) for file in order.files]
    if not all(target.exists() for target in targets):
        yield from targets
