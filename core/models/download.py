"""Downloads a model completely or not at all: byte ranges, hash check, one rename at the end.

    room on the disk? → each file into NAME.part, from where it stopped → SHA-256 of what lies on the disk → rename all

`download(manifest)` is a generator of `DownloadProgress`. To pause, close it: what has arrived stays, and the next call
continues there, in this program or the next one. To cancel, close it and call `discard(manifest)`.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, dataclass
from enum import Enum, auto
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple

import httpx2
from msgspec import convert

from core.errors import DownloadError
from core.models.checksums import Checksums
from core.models.devices import disk_free
from core.models.fit import in_gib
from core.models.hub_failures import LONGEST_POLITE_WAIT, refused, seconds_to_wait, unreachable
from core.text import one_line

CHUNK = 2**20  # bytes hashed between two progress reports
SILENCE = 10.0  # seconds without a byte, then a new connection
ATTEMPTS = 6  # in a row without a single byte
_RETRIED = frozenset({429, 500, 502, 503, 504})


class Downloader:
    """One connection pool for all downloads. `token` goes to the first host only, not to where it redirects.

    `checksums` keeps what the server says of each file, for later. `sleep` and `clock` may be replaced by tests.
    """

    def __init__(
        self,
        token: str | None = None,
        *,
        checksums: Checksums | None = None,
        client: httpx2.Client | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._token = token
        self._checksums = checksums
        self._client = client or httpx2.Client(follow_redirects=True, timeout=SILENCE)
        self._sleep = sleep
        self._clock = clock

    def close(self) -> None:
        self._client.close()

    def download(self, manifest: DownloadManifest) -> Steps:
        """Bring every file of the manifest to its folder. Raises DownloadError; what has arrived is kept unless it
        proved wrong."""
        try:
            manifest.folder.mkdir(parents=True, exist_ok=True)
            keep_only_what_fits(manifest)
            _check_room(manifest)
            write_manifest(manifest)
            meter = SpeedMeter(manifest.bytes, manifest.bytes_here(), self._clock)
            for file in manifest.files:
                yield from self._fetch(manifest, file, meter)
            yield from _check_hashes(manifest)
            self._settle(manifest)
        except OSError as error:
            raise _disk_failure(manifest, error) from error

    def _settle(self, manifest: DownloadManifest) -> None:
        """All files are complete: rename them. From here on the library sees the model."""
        for file in manifest.files:
            part = manifest.part(file)
            if part.exists():
                with part.open("rb") as content:
                    os.fsync(content.fileno())
                part.replace(manifest.target(file))
                if self._checksums and file.sha256:
                    self._checksums.learn(manifest.target(file), file.sha256)
        manifest.path.unlink(missing_ok=True)

    # One file ----------------------------------------------------------------------------------------------------

    def _fetch(self, manifest: DownloadManifest, file: RemoteFile, meter: SpeedMeter) -> Steps:
        """Request the rest after every cut; give up after `ATTEMPTS` responses in a row without a byte."""
        fruitless = 0
        while manifest.bytes_of(file) < file.bytes or not _is_there(manifest, file):
            before = manifest.bytes_of(file)
            wait, why = min(2.0**fruitless, 30.0), ""
            try:
                wait, why = yield from self._request(manifest, file, meter, wait)
            except httpx2.TransportError as error:
                why = _reason(error)
                if fruitless + 1 >= ATTEMPTS:
                    raise unreachable(httpx2.URL(file.url).host, why) from error
            fruitless = 0 if manifest.bytes_of(file) > before else fruitless + 1
            if why and manifest.bytes_of(file) < file.bytes:
                if fruitless >= ATTEMPTS:
                    raise unreachable(httpx2.URL(file.url).host, why)
                yield from self._pause(meter, wait if fruitless else 0.0, why)

    def _request(
        self, manifest: DownloadManifest, file: RemoteFile, meter: SpeedMeter, wait: float
    ) -> Generator[DownloadProgress, None, tuple[float, str]]:
        """One request; returns how long to wait before the next and why ("" if nothing is wrong)."""
        offset = manifest.bytes_of(file)
        headers = {"Range": f"bytes={offset}-", "Accept-Encoding": "identity"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        with self._client.stream("GET", file.url, headers=headers) as answer:
            if answer.status_code in _RETRIED:
                wait = seconds_to_wait(answer.headers.get("Retry-After"), wait)
                if wait <= LONGEST_POLITE_WAIT:
                    return max(wait, 0.01), f"the server asks to wait (HTTP {answer.status_code})"
            if answer.status_code not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
                if answer.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                    raise _changed(file)
                raise refused(file.name, answer.status_code, answer.reason_phrase, bool(self._token), _page(file.url))
            start = _start_of(answer, file, offset)
            with manifest.part(file).open("r+b" if manifest.part(file).exists() else "wb") as part:
                part.seek(start)
                part.truncate()
                meter.set_back(offset - start)
                # Small pieces as they arrive: a cut must not lose what a larger buffer held.
                for piece in answer.iter_raw():
                    if part.tell() + len(piece) > file.bytes:
                        raise _changed(file)
                    part.write(piece)
                    yield meter.advance(len(piece))
        return 0.0, "" if manifest.bytes_of(file) >= file.bytes else "the connection was cut"

    def _pause(self, meter: SpeedMeter, seconds: float, why: str) -> Steps:
        """Wait in small pieces, so that closing the generator takes effect soon."""
        while seconds > 0:
            piece = min(seconds, 0.5)
            yield DownloadProgress(
                Stage.WAITING, meter.done, meter.total, 0.0, f"{why}; trying again in {seconds:.0f} s"
            )
            self._sleep(piece)
            seconds -= piece


# Before, between and after -----------------------------------------------------------------------------------------


def _check_room(manifest: DownloadManifest) -> None:
    for file in manifest.files:
        target = manifest.target(file)
        if target.exists() and target.stat().st_size != file.bytes:
            raise DownloadError(f"{target} is there already, with another size.", "Rename or delete it first.")
    missing = manifest.bytes - manifest.bytes_here()
    free = disk_free(manifest.folder)
    if missing and missing + SPARE_BYTES > free:
        raise DownloadError(
            f"{manifest.title} needs {in_gib(missing)} more; the disk of {manifest.folder} has {in_gib(free)} free.",
            f"Free {in_gib(missing + SPARE_BYTES - free)} there, or keep models in another folder.",
        )


def _is_there(manifest: DownloadManifest, file: RemoteFile) -> bool:
    return manifest.target(file).exists() or manifest.part(file).exists()


def _start_of(answer: httpx2.Response, file: RemoteFile, offset: int) -> int:
    """Where in the file the answer begins. Raises DownloadError if it is a piece of something else."""
    if answer.status_code == HTTPStatus.OK:
        length = answer.headers.get("Content-Length")
        if length is not None and length != str(file.bytes):
            raise _changed(file)
        return 0
    if answer.headers.get("Content-Range", "") not in _ranges(file, offset):
        raise _changed(file)
    return offset


def _ranges(file: RemoteFile, offset: int) -> tuple[str, str]:
    asked = f"bytes {offset}-{file.bytes - 1}/"
    return f"{asked}{file.bytes}", f"{asked}*"


def _check_hashes(manifest: DownloadManifest) -> Steps:
    """SHA-256 of what lies on the disk; wrong bytes are thrown away."""
    done = 0
    for file in manifest.files:
        part = manifest.part(file)
        if not part.exists() or file.sha256 is None:
            done += file.bytes
            continue
        digest = hashlib.sha256()
        with part.open("rb") as content:
            while chunk := content.read(CHUNK):
                digest.update(chunk)
                done += len(chunk)
                yield DownloadProgress(Stage.CHECKING, done, manifest.bytes)
        if digest.hexdigest() != file.sha256.lower():
            part.unlink()
            raise DownloadError(
                f"{file.name} arrived with other bytes than were published: its SHA-256 is wrong.",
                "Download it again; if that fails too, the mirror or a proxy in between changes it.",
            )


def _changed(file: RemoteFile) -> DownloadError:
    return DownloadError(
        f"{file.name} on the server is not the file that was listed.", "List the files again, and download it again."
    )


def _disk_failure(manifest: DownloadManifest, error: OSError) -> DownloadError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return DownloadError(
            f"The disk of {manifest.folder} took no more: {error.strerror}.",
            f"Free {in_gib(max(manifest.bytes - manifest.bytes_here(), 0))} there, then resume: no byte is lost.",
        )
    where = Path(error.filename) if error.filename else manifest.folder
    return DownloadError(f"{where} cannot be written: {error.strerror or error}.", "Keep models in another folder.")


def _reason(error: httpx2.TransportError) -> str:
    if isinstance(error, httpx2.TimeoutException):
        return "it does not answer"
    return str(error).rstrip(".") or type(error).__name__


def _page(url: str) -> str:
    """The model's page, which has the terms."""
    return url.partition("/resolve/")[0]


PART = ".part"
MANIFEST_SUFFIX = ".order.json"
LONGEST_NAME = 200
"""Bytes; file systems take 255, and parts and notes add an ending."""
SPARE_BYTES = 64 * 2**20
"""Left free by a download: a disk filled to the last byte harms other programs."""


@dataclass(frozen=True)
class RemoteFile:
    """One file on a server. `sha256` as 64 hexadecimal digits, None where the server does not say."""

    url: str
    name: str
    bytes: int
    sha256: str | None = None


CHECK_MIRROR = "Check the address of the mirror on the Models page."
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")


def checked_part(name: str) -> str:
    """A part of a path that a server named: one plain name that every system can store, and that is not hidden.

    Raises DownloadError for anything else: it could lead out of the models folder.
    """
    plain = name.isprintable() and not set(name) & set('/\\:*?"<>|') and not name.startswith(".")
    if not plain or not name or name[-1] in ". " or len(name.encode()) > LONGEST_NAME or _RESERVED.fullmatch(name):
        raise DownloadError(
            f"The server names a file or folder that cannot be stored: “{one_line(name)}”.", CHECK_MIRROR
        )
    return name


@dataclass(frozen=True)
class DownloadManifest:
    """The files of one model, and the folder they go to; they appear there together, when all are right."""

    title: str
    folder: Path
    files: tuple[RemoteFile, ...]

    def __post_init__(self) -> None:
        if not self.files:
            raise DownloadError(f"{self.title} has no files to download.")
        for file in self.files:
            checked_part(file.name)
            if file.bytes < 0:
                raise DownloadError(f"The server gives {one_line(file.name)} a negative size.", CHECK_MIRROR)

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
    def path(self) -> Path:
        return self.folder / f"{self.files[0].name}{MANIFEST_SUFFIX}"

    def bytes_here(self) -> int:
        """Bytes of it on this disk, checked or not."""
        return sum(self.bytes_of(file) for file in self.files)

    def bytes_of(self, file: RemoteFile) -> int:
        for path in (self.target(file), self.part(file)):
            if path.exists():
                return min(path.stat().st_size, file.bytes)
        return 0


def write_manifest(manifest: DownloadManifest) -> None:
    """Write the manifest beside its parts, so that it survives the program. Raises OSError."""
    content = {"title": manifest.title, "files": [asdict(file) for file in manifest.files]}
    unfinished = manifest.path.with_suffix(".new")
    with unfinished.open("w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(manifest.path)


def read_manifest(path: Path) -> DownloadManifest | None:
    """The manifest in a file; None if it cannot be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        files = convert(content["files"], tuple[RemoteFile, ...])
        return DownloadManifest(str(content["title"]), path.parent, files)
    except (OSError, ValueError, TypeError, KeyError, RecursionError, DownloadError):
        return None


def find_unfinished(folder: Path) -> tuple[DownloadManifest, ...]:
    """Downloads that were paused or cut off anywhere below the folder, by title."""
    paths = sorted(folder.rglob(f"*{MANIFEST_SUFFIX}")) if folder.exists() else []
    found = [manifest for path in paths if (manifest := read_manifest(path)) is not None]
    return tuple(sorted(found, key=lambda manifest: manifest.title.lower()))


def keep_only_what_fits(manifest: DownloadManifest) -> None:
    """Throw away parts that belong to something else: another file was published under the same name."""
    before = read_manifest(manifest.path)
    if before is None or before.files == manifest.files:
        return
    identities = {file.name: (file.bytes, file.sha256) for file in before.files}
    for file in manifest.files:
        if identities.get(file.name) != (file.bytes, file.sha256) or file.sha256 is None:
            manifest.part(file).unlink(missing_ok=True)


def discard(manifest: DownloadManifest) -> None:
    """Leave nothing of an unfinished download: no part, no manifest, no lone shard. Raises DownloadError."""
    try:
        for path in _leavings(manifest):
            path.unlink(missing_ok=True)
        for folder in (manifest.folder, manifest.folder.parent):
            if folder.exists() and not any(folder.iterdir()):
                folder.rmdir()
    except OSError as error:
        raise DownloadError(
            f"What was downloaded of {manifest.title} could not be removed: {error.strerror or error}.",
            f"Remove it by hand from {manifest.folder}.",
        ) from error


def _leavings(manifest: DownloadManifest) -> Iterator[Path]:
    yield manifest.path
    yield from (manifest.part(file) for file in manifest.files)
    targets = [manifest.target(file) for file in manifest.files]
    if not all(target.exists() for target in targets):
        yield from targets


class Stage(Enum):
    DOWNLOADING = auto()
    WAITING = auto()
    """For the server, or for the connection to come back."""
    CHECKING = auto()


class DownloadProgress(NamedTuple):
    """Progress of a download. `done` and `total` in bytes of the stage, all files together; speed in bytes a second."""

    stage: Stage
    done: int
    total: int
    speed: float = 0.0
    note: str = ""
    """Why it is waiting."""

    @property
    def seconds_left(self) -> float | None:
        return (self.total - self.done) / self.speed if self.speed > 0 else None


Steps = Generator[DownloadProgress, None, None]


class SpeedMeter:
    """Counts bytes, and their speed in the last seconds."""

    WINDOW = 5.0  # seconds

    def __init__(self, total: int, done: int, clock: Callable[[], float]) -> None:
        self.total = total
        self.done = done
        self._clock = clock
        self._marks: deque[tuple[float, int]] = deque([(clock(), done)])

    def advance(self, size: int) -> DownloadProgress:
        self.done += size
        now = self._clock()
        self._marks.append((now, self.done))
        while len(self._marks) > 2 and now - self._marks[0][0] > self.WINDOW:
            self._marks.popleft()
        since, before = self._marks[0]
        speed = (self.done - before) / (now - since) if now > since else 0.0
        return DownloadProgress(Stage.DOWNLOADING, self.done, self.total, speed)

    def set_back(self, size: int) -> None:
        """So many bytes have to be downloaded again."""
        if size:
            self.done -= size
            self._marks = deque([(self._clock(), self.done)])
